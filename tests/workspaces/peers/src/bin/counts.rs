//! Counts: allocations and their bytes for a request, what the server had to do, and what it keeps.
//!
//! With a store on a server its driver is counted too: all of it runs on one thread.

use allocation_counter::measure;
use session_peers::{BoxError, Group, Job, Options, Row, Subject, groups};

fn main() -> Result<(), BoxError> {
    let options = Options::parse(std::env::args().skip(1))?;
    for group in groups(&options)
        .into_iter()
        .filter(|group| group.tasks == 1 && !group.two_stores())
    {
        let jobs = group.jobs(&options);
        if jobs.is_empty() {
            continue;
        }
        compare(&group, &jobs, &options)?;
        let scenario = format!("{} session", group.store);
        if let Some((ours, peers)) = group.server_bytes(&options)? {
            for (name, peer) in peers {
                row(&scenario, "server_bytes", (ours as f64, peer as f64), name);
            }
        }
    }
    Ok(())
}

fn compare(group: &Group, jobs: &[Job], options: &Options) -> Result<(), BoxError> {
    let parties = group.parties(options)?;
    for &job in jobs {
        let bare = count(&*parties.bare, job);
        let their_bare = parties
            .their_bare
            .as_ref()
            .map_or(bare, |bare| count(&**bare, job));
        let scenario = group.scenario(job);
        let (allocations, bytes) = count(&*parties.ours, job);
        let ours = (allocations - bare.0, bytes - bare.1);
        let commands = commands(group, &*parties.ours, job, options)?;
        for peer in parties.peers.iter().filter(|peer| peer.does(job)) {
            let (allocations, bytes) = count(&**peer, job);
            row(
                &scenario,
                "allocs",
                (ours.0, allocations - their_bare.0),
                peer.name(),
            );
            row(
                &scenario,
                "bytes",
                (ours.1, bytes - their_bare.1),
                peer.name(),
            );
            if let (Some(ours), Some(peers)) =
                (commands, self::commands(group, &**peer, job, options)?)
            {
                row(&scenario, "commands", (ours, peers), peer.name());
            }
        }
    }
    Ok(())
}

fn row(scenario: &str, measure: &'static str, (ours, peer): (f64, f64), peer_name: &str) {
    let (scenario, peer_name) = (scenario.to_owned(), peer_name.to_owned());
    println!(
        "{}",
        Row {
            scenario,
            measure,
            ours,
            peer,
            peer_name
        }
    );
}

/// So many are enough for what happens once in a while, such as a table that grows.
const REQUESTS: u32 = 500;

/// Allocations and bytes of a request.
fn count(subject: &dyn Subject, job: Job) -> (f64, f64) {
    subject.awake();
    subject.run(job, REQUESTS);
    let counted = measure(|| _ = subject.run(job, REQUESTS));
    let each = |number: u64| number as f64 / f64::from(REQUESTS);
    (each(counted.count_total), each(counted.bytes_total))
}

/// Commands of a request.
fn commands(
    group: &Group,
    subject: &dyn Subject,
    job: Job,
    options: &Options,
) -> Result<Option<f64>, BoxError> {
    subject.awake();
    let commands = group.commands(options, || _ = subject.run(job, REQUESTS))?;
    Ok(commands.map(|commands| commands as f64 / f64::from(REQUESTS)))
}

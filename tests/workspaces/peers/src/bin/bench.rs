//! Times: for each scenario rounds of ours and of each peer by turns, and the median of each.
//!
//! One task: `ns` for a request, over the bare service. Many: `rps`, requests a second.
//! `--instructions SCENARIO WHO REQUESTS [--redis URL] [--mongo URI]` answers so many requests and
//! no more, for a program that counts instructions.

use std::time::Duration;

use session_peers::{
    BoxError, Group, Job, Options, Point, Row, Subject, bare, groups, growing_ours, growing_peer,
    median, points,
};

fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments
        .next_if(|first| first == "--instructions")
        .is_some()
    {
        let mut next = || {
            arguments
                .next()
                .ok_or("--instructions SCENARIO WHO REQUESTS")
        };
        let (scenario, who, requests) = (next()?, next()?, next()?.parse()?);
        return only(&scenario, &who, requests, &Options::parse(arguments)?);
    }
    let options = Options::parse(arguments)?;
    for group in groups(&options) {
        let jobs = group.jobs(&options);
        if !jobs.is_empty() {
            compare(&group, &jobs, &options)?;
        }
    }
    for point in points() {
        grow(&point, &options)?;
    }
    Ok(())
}

/// One point of a curve: reading and writing one key.
fn grow(point: &Point, options: &Options) -> Result<(), BoxError> {
    let scenario = |job: Job| format!("growth {} {} {}", point.curve, point.at, job.name());
    let wanted = |job: &Job| options.wants(&scenario(*job));
    let jobs: Vec<_> = [Job::Read, Job::Write].into_iter().filter(wanted).collect();
    if jobs.is_empty() {
        return Ok(());
    }
    let (bare, ours, peer) = (
        bare()?,
        growing_ours(point.shape)?,
        growing_peer(point.shape)?,
    );
    for job in jobs {
        let times = rounds(&[&*bare, &*ours, &*peer], job, Plan::ALONE);
        let (ours, theirs) = (times[1] - times[0], times[2] - times[0]);
        let (measure, peer_name) = ("ns", peer.name().to_owned());
        println!(
            "{}",
            Row {
                scenario: scenario(job),
                measure,
                ours,
                peer: theirs,
                peer_name
            }
        );
    }
    Ok(())
}

fn compare(group: &Group, jobs: &[Job], options: &Options) -> Result<(), BoxError> {
    let parties = group.parties(options)?;
    for &job in jobs {
        let peers: Vec<_> = parties.peers.iter().filter(|peer| peer.does(job)).collect();
        // The bare services, ours, the peers.
        let their_bare = parties.their_bare.as_ref().unwrap_or(&parties.bare);
        let all: Vec<&dyn Subject> = [&parties.bare, their_bare, &parties.ours]
            .into_iter()
            .chain(peers.iter().copied())
            .map(|subject| &**subject)
            .collect();
        let times = rounds(&all, job, Plan::of(group));
        for (peer, time) in peers.iter().zip(&times[3..]) {
            let (measure, ours, theirs) = match group.tasks {
                1 => ("ns", times[2] - times[0], time - times[1]),
                _ => ("rps", 1e9 / times[2], 1e9 / time),
            };
            let row = Row {
                scenario: group.scenario(job),
                measure,
                ours,
                peer: theirs,
                peer_name: peer.name().to_owned(),
            };
            println!("{row}");
        }
        if group.tasks == 1 && group.store == "memory" && job == Job::Untouched {
            let (ours, peer_name) = (times[0], "no sessions".to_owned());
            println!(
                "{}",
                Row {
                    scenario: "bare service".into(),
                    measure: "ns",
                    ours,
                    peer: ours,
                    peer_name
                }
            );
        }
    }
    Ok(())
}

/// How long to measure: so many rounds, each of so many milliseconds.
struct Plan {
    rounds: usize,
    millis: u64,
}

impl Plan {
    /// Where nobody else is waited for, rounds are shorter than the time for which a busy machine
    /// lets a thread run: so most of them are not interrupted, and the median is one of these.
    const ALONE: Self = Self {
        rounds: 151,
        millis: 1,
    };
    const SERVER: Self = Self {
        rounds: 31,
        millis: 20,
    };
    const MANY: Self = Self {
        rounds: 15,
        millis: 200,
    };

    fn of(group: &Group) -> Self {
        match (group.tasks, group.store) {
            (1, "memory" | "cookie") => Self::ALONE,
            (1, _) => Self::SERVER,
            _ => Self::MANY,
        }
    }
}

/// The median time of a request, in nanoseconds, of each subject.
fn rounds(subjects: &[&dyn Subject], job: Job, plan: Plan) -> Vec<f64> {
    let setting = |name| std::env::var(name).ok()?.parse().ok();
    let less = setting("BENCH_LESS").unwrap_or(1).max(1);
    let fewer = plan.rounds as u64 / less;
    let count = setting("BENCH_ROUNDS").unwrap_or(fewer).max(1) as usize;
    let length = Duration::from_millis(setting("BENCH_MILLIS").unwrap_or(plan.millis));
    let requests: Vec<u32> = subjects
        .iter()
        .map(|subject| {
            // The first requests warm everything up.
            subject.run(job, 64);
            let time = subject.run(job, 64).as_nanos().max(1);
            let requests = u32::try_from(64 * length.as_nanos() / time).unwrap_or(u32::MAX);
            // New sessions stay, so that each is made in a store that is fuller.
            requests.clamp(16, if job == Job::Create { 1500 } else { 1_000_000 })
        })
        .collect();
    let mut times = vec![Vec::with_capacity(count); subjects.len()];
    for round in 0..count {
        for turn in 0..subjects.len() {
            let index = (turn + round) % subjects.len();
            let time = subjects[index].run(job, requests[index]);
            times[index].push(time.as_nanos() as f64 / f64::from(requests[index]));
        }
    }
    times.into_iter().map(median).collect()
}

fn only(scenario: &str, who: &str, requests: u32, options: &Options) -> Result<(), BoxError> {
    for group in groups(options) {
        for job in Job::ALL {
            if group.scenario(job) == scenario {
                let subject = group.party(who, options)?;
                subject.run(job, requests);
                return Ok(());
            }
        }
    }
    Err(format!("no scenario {scenario}").into())
}

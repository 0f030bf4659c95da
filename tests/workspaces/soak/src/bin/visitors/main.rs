//! The visitors of the soak, and everything that the site runs on.
//!
//! The program starts a store of several nodes, three servers of the site and a balancer. It sends
//! visitors to the balancer, and disturbs the site by a timetable. Each visitor keeps a ledger of
//! what the site acknowledged, and compares it with what the site has. `tests/soak` runs this.

#![allow(clippy::cast_precision_loss, reason = "figures of a report")]

mod browser;
mod disturbances;
mod fleet;
mod lag;
mod leaving;
mod ledger;
mod logs;
mod memory;
mod options;
mod process;
mod report;
mod slot;
mod socket;
mod store;
mod timetable;
mod upload;
mod visitor;
mod world;

use std::error::Error;
use std::fmt::Display;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::iter;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout_at};

use crate::fleet::Fleet;
use crate::logs::Logged;
use crate::options::Options;
use crate::report::{Ending, Report};
use crate::store::Store;
use crate::visitor::Visitor;
use crate::world::World;

type BoxError = Box<dyn Error + Send + Sync>;

/// How long visitors may take to leave: an upload takes 20 s, and a socket 8 s to close.
const LEAVE: Duration = Duration::from_secs(60);
/// So many old cookies are tried at once.
const AT_ONCE: usize = 16;

fn main() -> Result<ExitCode, BoxError> {
    let options = Options::from_args(std::env::args().skip(1))?;
    let runtime = tokio::runtime::Runtime::new()?;
    match runtime.block_on(soak(&options))? {
        true => Ok(ExitCode::SUCCESS),
        false => Ok(ExitCode::FAILURE),
    }
}

/// Says whether every law held.
async fn soak(options: &Options) -> Result<bool, BoxError> {
    let kind = options.store;
    let store = Arc::new(spawn_blocking(move || Store::start(kind)).await?);
    let report_file = options.report.clone();
    let logs = report_file.as_deref().map_or_else(
        || PathBuf::from("soak-logs"),
        |file| file.with_extension("logs"),
    );
    let mut fleet = Fleet::start(store.url(), options.seed, &logs).await?;
    let world = Arc::new(World::new(fleet.base(), options));

    let samples = Arc::new(Mutex::default());
    let watch = memory::watch(fleet.running(), Arc::clone(&samples), options.lasts);
    let watching = tokio::spawn(watch);
    let watched = Arc::downgrade(&world);
    std::thread::spawn(move || lag::watch(&watched));
    let visitors: Vec<_> = (0..options.visitors)
        .map(|number| Ok(tokio::spawn(Visitor::new(&world, number)?.live())))
        .collect::<Result<_, BoxError>>()?;
    let disturbed = timetable::run(&world, &mut fleet, &store, kind, options.lasts).await;
    world.over.send_replace(true);
    let visitors_that_failed = wait_for(visitors, &world).await;
    // From here on an error is a fault of the run, and does not throw away what it has seen.
    let mut errors = 0;
    let mut note_error = |what: &str, error: &dyn Display| {
        world.note(&format!("{what}: {error}"));
        errors += 1;
    };
    if let Err(error) = &disturbed {
        note_error("the timetable broke off", error);
    }
    if let Err(error) = try_old_cookies(&world).await {
        note_error("old cookies were not tried again", &error);
    }
    watching.abort();
    let servers_ended_gently = fleet.stop().await.unwrap_or_else(|error| {
        note_error("the servers were not stopped", &error);
        false
    });
    // The servers of the store end with this value, and that takes its time.
    if let Err(error) = spawn_blocking(move || drop(store)).await {
        note_error("the store was not stopped", &error);
    }
    let ending = Ending {
        errors,
        timetable_was_kept: disturbed.is_ok(),
        logged: Logged::in_logs(&logs, &world.sessions_with_a_loss()),
        servers_ended_gently,
        visitors_that_failed,
    };
    let samples = samples.lock().unwrap_or_else(PoisonError::into_inner);
    let report = Report::of(options, &world, &samples, ending);
    // First it is printed: that cannot fail.
    let all_held = report.print();
    if let Some(file) = report_file {
        fs::write(file, serde_json::to_string_pretty(&report)?)?;
    }
    Ok(all_held)
}

/// Returns how many visitors failed, or did not leave in time.
async fn wait_for(visitors: Vec<JoinHandle<Result<(), BoxError>>>, world: &World) -> usize {
    let limit = Instant::now() + LEAVE;
    let mut failed = 0;
    for (number, visitor) in visitors.into_iter().enumerate() {
        let end = match timeout_at(limit, visitor).await {
            Ok(Ok(Ok(()))) => continue,
            Ok(Ok(Err(error))) => error.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "did not leave in time".to_owned(),
        };
        world.note(&format!("visitor-{number}: {end}"));
        failed += 1;
    }
    failed
}

/// Tries all cookies of former sessions once more.
async fn try_old_cookies(world: &Arc<World>) -> Result<(), BoxError> {
    let client = browser::bare_client()?;
    let old = std::mem::take(&mut world.seen().old_cookies);
    iter(old)
        .for_each_concurrent(AT_ONCE, |old| {
            let (world, client) = (Arc::clone(world), client.clone());
            async move { leaving::try_old(&world, &client, &old).await }
        })
        .await;
    Ok(())
}

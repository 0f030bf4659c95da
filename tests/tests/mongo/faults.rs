//! MongoDB fails under a constant load of readers and writers: what they see of it, and for how
//! long.
//!
//! Each test prints a line of a table; see them with `--nocapture`.

use std::time::{Duration, Instant};

use mongodb::bson::doc;
use session_core::{SessionManager, Timeouts};
use session_mongo::MongoStore;
use session_tests::load::{Call, Load, Outcome, Report};
use session_tests::servers::{MongoReplicaSet, MongoServer};
use session_tests::{create, numbers, open, patient_timeouts};
use tokio::task::{block_in_place, spawn_blocking};
use tokio::time::sleep;

/// The store's, if not set.
const DEADLINE: Duration = Duration::from_millis(1500);
const WRITERS: usize = 4;
/// So many that their writes share commands, which the driver does not resend.
const MANY: usize = 32;
/// What answers again is found within two heartbeats of the driver.
const BACK: Duration = Duration::from_millis(1500);
/// To elect a primary anew takes the set 2 s without one, and a vote; it is found as fast as any
/// other. On a busy machine a vote may fail and be repeated.
const ELECTED: Duration = Duration::from_secs(8);

async fn store(uri: &str) -> MongoStore {
    MongoStore::connect(uri).await.unwrap()
}

async fn set() -> MongoReplicaSet {
    spawn_blocking(MongoReplicaSet::start).await.unwrap()
}

/// For as long as a fault lasts, or a little that nothing happens before it.
async fn lasts(millis: u64) {
    sleep(Duration::from_millis(millis)).await;
}

/// A line for the table. Nothing that was acknowledged may be lost.
async fn finish(load: Load, scenario: &str, well: Duration, more: &str) -> Report {
    finish_within(DEADLINE, load, scenario, well, more).await
}

async fn finish_within(
    deadline: Duration,
    load: Load,
    scenario: &str,
    well: Duration,
    more: &str,
) -> Report {
    let lag = load.worst_lag().as_millis();
    let report = load.finish(deadline).await;
    report.print(
        scenario,
        well,
        &format!("{more} (machine late by {lag} ms)"),
    );
    assert_eq!((report.lost, report.gone), (0, 0));
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_primary_that_steps_down() {
    let set = set().await;
    for writers in [WRITERS, MANY] {
        let report = steps_down(&set, writers, Duration::from_secs(10)).await;
        assert_eq!(report.errors(), 0);
        // It takes a second until there is another primary, and more on a busy machine.
        let mut errors = Vec::new();
        while !errors.contains(&0) {
            assert!(errors.len() < 3, "errors each time: {errors:?}");
            errors.push(steps_down(&set, writers, DEADLINE).await.errors());
        }
    }
}

async fn steps_down(set: &MongoReplicaSet, writers: usize, deadline: Duration) -> Report {
    // The node says by itself that it steps down, so nothing has to be noticed by a timeout.
    let store = MongoStore::builder(set.patient_uri()).call_timeout(deadline);
    let store = store.connect().await.unwrap();
    let load = Load::start_with(store, writers, patient_timeouts()).await;
    lasts(300).await;
    let was = block_in_place(|| set.primary());
    block_in_place(|| set.step_down());
    let well = load.well_after(Instant::now(), ELECTED).await;
    assert_ne!(block_in_place(|| set.wait_for_primary()), was);
    let scenario = format!("step-down, {writers} writers, up to {deadline:?} a call");
    let report = finish_within(deadline, load, &scenario, well, "").await;
    // For so long the node that stepped down cannot be elected.
    lasts(10_000).await;
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_primary_that_is_killed_and_comes_back() {
    let set = set().await;
    let load = Load::start(store(&set.uri()).await, WRITERS).await;
    lasts(300).await;
    let primary = block_in_place(|| set.primary());
    let began = Instant::now();
    block_in_place(|| set.kill(primary));
    let well = load.well_after(began, ELECTED).await;
    let back = Instant::now();
    block_in_place(|| set.restart(primary));
    block_in_place(|| set.wait_ok());
    let rejoined = load.well_after(back, ELECTED).await;
    let more = format!("after its restart {} ms", rejoined.as_millis());
    let report = finish(load, "kill -9 of the primary, and its restart", well, &more).await;
    assert!(report.errors() > 0, "nobody noticed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_primary_that_hangs_for_a_while() {
    let set = set().await;
    let load = Load::start(store(&set.uri()).await, WRITERS).await;
    lasts(300).await;
    let primary = block_in_place(|| set.primary());
    let began = Instant::now();
    block_in_place(|| set.pause(primary));
    lasts(5000).await;
    // For a moment it takes itself for the primary.
    block_in_place(|| set.resume(primary));
    let well = load.well_after(began, ELECTED).await;
    let report = finish(load, "primary SIGSTOPped for 5 s", well, "").await;
    assert!(report.errors() > 0, "nobody noticed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_primary_that_hangs_for_good() {
    let set = set().await;
    let load = Load::start(store(&set.uri()).await, WRITERS).await;
    lasts(300).await;
    let primary = block_in_place(|| set.primary());
    let began = Instant::now();
    block_in_place(|| set.pause(primary));
    // The others may send their progress to the node that hangs for half a minute more; until then
    // the new primary hears of it by heartbeats, so writes wait for one. None fails.
    let mut well = Duration::ZERO;
    load.until("no call has failed for 2 s", ELECTED + BACK * 2, |calls| {
        let failed = |call: &&Call| call.outcome != Outcome::Done;
        let last = calls.iter().filter(failed).map(|call| call.end).max();
        let last = last.filter(|last| *last > began && last.elapsed() > Duration::from_secs(2));
        well = last.map_or(well, |last| last - began);
        let written =
            |call: &Call| !call.is_load && Some(call.end) > last && call.outcome == Outcome::Done;
        last.is_some() && calls.iter().any(written)
    })
    .await;
    assert!(well < ELECTED, "calls failed for {well:?}");
    let more = "no failure after that, writes may wait for heartbeats of the set";
    let report = finish(load, "primary SIGSTOPped for good", well, more).await;
    assert!(report.errors() > 0, "nobody noticed");
    block_in_place(|| set.resume(primary));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_set_that_is_down_as_a_whole() {
    let set = set().await;
    let load = Load::start(store(&set.uri()).await, WRITERS).await;
    lasts(300).await;
    block_in_place(|| (0..3).for_each(|i| set.kill(i)));
    let down = Instant::now();
    lasts(10_000).await;
    block_in_place(|| {
        std::thread::scope(|scope| {
            for node in set.nodes() {
                scope.spawn(|| node.restart());
            }
        });
        set.wait_for_primary();
    });
    let well = load.well_after(Instant::now(), BACK).await;
    load.until("it is looked at", BACK, |calls| {
        let since = down + Duration::from_secs(2);
        let dead =
            |call: &&Call| call.end - call.took > since && call.end < down + Duration::from_secs(9);
        assert!(calls.iter().any(|call| dead(&call)));
        // Nobody was found to send it to.
        let known = |call: &Call| call.outcome == Outcome::Unavailable;
        assert!(calls.iter().filter(dead).all(known));
        true
    })
    .await;
    finish(
        load,
        "all nodes down for 10 s",
        well,
        "after there was a primary",
    )
    .await;
}

/// A secondary from which the other one does not fetch: that one would need a second to find
/// another source, and writes with it.
fn leaf(set: &MongoReplicaSet) -> usize {
    let primary = set.primary();
    let (one, other) = ((primary + 1) % 3, (primary + 2) % 3);
    let status = set.nodes()[other].command("admin", doc! { "replSetGetStatus": 1 });
    let source = status.get_str("syncSourceHost").unwrap();
    match source == set.nodes()[one].address().to_string() {
        true => other,
        false => one,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_secondary_that_is_killed() {
    let set = set().await;
    let load = Load::start(store(&set.uri()).await, WRITERS).await;
    lasts(300).await;
    let secondary = block_in_place(|| leaf(&set));
    let began = Instant::now();
    block_in_place(|| set.kill(secondary));
    lasts(3000).await;
    let well = load.well_after(began, BACK).await;
    let report = finish(load, "kill -9 of a secondary", well, "").await;
    assert_eq!(report.errors(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_set_without_a_majority() {
    let set = set().await;
    let load = Load::start(store(&set.uri()).await, WRITERS).await;
    lasts(300).await;
    let primary = block_in_place(|| set.primary());
    let others = [(primary + 1) % 3, (primary + 2) % 3];
    block_in_place(|| others.into_iter().for_each(|i| set.kill(i)));
    let lost = Instant::now();
    // The primary goes on for 2 s, in which it takes writes that no other has.
    load.until("writes fail", DEADLINE * 4, |calls| {
        let failed = |call: &Call| !call.is_load && call.outcome == Outcome::Unknown;
        calls.iter().any(failed)
    })
    .await;
    load.until("it is looked at", BACK, |calls| {
        let since = |call: &&Call| call.end - call.took > lost;
        let read = calls.iter().filter(since).filter(|call| call.is_load);
        assert!(
            read.clone().any(|call| call.outcome == Outcome::Done),
            "reads go on"
        );
        let mut written = calls.iter().filter(since).filter(|call| !call.is_load);
        assert!(
            written.all(|call| call.outcome != Outcome::Done),
            "acknowledged by a minority"
        );
        true
    })
    .await;
    load.until(
        "reads fail, since nobody is the primary",
        DEADLINE * 6,
        |calls| {
            calls
                .iter()
                .any(|call| call.is_load && call.outcome == Outcome::Unavailable)
        },
    )
    .await;
    block_in_place(|| {
        others.into_iter().for_each(|i| set.restart(i));
        set.wait_for_primary();
    });
    let well = load.well_after(Instant::now(), BACK).await;
    let report = finish(load, "no majority", well, "after there was a primary").await;
    assert!(report.unknown > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_by_itself_that_is_killed_and_comes_back() {
    let server = MongoServer::start();
    let load = Load::start(store(&server.uri()).await, WRITERS).await;
    lasts(300).await;
    block_in_place(|| server.kill());
    lasts(1000).await;
    block_in_place(|| server.restart());
    let well = load.well_after(Instant::now(), BACK).await;
    let report = finish(load, "standalone, killed, back after 1 s", well, "").await;
    assert!(report.errors() > 0, "nobody noticed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_by_itself_that_hangs() {
    let server = MongoServer::start();
    let load = Load::start(store(&server.uri()).await, WRITERS).await;
    lasts(300).await;
    block_in_place(|| server.pause());
    lasts(4000).await;
    block_in_place(|| server.resume());
    let well = load.well_after(Instant::now(), BACK).await;
    let report = finish(load, "standalone, SIGSTOPped for 4 s", well, "").await;
    assert!(report.errors() > 0, "nobody noticed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_is_down_at_the_start() {
    let server = MongoServer::start();
    block_in_place(|| server.kill());
    let uri = format!("mongodb://{}/", server.address());
    let began = Instant::now();
    let error = MongoStore::connect(&uri).await.unwrap_err();
    assert!(
        began.elapsed() < DEADLINE + Duration::from_millis(250),
        "{:?}",
        began.elapsed()
    );
    let text = error.to_string();
    assert!(
        text.contains("are address, replicaSet and tls of the URI right"),
        "{text}"
    );

    let with_password = format!("mongodb://somebody:opensesame@{}/", server.address());
    let error = MongoStore::connect(&with_password).await.unwrap_err();
    let all = format!("{error} {error:?}");
    assert!(
        !all.contains("opensesame") && !all.contains("somebody"),
        "{all}"
    );

    let lazy = MongoStore::builder(&uri).lazy().await.unwrap();
    let load = Load::begin(lazy, WRITERS, Timeouts::default());
    lasts(1500).await;
    block_in_place(|| server.restart());
    let well = load.well_after(Instant::now(), BACK).await;
    let report = finish(load, "standalone, down at the start for 1.5 s", well, "").await;
    assert!(report.unavailable > 0);
    assert_eq!(report.unknown, 0, "nothing was sent");
    // What the lazy store keeps is what any other reads.
    let manager = SessionManager::new(store(&uri).await);
    let token = create(&manager, [("n", 1)]).await;
    assert_eq!(numbers(open(&manager, &token).await.session()).len(), 1);
}

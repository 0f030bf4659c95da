//! Redis fails under a constant load of readers and writers: what they see of it, and for how long.
//!
//! Each test prints a line of a table; see them with `--nocapture`.

use std::time::{Duration, Instant};

use session_core::store::StoreError;
use session_core::{Outcome, SessionError, SessionManager, Timeouts};
use session_redis::RedisStore;
use session_tests::load::{self, Load, Report};
use session_tests::servers::{Engine, RedisServer};
use session_tests::{Proxy, create, numbers, open};
use tokio::task::block_in_place;
use tokio::time::sleep;

/// The store's, if not set.
const DEADLINE: Duration = Duration::from_millis(1500);
const WRITERS: usize = 4;
/// A server that was away is found again within a pause between attempts and the time that an
/// attempt takes.
const BACK: Duration = Duration::from_secs(1);
/// A server that hung answers at once, but who asked it last may have to wait for another
/// connection.
const AWAKE: Duration = Duration::from_millis(1500);

/// With one connection, since some count how many are made.
async fn store(url: &str) -> RedisStore {
    let builder = RedisStore::builder(url).connections(1);
    builder.connect().await.unwrap()
}

/// For as long as a fault lasts, or a little that nothing happens before it.
async fn lasts(millis: u64) {
    sleep(Duration::from_millis(millis)).await;
}

/// Kills the server for a while; a line for the table.
async fn killed_for(server: &RedisServer, millis: u64, scenario: &str) -> Report {
    let load = Load::start(store(&server.url()).await, WRITERS).await;
    lasts(300).await;
    let killed = Instant::now();
    block_in_place(|| server.kill());
    lasts(millis).await;
    let back = Instant::now();
    block_in_place(|| server.restart());
    // It answers when `restart` returns, and may have done so before.
    let answers = Instant::now();
    let well = load.well_after(answers, BACK).await;
    let fast = load.worst_lag() + Duration::from_millis(100);
    load.until("it is looked at", BACK, |calls| {
        // Once calls have waited for a second, no more do.
        let patience = killed + Duration::from_millis(1100);
        let late = calls
            .iter()
            .filter(|call| call.end < back && call.end - call.took > patience);
        assert!(
            late.clone().all(|call| call.took <= fast),
            "no call waits for what is not there"
        );
        assert_eq!(late.count() > 0, millis > 1500);
        true
    })
    .await;
    let report = load.finish(DEADLINE).await;
    report.print(scenario, well, "");
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_restarts_is_found_again() {
    let server = RedisServer::start(Engine::Redis7);
    let report = killed_for(&server, 300, "killed, back after 0.3 s").await;
    assert!(report.gone > 0, "what is kept in memory only is gone");
    let report = killed_for(&server, 3000, "killed, back after 3 s").await;
    assert!(report.gone > 0, "what is kept in memory only is gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_server_has_on_disk_is_there_after_its_restart() {
    let server = RedisServer::builder(Engine::Redis7).persistent().start();
    for (millis, scenario) in [
        (300, "killed, back after 0.3 s, appendfsync always"),
        (3000, "killed, back after 3 s, appendfsync always"),
    ] {
        let report = killed_for(&server, millis, scenario).await;
        assert_eq!((report.lost, report.gone), (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_hangs_is_given_up_and_found_again() {
    let server = RedisServer::start(Engine::Redis7);
    let load = Load::start(store(&server.url()).await, WRITERS).await;
    let before = connections(&server);
    block_in_place(|| server.pause());
    lasts(5000).await;
    block_in_place(|| server.resume());
    let well = load.well_after(Instant::now(), AWAKE).await;
    let made = connections(&server) - before - 1;
    let report = load.finish(DEADLINE).await;
    report.print("SIGSTOP for 5 s", well, &format!("{made} connections"));
    assert_eq!((report.lost, report.gone), (0, 0));
    assert!(report.errors() > 0);
    assert!(
        (1..=8).contains(&made),
        "{made} connections for one that hung 5 s"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_is_busy_with_a_script_is_waited_for() {
    for (limit, scenario) in [
        ("60000", "busy with a script for 3 s"),
        ("100", "the same, answering BUSY"),
    ] {
        let server = RedisServer::start(Engine::Redis7);
        server.command(&["CONFIG", "SET", "busy-reply-threshold", limit]);
        let load = Load::start(store(&server.url()).await, WRITERS).await;
        let busy = "local s = redis.call('TIME') repeat local n = redis.call('TIME') \
            until (n[1] - s[1]) * 1000000 + n[2] - s[2] > 3000000 return 1";
        let done = block_in_place(|| server.command(&["EVAL", busy, "0"]));
        assert_eq!(done.text(), "1");
        let well = load.well_after(Instant::now(), AWAKE).await;
        let report = load.finish(DEADLINE).await;
        report.print(scenario, well, "");
        assert_eq!((report.lost, report.gone), (0, 0));
        assert!(report.errors() > 0);
    }
}

/// How many connections a server has accepted, this one included.
fn connections(server: &RedisServer) -> i64 {
    let info = server.command(&["INFO", "stats"]);
    info.field("total_connections_received")
        .unwrap()
        .parse()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn connections_that_are_killed_are_made_anew() {
    let server = RedisServer::start(Engine::Redis7);
    let load = Load::start(store(&server.url()).await, WRITERS).await;
    let before = connections(&server);
    let kills = 20;
    for _ in 0..kills {
        block_in_place(|| server.command(&["CLIENT", "KILL", "TYPE", "normal"]));
        lasts(100).await;
    }
    let well = load.well_after(Instant::now(), BACK).await;
    let made = connections(&server) - before - kills - 1;
    let report = load.finish(DEADLINE).await;
    report.print(
        "CLIENT KILL every 100 ms, 20 times",
        well,
        &format!("{made} connections"),
    );
    assert_eq!((report.lost, report.gone, report.failed_loads), (0, 0, 0));
    assert!(
        (1..=kills).contains(&made),
        "{made} connections for {kills} that were killed"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn scripts_that_are_forgotten_are_told_again() {
    let server = RedisServer::start(Engine::Redis7);
    let load = Load::start(store(&server.url()).await, WRITERS).await;
    for _ in 0..40 {
        block_in_place(|| server.command(&["SCRIPT", "FLUSH"]));
        lasts(25).await;
    }
    let well = load.well_after(Instant::now(), BACK).await;
    let report = load.finish(DEADLINE).await;
    report.print("SCRIPT FLUSH every 25 ms, 40 times", well, "");
    assert_eq!((report.errors(), report.lost, report.gone), (0, 0, 0));
    let info = server.command(&["INFO", "commandstats"]);
    assert!(
        info.field("cmdstat_eval").is_some(),
        "no script was ever forgotten"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_is_down_at_the_start() {
    let server = RedisServer::start(Engine::Redis7);
    block_in_place(|| server.kill());
    let began = Instant::now();
    let error = RedisStore::connect(server.url()).await.unwrap_err();
    assert!(
        began.elapsed() < Duration::from_millis(1500),
        "{:?}",
        began.elapsed()
    );
    let text = error.to_string();
    let port = server.port().to_string();
    assert!(text.contains(&port) && text.contains("refused"), "{text}");

    let lazy = RedisStore::builder(server.url()).lazy().unwrap();
    let load = Load::begin(lazy, WRITERS, Timeouts::default());
    lasts(1500).await;
    block_in_place(|| server.restart());
    let well = load.well_after(Instant::now(), BACK).await;
    let report = load.finish(DEADLINE).await;
    report.print("down at the start for 1.5 s", well, "");
    assert!(report.unavailable > 0);
    assert_eq!(report.unknown, 0, "nothing was sent");
    assert_eq!((report.lost, report.gone), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_without_memory_refuses_writes_and_answers_reads() {
    let server = RedisServer::start(Engine::Redis7);
    let load = Load::start(store(&server.url()).await, WRITERS).await;
    lasts(300).await;
    server.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let full = Instant::now() + Duration::from_millis(100);
    load.until("writes and reads were tried", BACK * 10, |calls| {
        let since = || calls.iter().filter(|call| call.end - call.took > full);
        since().filter(|call| call.is_load).count() > 50
            && since().filter(|call| !call.is_load).count() > 50
    })
    .await;
    load.until("it is looked at", BACK, |calls| {
        let since = calls.iter().filter(|call| call.end - call.took > full);
        for call in since {
            let expected = if call.is_load {
                load::Outcome::Done
            } else {
                load::Outcome::Unavailable
            };
            assert_eq!(call.outcome, expected);
        }
        true
    })
    .await;
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    let well = load.well_after(Instant::now(), BACK).await;
    let report = load.finish(DEADLINE).await;
    report.print("maxmemory reached", well, "");
    assert_eq!((report.unknown, report.lost, report.gone), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_without_memory_writes_nothing_by_halves() {
    let server = RedisServer::start(Engine::Redis7);
    let manager = SessionManager::new(store(&server.url()).await);
    let token = create(&manager, [("a", 1), ("b", 1)]).await;
    for (n, removes) in [(2, false), (3, true)] {
        server.command(&["CONFIG", "SET", "maxmemory", "1"]);
        let before = numbers(open(&manager, &token).await.session());
        let session = open(&manager, &token).await;
        session.insert("a", n).unwrap();
        session.insert(&format!("c{n}"), n).unwrap();
        if removes {
            session.remove("b");
        }
        let after = numbers(&session);
        let saved = session
            .finish(Outcome::Success)
            .await
            .map_err(SessionError::from);
        let stored = numbers(open(&manager, &token).await.session());
        // A script that has begun to write by removing something may go on.
        match saved {
            Ok(_) => assert_eq!(stored, after),
            Err(SessionError::Store(StoreError::Unavailable(_))) => assert_eq!(stored, before),
            Err(other) => panic!("{other:?}"),
        }
        server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    }
    let session = open(&manager, &token).await;
    session.insert("a", 9).unwrap();
    session.finish(Outcome::Success).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_accepts_and_never_answers() {
    let server = RedisServer::start(Engine::Redis7);
    let proxy = Proxy::start(server.address()).await;
    proxy.stall();
    let began = Instant::now();
    let error = RedisStore::connect(proxy.url()).await.unwrap_err();
    assert!(
        began.elapsed() < Duration::from_millis(1750),
        "{:?}",
        began.elapsed()
    );
    assert!(
        error.to_string().contains(&proxy.port().to_string()),
        "{error}"
    );

    let lazy = RedisStore::builder(proxy.url())
        .connections(1)
        .lazy()
        .unwrap();
    let load = Load::begin(lazy, WRITERS, Timeouts::default());
    lasts(4000).await;
    let made = proxy.connections();
    proxy.flow();
    // The attempt that was under way gets its answer.
    let well = load.well_after(Instant::now(), AWAKE).await;
    let report = load.finish(DEADLINE).await;
    report.print(
        "accepts and never answers for 4 s",
        well,
        &format!("{made} connections"),
    );
    assert_eq!((report.unknown, report.lost, report.gone), (0, 0, 0));
    assert!((3..=8).contains(&made), "{made} connections in 4 s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_way_that_is_blocked_for_a_while() {
    let server = RedisServer::start(Engine::Redis7);
    let proxy = Proxy::start(server.address()).await;
    let load = Load::start(store(&proxy.url()).await, WRITERS).await;
    let before = proxy.connections();
    proxy.stall();
    lasts(5000).await;
    let made = proxy.connections() - before;
    // What was held is passed on, long after its sender has given it up.
    proxy.flow();
    let well = load.well_after(Instant::now(), AWAKE).await;
    let report = load.finish(DEADLINE).await;
    report.print("half open for 5 s", well, &format!("{made} connections"));
    assert_eq!((report.lost, report.gone), (0, 0));
    assert!((1..=8).contains(&made), "{made} connections in 5 s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_closes_at_once_is_not_stormed() {
    let server = RedisServer::start(Engine::Redis7);
    let proxy = Proxy::start(server.address()).await;
    let load = Load::start(store(&proxy.url()).await, WRITERS).await;
    // The proxy accepts, and closes when the server refuses.
    block_in_place(|| server.kill());
    let before = proxy.connections();
    lasts(3000).await;
    let made = proxy.connections() - before;
    block_in_place(|| server.restart());
    let well = load.well_after(Instant::now(), BACK).await;
    let report = load.finish(DEADLINE).await;
    report.print(
        "closes at once for 3 s",
        well,
        &format!("{made} connections"),
    );
    // Pauses grow to a quarter of a second, less half of it by chance.
    assert!((8..=32).contains(&made), "{made} connections in 3 s");
}

//! The commands that are ever sent.

use std::sync::Arc;

use futures_util::future::join_all;
use session_core::store::conformance::Suite;
use session_core::store::{Record, Revalidated, SessionStore};
use session_core::{Clock, Lifetime, SessionId, SystemClock};
use session_redis::{Layout, RedisStore};
use session_tests::servers::{Engine, RedisServer};

use super::bench::{Bench, Seen};
use super::connect_with;

macro_rules! script {
    ($($part:literal),+) => {
        concat!($(include_str!(concat!("../../../../session-redis/src/lua/", $part, ".lua"))),+)
    };
}

/// That of scans. It has no key where one server has all of them.
const SCAN: &str = script!("scan");
/// The one that may have many keys, where one server has all of them.
const REVALIDATE: &str = script!("revalidate");
const SCRIPTS: [&str; 15] = [
    script!("adopt"),
    script!("look", "stand"),
    script!("confirm"),
    script!("look", "content", "examine"),
    script!("look", "content", "unchanged", "delete"),
    script!("look", "create"),
    script!("look", "delete"),
    script!("heal"),
    script!("index"),
    script!("look", "owner"),
    script!("look", "read"),
    REVALIDATE,
    script!("same", "look", "replace"),
    script!("look", "settle"),
    script!("plain", "update"),
];

/// Everything that a client sends after it has connected, in alphabetical order: each of these is
/// in the crate's documentation. And everything that the scripts call.
fn commands(layout: Layout) -> (Vec<&'static str>, Vec<&'static str>) {
    let (reads, lying): (&[_], &[_]) = match layout {
        Layout::Packed => (&["GET", "MGET"], &["GET", "GETRANGE", "SET"]),
        _ => (
            &["HGETALL"],
            &["HDEL", "HGET", "HGETALL", "HKEYS", "HMGET", "HSET"],
        ),
    };
    let mut called = [
        &[
            "EXISTS",
            "INFO",
            "PEXPIRE",
            "PTTL",
            "SCAN",
            "UNLINK",
            "ZADD",
            "ZREM",
            "ZREMRANGEBYSCORE",
            "ZSCORE",
        ],
        lying,
    ]
    .concat();
    called.sort_unstable();
    let sent = [
        &["EVAL", "EVALSHA"],
        reads,
        &["ZADD", "ZRANGE", "ZREM", "ZSCAN", "ZSCORE"],
    ];
    (sent.concat(), called)
}
const CONNECTING: [&str; 2] = ["HELLO", "CLIENT"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_else_is_ever_sent() {
    for layout in [Layout::Fields, Layout::Packed] {
        nothing_else_is_sent_in(layout).await;
    }
}

/// Questions that are one command. In the suite it is chance whether any are under way together.
async fn ask_together(store: &RedisStore) {
    let now = SystemClock.now();
    let mut known = Vec::new();
    for _ in 0..64 {
        let record = Record::new(SessionId::random().unwrap(), "id", Lifetime::default(), now);
        let key = store.create(&Arc::new(record), now).await.unwrap();
        let record = store.load(&key, now).await.unwrap().unwrap();
        known.push((key, record));
    }
    let questions = known
        .iter()
        .map(|(key, record)| store.revalidate(key, record, now));
    for answer in join_all(questions).await {
        assert!(matches!(answer.unwrap(), Revalidated::Unchanged));
    }
}

async fn nothing_else_is_sent_in(layout: Layout) {
    let server = RedisServer::start(Engine::Redis7);
    let bench = Bench::new(&server);
    let suite = Suite::new(|| async { connect_with(&server, layout).await }).rounds(8);
    let report = suite.run().await;
    assert!(report.is_success(), "{report}");
    ask_together(&connect_with(&server, layout).await).await;

    let seen = bench.monitor.seen();
    let (connecting, seen): (Vec<_>, Vec<_>) = seen
        .into_iter()
        .partition(|seen| CONNECTING.contains(&seen.name()));
    assert!(
        !connecting.is_empty() && seen.len() > 2_000,
        "{}",
        seen.len()
    );
    for each in &connecting {
        assert!(
            !each.inner && (each.name() == "HELLO" || each.words[1] == "SETINFO"),
            "{each:?}"
        );
    }
    let unique = |inner: bool| {
        let mut names: Vec<_> = seen
            .iter()
            .filter(|seen| seen.inner == inner)
            .map(Seen::name)
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    };
    let (sent, called) = commands(layout);
    assert_eq!(
        (unique(false), unique(true)),
        (sent.clone(), called.clone())
    );
    for each in &seen {
        let keys = match each.name() {
            // A scan asks a server for all its keys, and which server it is.
            "INFO" | "SCAN" if each.inner => continue,
            "EVALSHA" if each.words[2] == "0" => continue,
            "EVAL" if each.words[2] == "0" => {
                assert_eq!(each.words[1], SCAN, "{each:?}");
                continue;
            }
            _ => each.keys(),
        };
        assert!(!keys.is_empty(), "{each:?}");
        for key in keys {
            assert!(key.starts_with("session:"), "{each:?}");
        }
        // Outside of a script nothing is written but what creates nothing.
        match each.name() {
            "ZADD" if !each.inner => assert_eq!(each.words[2], "XX", "{each:?}"),
            "EVAL" => {
                assert!(SCRIPTS.contains(&&*each.words[1]), "{each:?}");
                assert!(keys.len() == 1 || each.words[1] == REVALIDATE, "{each:?}");
            }
            "EVALSHA" | "MGET" => assert!(keys.len() <= 64, "{each:?}"),
            _ => {}
        }
    }
    // What MONITOR keeps to itself is counted all the same.
    let mut counted: Vec<_> = bench.counted().into_keys().collect();
    counted.retain(|name| name != "HELLO" && name != "CLIENT|SETINFO");
    let mut all = [sent, called].concat();
    all.sort_unstable();
    all.dedup();
    // Which the test itself asks, too.
    all.retain(|name| *name != "INFO");
    assert_eq!(counted, all);
}

//! The commands that are ever sent.

use session_core::conformance::Suite;
use session_tests::servers::{Engine, RedisServer};

use super::bench::{Bench, Seen};
use super::connect;

const SCRIPTS: [&str; 7] = [
    include_str!("../../../session-redis/src/lua/confirm.lua"),
    include_str!("../../../session-redis/src/lua/create.lua"),
    include_str!("../../../session-redis/src/lua/delete.lua"),
    include_str!("../../../session-redis/src/lua/heal.lua"),
    include_str!("../../../session-redis/src/lua/index.lua"),
    include_str!("../../../session-redis/src/lua/settle.lua"),
    include_str!("../../../session-redis/src/lua/update.lua"),
];

/// Everything that a client sends after it has connected. Each of these is in the crate's documentation.
const SENT: [&str; 7] = ["EVAL", "EVALSHA", "HGET", "HGETALL", "ZADD", "ZRANGE", "ZREM"];
/// Everything that the scripts call.
const CALLED: [&str; 14] = [
    "EXISTS",
    "HDEL",
    "HGET",
    "HGETALL",
    "HKEYS",
    "HMGET",
    "HSET",
    "PEXPIRE",
    "PTTL",
    "UNLINK",
    "ZADD",
    "ZREM",
    "ZREMRANGEBYSCORE",
    "ZSCORE",
];
const CONNECTING: [&str; 2] = ["HELLO", "CLIENT"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_else_is_ever_sent() {
    let server = RedisServer::start(Engine::Redis7);
    let bench = Bench::new(&server);
    let suite = Suite::new(|| async { connect(&server).await }).rounds(8);
    let report = suite.run().await;
    assert!(report.is_success(), "{report}");

    let seen = bench.monitor.seen();
    let (connecting, seen): (Vec<_>, Vec<_>) = seen
        .into_iter()
        .partition(|seen| CONNECTING.contains(&seen.name()));
    assert!(!connecting.is_empty() && seen.len() > 2_000, "{}", seen.len());
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
    assert_eq!((unique(false), unique(true)), (SENT.to_vec(), CALLED.to_vec()));
    for each in &seen {
        assert!(each.key().starts_with("session:"), "{each:?}");
        // Outside of a script nothing is written but what creates nothing.
        match each.name() {
            "ZADD" if !each.inner => assert_eq!(each.words[2], "XX", "{each:?}"),
            "EVAL" => assert!(
                SCRIPTS.contains(&&*each.words[1]) && each.words[2] == "1",
                "{each:?}"
            ),
            "EVALSHA" => assert_eq!(each.words[2], "1", "{each:?}"),
            _ => {}
        }
    }
    // What MONITOR keeps to itself is counted all the same.
    let mut counted: Vec<_> = bench.counted().into_keys().collect();
    counted.retain(|name| name != "HELLO" && name != "CLIENT|SETINFO");
    let mut all: Vec<_> = SENT
        .iter()
        .chain(&CALLED)
        .map(|name| (*name).to_owned())
        .collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(counted, all);
}

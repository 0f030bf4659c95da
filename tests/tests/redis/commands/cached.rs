//! What requests cost with the cache of records, in one process and in two.

use session_core::store::CacheStats;
use session_core::{Outcome, SessionManager};
use session_redis::{Layout, RedisStore};
use session_tests::servers::{Engine, RedisServer};
use session_tests::{anonymous, open, token_of};

use super::bench::Bench;
use super::insert;
use super::requests::warm_up;

/// What a layout costs: to create, to look, to read what another process wrote, and to write. Of a
/// script: what it calls.
struct Costs {
    layout: Layout,
    create: &'static str,
    /// The command that looks, and what it calls.
    looks: [&'static str; 2],
    /// The same where another process wrote.
    reads: [&'static str; 2],
    writes: &'static str,
    plain_read: &'static str,
    /// Bytes of the session.
    size: usize,
}

const COSTS: [Costs; 3] = [
    Costs {
        layout: Layout::Fields,
        create: super::CREATE,
        looks: ["evalsha", "hget"],
        reads: ["evalsha", "hget hgetall"],
        writes: "hmget hset",
        plain_read: "hgetall",
        size: 8,
    },
    Costs {
        layout: Layout::Packed,
        create: "exists set",
        looks: ["get", ""],
        reads: ["get", ""],
        writes: "getrange set",
        plain_read: "get",
        size: 8,
    },
    Costs {
        layout: Layout::Packed,
        create: "exists set",
        looks: ["evalsha", "getrange"],
        reads: ["evalsha", "getrange get"],
        writes: "getrange set",
        plain_read: "get",
        size: 2000,
    },
];

#[tokio::test]
async fn a_read_is_one_command_whatever_the_cache_holds() {
    for costs in COSTS {
        let server = RedisServer::start(Engine::Redis7);
        let connect = async || {
            let builder = RedisStore::builder(server.url()).layout(costs.layout);
            let store = crate::connect(builder).await;
            warm_up(&store).await;
            (SessionManager::new(store.clone()), store)
        };
        let ((here, store), (there, other)) = (connect().await, connect().await);
        let bench = Bench::new(&server);
        let write = async |manager: &SessionManager, token: &str, number| {
            let session = open(manager, token).await;
            insert(&session, "a", number);
            session.finish(Outcome::Success).await.unwrap();
        };
        let read = async |manager: &SessionManager, token: &str| {
            open(manager, token).await.get::<u64>("a").unwrap()
        };
        let create = async {
            let session = anonymous(&here).await;
            insert(&session, "a", 1);
            session.insert("text", "x".repeat(costs.size)).unwrap();
            token_of(&session.finish(Outcome::Success).await.unwrap())
        };
        let before = [store.cache_stats(), other.cache_stats()];
        let token = bench.costs("create", "evalsha", costs.create, create).await;

        // Who has written it has it.
        let seen = bench.costs("hit", costs.looks[0], costs.looks[1], read(&here, &token));
        assert_eq!(seen.await, Some(1));
        let seen = bench.costs("absent", costs.plain_read, "", read(&there, &token));
        assert_eq!(seen.await, Some(1));

        let outside = [costs.looks[0], "evalsha"].join(" ");
        let inside = [costs.looks[1], costs.writes].join(" ");
        let written = bench.costs(
            "write",
            &outside,
            inside.trim_start(),
            write(&there, &token, 2),
        );
        written.await;
        let seen = bench.costs("hit", costs.looks[0], costs.looks[1], read(&there, &token));
        assert_eq!(seen.await, Some(2));
        let seen = bench.costs("miss", costs.reads[0], costs.reads[1], read(&here, &token));
        assert_eq!(seen.await, Some(2));
        // What others have changed is read whole, until they no longer do.
        let seen = bench.costs("changing", costs.plain_read, "", read(&here, &token));
        assert_eq!(seen.await, Some(2));
        let seen = bench.costs("hit", costs.looks[0], costs.looks[1], read(&here, &token));
        assert_eq!(seen.await, Some(2));

        // What has ended there is gone here.
        let session = open(&there, &token).await;
        session.destroy().unwrap();
        session.finish(Outcome::Success).await.unwrap();
        let seen = bench.costs("ended", costs.reads[0], costs.reads[1], read(&here, &token));
        assert_eq!(seen.await, None);
        // Neither a mark nor an absence is kept.
        let seen = bench.costs("ended", costs.plain_read, "", read(&here, &token));
        assert_eq!(seen.await, None);
        let after = [store.cache_stats(), other.cache_stats()];
        let held = |all: [CacheStats; 2]| all.map(|stats| (stats.records, stats.bytes));
        assert_eq!(held(after), held(before), "{:?}", costs.layout);
    }
}

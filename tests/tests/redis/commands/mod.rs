//! Which commands a request costs, counted and listened to on the server.

mod all;
mod bench;
mod cached;
mod devices;
mod packed;
mod requests;

use session_core::{Outcome, Session, SessionManager};
use session_redis::{Layout, RedisStore};
use session_tests::servers::{Engine, RedisServer};
use session_tests::{anonymous, open, patient_timeouts, token_of};

use bench::Bench;

/// What the script of a creation calls.
const CREATE: &str = "exists hset pexpire";

/// Without a cache.
async fn connect(server: &RedisServer) -> RedisStore {
    connect_with(server, Layout::default()).await
}

/// Without a cache.
async fn connect_with(server: &RedisServer, layout: Layout) -> RedisStore {
    let builder = RedisStore::builder(server.url()).layout(layout);
    crate::connect(builder.cache_bytes(0)).await
}

fn insert(session: &Session, key: &str, number: u64) {
    session.insert(key, number).unwrap();
}

#[tokio::test]
async fn a_script_is_sent_once() {
    for engine in Engine::ALL {
        let server = RedisServer::start(engine);
        let store = connect(&server).await;
        let manager = SessionManager::builder(store)
            .timeouts(patient_timeouts())
            .build()
            .unwrap();
        let bench = Bench::new(&server);
        let create = async || {
            let session = anonymous(&manager).await;
            insert(&session, "a", 1);
            token_of(&session.finish(Outcome::Success).await.unwrap())
        };
        let add = async |token: &str, key: &str| {
            let session = open(&manager, token).await;
            insert(&session, key, 2);
            session.finish(Outcome::Success).await.unwrap();
        };
        let (added, again) = ("hgetall evalsha eval", "hgetall evalsha");
        let token = bench.costs("first", "evalsha eval", CREATE, create()).await;
        bench.costs("second", "evalsha", CREATE, create()).await;
        bench
            .costs("first", added, "hmget hset", add(&token, "b"))
            .await;
        bench
            .costs("second", again, "hmget hset", add(&token, "c"))
            .await;

        assert_eq!(server.command(&["SCRIPT", "FLUSH"]).text(), "OK");
        bench
            .costs("forgotten", added, "hmget hset", add(&token, "d"))
            .await;
        bench
            .costs("known", again, "hmget hset", add(&token, "e"))
            .await;
        bench
            .costs("forgotten", "evalsha eval", CREATE, create())
            .await;
        let numbers = session_tests::numbers(open(&manager, &token).await.session());
        assert_eq!(numbers.into_keys().collect::<String>(), "abcde", "{engine}");
    }
}

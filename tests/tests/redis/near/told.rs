//! What a server tells.

use std::time::{Duration, Instant};

use session_core::Ended;
use session_core::store::{NearCache, PrincipalIndex, SessionStore};
use session_redis::{Layout, RedisStore};
use session_tests::servers::{Engine, RedisServer};

use super::{Written, near, now};
use crate::connect;

/// So long that what is seen within the limit below was told.
const LEASE: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_secs(15);

/// How many commands the server has got that read sessions.
fn reads(server: &RedisServer) -> u64 {
    let info = server.command(&["INFO", "commandstats"]);
    let calls = |name: &str| {
        let stats = info.field(&format!("cmdstat_{name}"))?;
        let calls = stats.strip_prefix("calls=")?.split(',').next()?;
        calls.parse::<u64>().ok()
    };
    let names = ["hgetall", "get", "evalsha", "eval"];
    names.iter().filter_map(|name| calls(name)).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_within_a_lease_costs_no_command() {
    let server = RedisServer::start(Engine::Redis7);
    for (layout, connections) in [(Layout::Fields, 1), (Layout::Packed, 3)] {
        let builder = || {
            RedisStore::builder(server.url())
                .layout(layout)
                .connections(connections)
        };
        let store = connect(near(builder(), LEASE)).await;
        let sessions = [
            Written::by(&connect(builder()).await).await,
            Written::by(&store).await,
        ];
        for session in &sessions {
            session.is_leased_to(&store).await;
        }
        let before = reads(&server);
        for _ in 0..100 {
            for session in &sessions {
                assert_eq!(session.read(&store).await.unwrap(), Some(1));
            }
        }
        assert_eq!(reads(&server), before);
    }
}

/// Whoever changes a session, and however.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_change_is_told() {
    for engine in [Engine::Redis7, Engine::Valkey9, Engine::Redis8] {
        let server = RedisServer::start(engine);
        for (layout, connections) in [(Layout::Fields, 1), (Layout::Packed, 3)] {
            let builder = || {
                RedisStore::builder(server.url())
                    .layout(layout)
                    .connections(connections)
            };
            let store = connect(near(builder(), LEASE)).await;
            let writer = connect(builder()).await;
            let session = Written::by(&writer).await;
            for _ in 0..10 {
                session.is_leased_to(&store).await;
                let version = session.write().await;
                session
                    .is_seen_by(&store, Some(version), Instant::now(), SOON)
                    .await;
            }
            // So is one that leaves the session as it was.
            session.is_leased_to(&store).await;
            server.command(&["PEXPIRE", &session.name(), "600000"]);
            let asked = || store.cache_stats().unchanged;
            let (before, began) = (asked(), Instant::now());
            while asked() == before {
                session.read(&store).await.unwrap();
                assert!(began.elapsed() < SOON);
            }
            for gone in ["UNLINK", "PEXPIRE", "FLUSHALL", "delete", "delete_all_of"] {
                let session = Written::by(&writer).await;
                let name = session.name();
                session.is_leased_to(&store).await;
                match gone {
                    "UNLINK" => drop(server.command(&["UNLINK", &name])),
                    "PEXPIRE" => {
                        server.command(&["PEXPIRE", &name, "50"]);
                    }
                    "FLUSHALL" => drop(server.command(&["FLUSHALL"])),
                    "delete" => writer.delete(&session.key, Ended::default()).await.unwrap(),
                    _ => {
                        let ours = super::principal(&writer, "user:1").await;
                        ours.is_leased_to(&store).await;
                        let count = writer.delete_all_of("user:1", None, Ended::default());
                        assert_eq!(count.await.unwrap(), 1);
                        ours.is_seen_by(&store, None, Instant::now(), SOON).await;
                        continue;
                    }
                }
                session.is_seen_by(&store, None, Instant::now(), SOON).await;
            }
            // It goes on.
            let session = Written::by(&writer).await;
            session.is_leased_to(&store).await;
        }
    }
}

/// A process is not told of its own write later than it reads it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_own_write_is_read_at_once() {
    let server = RedisServer::start(Engine::Redis7);
    let builder = RedisStore::builder(server.url()).connections(2);
    let store = connect(near(builder, LEASE)).await;
    let session = Written::by(&store).await;
    for _ in 0..200 {
        let version = session.write().await;
        assert_eq!(session.read(&store).await.unwrap(), Some(version));
        session.is_leased_to(&store).await;
    }
}

/// A sign-out that waits returns when nobody serves the session any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_end_returns_after_every_lease() {
    const LEASE: Duration = Duration::from_millis(300);
    let server = RedisServer::start(Engine::Redis7);
    let settings = NearCache::new(LEASE).with_waiting_ends();
    let node = || RedisStore::builder(server.url()).near_cache(settings);
    let (store, other) = (connect(node()).await, connect(node()).await);
    let session = Written::by(&other).await;
    session.is_leased_to(&store).await;
    let began = Instant::now();
    other.delete(&session.key, Ended::default()).await.unwrap();
    assert!(began.elapsed() >= LEASE);
    let read = store.load(&session.key, now()).await.unwrap();
    assert!(read.is_none_or(|record| record.ended().is_some()));
}

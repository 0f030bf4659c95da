//! Reads and writes of two processes race: no change is missed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use session_redis::{Layout, RedisStore, RedisStoreBuilder};
use session_tests::servers::{Engine, RedisCluster, RedisServer};
use tokio::time::sleep;

use super::{Written, near};
use crate::connect;

/// So long that what is missed is served until the test has failed.
const LEASE: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_secs(15);
const READERS: usize = 6;
const SESSIONS: usize = 4;
const ROUNDS: u32 = 60;

/// Readers never rest. After each burst of writes all of them have to see the last one soon.
async fn race(builder: impl Fn() -> RedisStoreBuilder) {
    let store = connect(near(builder(), LEASE)).await;
    let writer = connect(builder()).await;
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        sessions.push(Arc::new(Written::by(&writer).await));
    }
    for session in &sessions {
        session.is_leased_to(&store).await;
    }
    let over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..READERS)
        .map(|reader| {
            let (store, over) = (store.clone(), Arc::clone(&over));
            let session = Arc::clone(&sessions[reader % SESSIONS]);
            tokio::spawn(async move {
                let mut last = 0;
                while !over.load(Ordering::Relaxed) {
                    let version = session.read(&store).await.unwrap().unwrap();
                    assert!(last <= version, "version {version} after {last}");
                    last = version;
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    let mut longest = Duration::ZERO;
    for round in 0..ROUNDS {
        let session = &sessions[round as usize % SESSIONS];
        let mut version = 0;
        for _ in 0..=round % 4 {
            version = session.write().await;
        }
        let stale = session
            .is_seen_by(&store, Some(version), Instant::now(), SOON)
            .await;
        longest = longest.max(stale);
        sleep(Duration::from_micros(u64::from(round % 7) * 300)).await;
    }
    over.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    let stats = store.cache_stats();
    println!("racing: seen after {longest:?} at most; {stats:?}");
    assert!(stats.leased > stats.unchanged + stats.changed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_one_server() {
    let server = RedisServer::start(Engine::Redis7);
    for (layout, connections) in [
        (Layout::Fields, 1),
        (Layout::Packed, 1),
        (Layout::Fields, 4),
    ] {
        race(|| {
            RedisStore::builder(server.url())
                .layout(layout)
                .connections(connections)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_a_cluster() {
    let cluster = RedisCluster::start(Engine::Redis7);
    for connections in [1, 2] {
        race(|| RedisStore::builder(cluster.url()).connections(connections)).await;
    }
}

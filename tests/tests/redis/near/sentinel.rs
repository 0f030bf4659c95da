//! Sentinel promotes a replica.

use std::time::{Duration, Instant};

use session_redis::RedisStore;
use session_tests::servers::{Engine, RedisSentinel};
use tokio::task::block_in_place;

use super::{LIMIT, Written, is_replicated, near};
use crate::connect;

const LEASE: Duration = Duration::from_millis(500);

fn url(sentinel: &RedisSentinel) -> String {
    let ports = sentinel.sentinel_ports();
    let hosts: Vec<_> = ports
        .iter()
        .map(|port| format!("127.0.0.1:{port}"))
        .collect();
    format!("redis-sentinel://{}#mymaster", hosts.join(","))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_replica_that_is_promoted() {
    for killed in [true, false] {
        let sentinel = RedisSentinel::start(Engine::Redis7);
        let builder = RedisStore::builder(url(&sentinel)).connections(2);
        let store = near(builder, LEASE).connect().await.unwrap();
        let old = sentinel.master();
        let writer = connect(RedisStore::builder(sentinel.servers()[old].url())).await;
        let session = Written::by(&writer).await;
        session.is_leased_to(&store).await;
        block_in_place(|| {
            is_replicated(&sentinel.servers()[old], &session);
            let port = sentinel.master_port();
            match killed {
                true => sentinel.kill(old),
                false => sentinel.failover(),
            }
            sentinel.wait_for_failover(port);
        });
        // By the one that was promoted, as the sentinels say.
        let new = &sentinel.servers()[1 - old];
        let writer = connect(RedisStore::builder(new.url())).await;
        let session = Written { writer, ..session };
        let version = session.write_again().await;
        let stale = session
            .is_seen_by(&store, Some(version), Instant::now(), LEASE)
            .await;
        println!("Sentinel, killed: {killed}: served for {stale:?}");
        session.is_leased_to(&store).await;
        assert!(stale < LIMIT);
    }
}

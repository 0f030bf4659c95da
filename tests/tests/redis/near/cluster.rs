//! In a Cluster.

use std::time::{Duration, Instant};

use session_redis::RedisStore;
use session_tests::servers::{Engine, RedisCluster, RedisServer};
use tokio::task::block_in_place;

use super::{Written, is_replicated, near};
use crate::connect;
use crate::faults_cluster::{begin_to_move, end_to_move, new_node};

const LEASE: Duration = Duration::from_millis(500);
/// So long that what is seen within the limit below was told.
const LONG: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_secs(15);

/// Sessions on each master.
async fn sessions(cluster: &RedisCluster) -> Vec<Written> {
    let writer = connect(RedisStore::builder(cluster.url())).await;
    let mut sessions: Vec<Written> = Vec::new();
    let mut masters = Vec::new();
    while masters.len() < 3 {
        let session = Written::by(&writer).await;
        let master = block_in_place(|| cluster.master_of(&session.name()));
        if !masters.contains(&master) {
            masters.push(master);
            sessions.push(session);
        }
    }
    sessions
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_primary_tells_of_every_change() {
    let cluster = RedisCluster::start(Engine::Redis7);
    for connections in [1, 2] {
        let builder = RedisStore::builder(cluster.url()).connections(connections);
        let store = connect(near(builder, LONG)).await;
        for session in sessions(&cluster).await {
            for _ in 0..5 {
                session.is_leased_to(&store).await;
                let version = session.write().await;
                session
                    .is_seen_by(&store, Some(version), Instant::now(), SOON)
                    .await;
            }
            session.is_leased_to(&store).await;
            block_in_place(|| {
                let node = &cluster.nodes()[cluster.master_of(&session.name())];
                node.command(&["UNLINK", &session.name()]);
            });
            session.is_seen_by(&store, None, Instant::now(), SOON).await;
        }
        for session in sessions(&cluster).await {
            session.is_leased_to(&store).await;
            block_in_place(|| {
                let node = &cluster.nodes()[cluster.master_of(&session.name())];
                node.command(&["FLUSHALL"]);
            });
            session.is_seen_by(&store, None, Instant::now(), SOON).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_slot_that_moves() {
    let cluster = RedisCluster::start(Engine::Redis7);
    let store = connect(near(RedisStore::builder(cluster.url()), LEASE)).await;
    let sessions = sessions(&cluster).await;
    let (session, other) = (&sessions[0], &sessions[1]);
    session.is_leased_to(&store).await;
    let nodes = cluster.nodes();
    let [old, known] = [session, other]
        .map(|session| &nodes[block_in_place(|| cluster.master_of(&session.name()))]);
    block_in_place(|| begin_to_move(old, known, &session.name()));
    // Readers are led to the other node, and ask the old one first still.
    for _ in 0..5 {
        is_seen_and_leased(session, &store).await;
    }
    block_in_place(|| end_to_move(old, known, &session.name()));
    for _ in 0..5 {
        is_seen_and_leased(session, &store).await;
    }
    // It joins now, so nobody has a connection to it.
    let new = block_in_place(|| new_node(&cluster));
    session.is_leased_to(&store).await;
    block_in_place(|| {
        begin_to_move(known, &new, &session.name());
        end_to_move(known, &new, &session.name());
    });
    for _ in 0..5 {
        is_seen_and_leased(session, &store).await;
    }
}

async fn is_seen_and_leased(session: &Written, store: &RedisStore) {
    let version = session.write_again().await;
    session
        .is_seen_by(store, Some(version), Instant::now(), LEASE)
        .await;
    session.is_leased_to(store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_primary_that_is_replaced() {
    let cluster = RedisCluster::start_to_fail_over(&RedisServer::builder(Engine::Redis7));
    let store = near(RedisStore::builder(cluster.url()), LEASE);
    let store = store.connect().await.unwrap();
    let session = sessions(&cluster).await.remove(0);
    for killed in [false, true] {
        session.is_leased_to(&store).await;
        let old = block_in_place(|| cluster.master_of(&session.name()));
        block_in_place(|| {
            cluster.wait_ok();
            let replica = cluster.replicas_of(old)[0];
            is_replicated(&cluster.nodes()[old], &session);
            let new = if killed {
                cluster.kill(old);
                replica
            } else {
                cluster.order_fail_over(old)
            };
            cluster.nodes()[new].wait_until(&["ROLE"], |role| role.items()[0].text() == "master");
            cluster.wait_ok();
        });
        let version = session.write_again().await;
        let stale = session
            .is_seen_by(&store, Some(version), Instant::now(), LEASE)
            .await;
        println!("Cluster, killed: {killed}: served for {stale:?}");
        session.is_leased_to(&store).await;
    }
}

/// A primary that hangs says nothing of what it has changed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_primary_that_hangs_ends_all_leases() {
    let cluster = RedisCluster::start_to_fail_over(&RedisServer::builder(Engine::Redis7));
    let store = near(RedisStore::builder(cluster.url()), LEASE);
    let store = store.connect().await.unwrap();
    let sessions = sessions(&cluster).await;
    for session in &sessions {
        session.is_leased_to(&store).await;
    }
    let hangs = block_in_place(|| cluster.master_of(&sessions[0].name()));
    block_in_place(|| cluster.pause(hangs));
    tokio::time::sleep(LEASE).await;
    let before = store.cache_stats().leased;
    for session in &sessions[1..] {
        let _ = session.read(&store).await;
    }
    assert_eq!(store.cache_stats().leased, before);
    block_in_place(|| cluster.resume(hangs));
    block_in_place(|| cluster.wait_ok());
    for session in &sessions {
        session.is_leased_to(&store).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_may_not_be_told_gets_no_store() {
    let user = "user shop on >secret ~* +@all";
    let cluster = RedisCluster::start_from(&RedisServer::builder(Engine::Redis7).config(user));
    let builder = || {
        let builder = RedisStore::builder(cluster.url());
        builder.username("shop").password("secret")
    };
    connect(near(builder(), LEASE)).await;
    for lacks in ["-client|tracking", "-cluster|info", "-cluster|nodes"] {
        for node in cluster.nodes() {
            let set = node.command(&["ACL", "SETUSER", "shop", "+@all", lacks]);
            assert_eq!(set.text(), "OK");
        }
        connect(builder()).await;
        let error = near(builder(), LEASE).connect().await.unwrap_err();
        assert!(error.to_string().contains("permission"), "{error}");
    }
}

//! A server, or the way there, fails.

use std::time::{Duration, Instant};

use session_redis::RedisStore;
use session_tests::Proxy;
use session_tests::servers::{Engine, RedisCluster, RedisServer, wait_until};
use tokio::runtime::{Builder, Handle};
use tokio::task::block_in_place;

use super::{LIMIT, Written, near};
use crate::connect;

const LEASE: Duration = Duration::from_millis(500);

/// A store with the timeouts that it has if nothing is set.
async fn usual(url: &str, connections: usize) -> RedisStore {
    let builder = RedisStore::builder(url).connections(connections);
    near(builder, LEASE).connect().await.unwrap()
}

/// The way to the server swallows all there is, and nobody hears of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_way_that_is_half_open() {
    let server = RedisServer::start(Engine::Redis7);
    for connections in [1, 3] {
        let proxy = Proxy::start(server.address()).await;
        let store = usual(&proxy.url(), connections).await;
        let session = Written::by(&connect(RedisStore::builder(server.url())).await).await;
        session.is_leased_to(&store).await;
        proxy.stall();
        let version = session.write().await;
        let written = Instant::now();
        let wait = session.is_seen_by(&store, Some(version), written, LEASE);
        let (stale, ()) = tokio::join!(wait, async {
            tokio::time::sleep(LEASE * 3).await;
            proxy.flow();
        });
        println!("half open, {connections} connections: served for {stale:?}");
        session.is_leased_to(&store).await;
    }
}

/// Requests reach the server, and its replies and what it tells do not come.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn connections_that_are_cut() {
    let server = RedisServer::start(Engine::Redis7);
    let proxy = Proxy::start(server.address()).await;
    let store = usual(&proxy.url(), 2).await;
    let session = Written::by(&connect(RedisStore::builder(server.url())).await).await;
    for round in 0..20 {
        session.is_leased_to(&store).await;
        match round % 2 {
            0 => proxy.drop_connections().await,
            _ => drop(block_in_place(|| {
                server.command(&["CLIENT", "KILL", "TYPE", "normal"])
            })),
        }
        let version = session.write_again().await;
        session
            .is_seen_by(&store, Some(version), Instant::now(), LEASE)
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_hangs() {
    let server = RedisServer::start(Engine::Redis7);
    let store = usual(&server.url(), 2).await;
    let session = Written::by(&connect(RedisStore::builder(server.url())).await).await;
    session.is_leased_to(&store).await;
    block_in_place(|| server.pause());
    let paused = Instant::now();
    // What is leased is served; then everybody asks, and fails.
    let failed = loop {
        let began = Instant::now();
        match session.read(&store).await {
            Ok(read) => {
                assert_eq!(read, Some(1));
                assert!(began - paused < LEASE, "nobody can have renewed it");
            }
            Err(_) => break began - paused,
        }
        assert!(paused.elapsed() < LIMIT);
        tokio::time::sleep(super::PAUSE).await;
    };
    println!("SIGSTOP: reads ask after {failed:?}");
    block_in_place(|| server.resume());
    let version = session.write_again().await;
    session
        .is_seen_by(&store, Some(version), Instant::now(), LEASE)
        .await;
    session.is_leased_to(&store).await;
}

/// A server that was restarted has told nobody that it forgot everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_restarts() {
    let server = RedisServer::start(Engine::Redis7);
    let store = usual(&server.url(), 2).await;
    let writer = connect(RedisStore::builder(server.url())).await;
    let session = Written::by(&writer).await;
    session.is_leased_to(&store).await;
    block_in_place(|| server.kill());
    let killed = Instant::now();
    block_in_place(|| server.restart());
    session.is_seen_by(&store, None, killed, LEASE).await;
    let session = Written::by(&writer).await;
    session.is_leased_to(&store).await;
}

/// What is not told must not be served: there is no store without tracking.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_may_not_be_told_gets_no_store() {
    let server = RedisServer::start(Engine::Redis7);
    let may = ["on", ">secret", "~*", "+@all"];
    for (lacks, other) in [("-client|tracking", "+ping"), ("-ping", "+client|tracking")] {
        let mut set = vec!["ACL", "SETUSER", "shop", "reset"];
        set.extend(may);
        set.extend([lacks, other]);
        assert_eq!(server.command(&set).text(), "OK");
        let builder = || {
            let builder = RedisStore::builder(server.url());
            builder.username("shop").password("secret")
        };
        connect(builder()).await;
        let error = near(builder(), LEASE).connect().await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("permission"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_dropped_leaves_nothing() {
    let server = RedisServer::start(Engine::Redis7);
    let cluster = RedisCluster::start(Engine::Redis7);
    for (url, node) in [
        (server.url(), &server),
        (cluster.url(), &cluster.nodes()[0]),
    ] {
        let before = alive();
        let store = usual(&url, 2).await;
        let session = Written::by(&store).await;
        session.is_leased_to(&store).await;
        assert!(alive() > before);
        drop((store, session));
        block_in_place(|| {
            wait_until("no task to be left", LIMIT, || alive() == before);
            wait_until("nobody to be told", LIMIT, || tracking(node) == 0);
        });
    }
}

fn alive() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// How many clients are told of changes.
fn tracking(server: &RedisServer) -> u64 {
    let info = server.command(&["INFO", "clients"]);
    info.field("tracking_clients").unwrap().parse().unwrap()
}

/// Leases end with the runtime that learns of changes.
#[test]
fn a_store_outlives_the_runtime_that_it_began_in() {
    let server = RedisServer::start(Engine::Redis7);
    let runtime = || Builder::new_current_thread().enable_all().build().unwrap();
    let first = runtime();
    let (store, session) = first.block_on(async {
        let store = usual(&server.url(), 2).await;
        let session = Written::by(&store).await;
        session.is_leased_to(&store).await;
        (store, session)
    });
    drop(first);
    server.command(&["UNLINK", &session.name()]);
    let second = runtime();
    assert_eq!(second.block_on(session.read(&store)).unwrap(), None);
    second.block_on(async {
        let session = Written::by(&store).await;
        session.is_leased_to(&store).await;
    });
}

//! The connections of a store: how calls share them, who replaces one that hangs, and where they
//! end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use session_core::{Outcome, SessionManager, Timeouts};
use session_redis::RedisStore;
use session_tests::load::Load;
use session_tests::servers::{Engine, RedisServer, wait_until};
use session_tests::{Proxy, create, open, patient};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;
use tokio::task::{block_in_place, yield_now};

/// The store's, if not set.
const DEADLINE: Duration = Duration::from_millis(1500);
const LIMIT: Duration = Duration::from_secs(10);

/// A way to a server that swallows all there is on its present connections, and on no later ones,
/// without a word.
struct Way {
    port: u16,
    made: Arc<AtomicUsize>,
    swallowed: watch::Sender<usize>,
}

impl Way {
    async fn to(server: &RedisServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = server.address();
        let way = Self {
            port: listener.local_addr().unwrap().port(),
            made: Arc::default(),
            swallowed: watch::Sender::default(),
        };
        let (made, swallowed) = (Arc::clone(&way.made), way.swallowed.subscribe());
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let number = made.fetch_add(1, Ordering::Relaxed) + 1;
                let mut swallowed = swallowed.clone();
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(upstream).await.unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => return,
                        _ = swallowed.wait_for(|last| number <= *last) => {}
                    }
                    // Neither side hears of it.
                    tokio::time::sleep(LIMIT * 6).await;
                });
            }
        });
        way
    }

    fn swallow(&self) {
        self.swallowed.send_replace(self.made());
    }

    fn made(&self) -> usize {
        self.made.load(Ordering::Relaxed)
    }

    async fn store(&self) -> RedisStore {
        let url = format!("redis://127.0.0.1:{}", self.port);
        one(&url).await
    }
}

/// A store of one connection, wherever this runs.
async fn one(url: &str) -> RedisStore {
    let builder = RedisStore::builder(url).connections(1);
    builder.connect().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_connection_that_leads_nowhere_is_replaced() {
    let server = RedisServer::start(Engine::Redis7);
    let way = Way::to(&server).await;
    let load = Load::start(way.store().await, 4).await;
    way.swallow();
    let from = Instant::now();
    // A write that was swallowed waits until its deadline.
    load.well_after(from, DEADLINE + Duration::from_millis(250))
        .await;
    let report = load.finish(DEADLINE).await;
    assert_eq!((report.failed_loads, report.lost, report.gone), (0, 0, 0));
    assert_eq!(way.made(), 2);
}

/// Whoever calls is less patient than the store would be: no call ever waits as long as the store
/// takes to give a connection up.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_connection_that_leads_nowhere_is_replaced_for_the_impatient() {
    let server = RedisServer::start(Engine::Redis7);
    for millis in [100, 400] {
        let way = Way::to(&server).await;
        let timeouts = Timeouts::default().with_call(Duration::from_millis(millis));
        let load = Load::start_with(way.store().await, 4, timeouts).await;
        way.swallow();
        load.well_after(Instant::now(), Duration::from_secs(2))
            .await;
        let report = load.finish(timeouts.call()).await;
        assert!(report.dropped > 0);
        assert_eq!((report.lost, report.gone), (0, 0));
        assert_eq!(way.made(), 2);
    }
}

/// A read waits in vain behind one whose answer is late. It is not sent again before the connection
/// counts as silent and is replaced: the same connection would not answer it either.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_read_that_is_sent_again_takes_another_connection() {
    // There is time for it even if the machine stands still for a second.
    let deadline = DEADLINE * 4;
    let server = RedisServer::start(Engine::Redis7);
    let proxy = Proxy::start(server.address()).await;
    let store = RedisStore::builder(proxy.url()).connections(1);
    let manager = patient(store.call_timeout(deadline).connect().await.unwrap());
    let token = create(&manager, [("n", 1)]).await;
    let key = server.command(&["KEYS", "*"]).items()[0].to_string();
    let other = create(&manager, [("n", 2)]).await;
    proxy.swallow_request(key.as_bytes());
    proxy.stall();
    let late = async {
        tokio::time::sleep(deadline / 10).await;
        proxy.flow();
    };
    // The other one is sent first, or its answer would be taken for that of the read.
    let (other, read, ()) = tokio::join!(open(&manager, &other), open(&manager, &token), late);
    assert_eq!(other.get("n").unwrap(), Some(2));
    assert_eq!(read.get("n").unwrap(), Some(1));
    assert_eq!(proxy.connections(), 2);
}

/// Calls that end early again and again say nothing about a connection that answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_are_dropped_half_way_leave_the_connection_as_it_was() {
    let server = RedisServer::start(Engine::Redis7);
    let way = Way::to(&server).await;
    let manager = SessionManager::new(way.store().await);
    let token = create(&manager, [("n", 0)]).await;
    let tasks = alive();
    let mut done = 0;
    for i in 0..1000 {
        let request = async {
            let session = manager.begin(&[&token]).await.unwrap();
            session
                .update("n", |n: Option<u64>| n.unwrap_or(0) + 1)
                .unwrap();
            session.finish(Outcome::Success).await.unwrap();
        };
        tokio::select! {
            biased;
            () = request => done += 1,
            () = turns(i % 50) => {}
        }
    }
    let session = open(&manager, &token).await;
    let stored = session.get::<usize>("n").unwrap().unwrap();
    assert!(
        (done..=1000).contains(&stored),
        "{done} were done, {stored} are there"
    );
    assert!(done < 1000, "none was dropped");
    session.insert("n", 7).unwrap();
    session.finish(Outcome::Success).await.unwrap();
    assert_eq!(way.made(), 1);
    settles("nothing that was dropped goes on", || alive() <= tasks);
}

async fn turns(count: usize) {
    for _ in 0..count {
        yield_now().await;
    }
}

fn alive() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

fn settles(what: &str, holds: impl FnMut() -> bool) {
    block_in_place(|| wait_until(what, LIMIT, holds));
}

/// How many clients a server has by TCP.
fn clients(server: &RedisServer) -> usize {
    let list = server.command(&["CLIENT", "LIST", "TYPE", "normal"]).text();
    list.lines()
        .filter(|client| client.contains(" addr=127.0.0.1:"))
        .count()
}

/// Each connection is watched and replaced by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_connections_share_the_sessions() {
    // So many that each connection has some.
    const SESSIONS: usize = 32;
    let server = RedisServer::start(Engine::Redis7);
    let way = Way::to(&server).await;
    let url = format!("redis://127.0.0.1:{}", way.port);
    let store = RedisStore::builder(&url).connections(3);
    let store = store.connect().await.unwrap();
    assert_eq!((clients(&server), way.made()), (3, 3));
    let load = Load::start(store, SESSIONS).await;
    let used = server.command(&["CLIENT", "LIST", "TYPE", "normal"]).text();
    let used = used.lines().filter(|client| {
        client.contains(" addr=127.0.0.1:")
            && ["hgetall", "evalsha"]
                .iter()
                .any(|name| client.contains(&format!("cmd={name}")))
    });
    assert_eq!(used.count(), 3, "every connection has its part");
    way.swallow();
    load.well_after(Instant::now(), DEADLINE + Duration::from_millis(250))
        .await;
    let report = load.finish(DEADLINE).await;
    assert_eq!((report.failed_loads, report.lost, report.gone), (0, 0, 0));
    assert_eq!(way.made(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_dropped_leaves_nothing() {
    let server = RedisServer::start(Engine::Redis7);
    let before = alive();
    let store = one(&server.url()).await;
    let copy = store.clone();
    drop(store);
    let manager = SessionManager::new(copy);
    create(&manager, [("n", 1)]).await;
    assert_eq!(clients(&server), 1);
    drop(manager);
    settles("no client is left", || clients(&server) == 0);
    settles("no task is left", || alive() == before);
    let several = RedisStore::builder(server.url()).connections(4);
    let several = several.connect().await.unwrap();
    assert_eq!(clients(&server), 4);
    drop(several);
    settles("no client is left of four", || clients(&server) == 0);
    settles("no task is left of four", || alive() == before);

    // Also while it tries to connect.
    server.pause();
    let lazy = RedisStore::builder(server.url()).lazy().unwrap();
    let manager = SessionManager::new(lazy);
    let token = "A".repeat(43);
    assert!(manager.begin(&[&token]).await.is_err());
    assert!(alive() > before);
    drop(manager);
    settles("no task is left of one that never connected", || {
        alive() == before
    });
    server.resume();
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn a_store_outlives_the_runtime_that_it_began_in() {
    let server = RedisServer::start(Engine::Redis7);
    let url = server.url();
    let first = runtime();
    let manager = SessionManager::new(first.block_on(RedisStore::connect(&url)).unwrap());
    let token = first.block_on(create(&manager, [("n", 1)]));
    drop(first);
    for n in 2..6_u64 {
        let next = runtime();
        next.block_on(async {
            // It was not sent on a connection that nobody serves, so nothing about it is unknown.
            create(&manager, [("first", n)]).await;
            let session = open(&manager, &token).await;
            session.insert("n", n).unwrap();
            session.finish(Outcome::Success).await.unwrap();
            assert_eq!(open(&manager, &token).await.get("n").unwrap(), Some(n));
        });
    }
    drop(manager);
    wait_until("no client is left", LIMIT, || clients(&server) == 0);
}

#[test]
fn a_runtime_that_ends_while_it_connects_is_in_nobodys_way() {
    let server = RedisServer::start(Engine::Redis7);
    let outer = Runtime::new().unwrap();
    let proxy = outer.block_on(Proxy::start(server.address()));
    proxy.stall();
    let store = RedisStore::builder(proxy.url()).lazy().unwrap();
    let manager = SessionManager::new(store);
    let first = runtime();
    let token = "A".repeat(43);
    let opened = first.block_on(async {
        tokio::time::timeout(Duration::from_millis(300), manager.begin(&[&token])).await
    });
    assert!(opened.is_err(), "{opened:?}");
    drop(first);
    proxy.flow();
    let began = Instant::now();
    runtime().block_on(create(&manager, [("n", 1)]));
    assert!(began.elapsed() < DEADLINE);
}

/// Requests that end with their runtime have waited for a server that hangs, and give its
/// connection up when nobody can make another.
#[test]
fn a_runtime_ends_while_a_server_hangs() {
    let server = RedisServer::start(Engine::Redis7);
    let store = Runtime::new()
        .unwrap()
        .block_on(RedisStore::connect(server.url()))
        .unwrap();
    let manager = SessionManager::new(store);
    for _ in 0..3 {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(create(&manager, [("n", 1)]));
        server.pause();
        for _ in 0..8 {
            let manager = manager.clone();
            runtime.spawn(async move { create(&manager, [("n", 1)]).await });
        }
        // Longer than a connection may be silent, shorter than they wait.
        std::thread::sleep(Duration::from_millis(1200));
        let (ended, end) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            drop(runtime);
            ended.send(()).unwrap();
        });
        end.recv_timeout(LIMIT).expect("the runtime does not end");
        server.resume();
    }
    runtime().block_on(create(&manager, [("n", 1)]));
}

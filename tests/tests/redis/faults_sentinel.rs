//! A Redis server behind Sentinel fails under a constant load of readers and writers: what they see
//! of it, and for how long.
//!
//! Each test prints a line of a table; see them with `--nocapture`.

use std::time::{Duration, Instant};

use session_core::SessionManager;
use session_redis::RedisStore;
use session_tests::create;
use session_tests::load::Load;
use session_tests::servers::{Engine, RedisSentinel, RedisServer, Reply};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::task::block_in_place;
use tokio::time::sleep;

/// The store's, if not set.
const DEADLINE: Duration = Duration::from_millis(1500);
const WRITERS: usize = 4;
/// Once the sentinels have agreed on another master, who needs it has only to ask.
const FOUND: Duration = Duration::from_secs(2);
/// What sentinels need to change two servers that are well.
const CHANGE: Duration = Duration::from_secs(4);

async fn store(sentinel: &RedisSentinel) -> RedisStore {
    let ports = sentinel.sentinel_ports();
    let hosts: Vec<_> = ports
        .iter()
        .map(|port| format!("127.0.0.1:{port}"))
        .collect();
    let url = format!(
        "redis-sentinel://{}#{}",
        hosts.join(","),
        sentinel.master_name()
    );
    RedisStore::connect(url).await.unwrap()
}

async fn lasts(millis: u64) {
    sleep(Duration::from_millis(millis)).await;
}

/// Load on two servers, of which the second has what the first has.
async fn begin(sentinel: &RedisSentinel) -> Load {
    let load = Load::start(store(sentinel).await, WRITERS).await;
    // A replica that was just served gets the first writes up to a second later.
    block_in_place(|| {
        let is_complete = |names: &Reply| names.items().len() == WRITERS;
        sentinel.servers()[1].wait_until(&["KEYS", "session:*"], is_complete);
    });
    load
}

/// How long after `from`, when the first master failed, all was well. How long sentinels need to
/// agree is their business: who misses a majority of them at first has to wait for 10 s.
async fn well_after_failover(sentinel: &RedisSentinel, load: &Load, from: Instant) -> Duration {
    block_in_place(|| sentinel.wait_for_failover(sentinel.servers()[0].port()));
    let agreed = Instant::now();
    load.well_after(agreed, FOUND).await + (agreed - from)
}

/// How long after `from` a server got its first call of a script. Replicas get what scripts do, and
/// no calls.
fn first_write(server: &RedisServer, from: Instant) -> Duration {
    server.wait_until(&["INFO", "commandstats"], |info| {
        info.field("cmdstat_evalsha").is_some()
    });
    from.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_master_that_dies_is_replaced() {
    let sentinel = RedisSentinel::start(Engine::Redis7);
    let load = begin(&sentinel).await;
    lasts(300).await;
    block_in_place(|| sentinel.kill(0));
    let well = well_after_failover(&sentinel, &load, Instant::now()).await;
    let report = load.finish(DEADLINE).await;
    report.print("Sentinel: master killed", well, "from its death");
    assert_eq!(report.gone, 0);
    assert!(report.errors() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_master_that_hangs_is_replaced() {
    let sentinel = RedisSentinel::start(Engine::Redis7);
    let load = begin(&sentinel).await;
    lasts(300).await;
    block_in_place(|| sentinel.pause(0));
    let well = well_after_failover(&sentinel, &load, Instant::now()).await;
    block_in_place(|| sentinel.resume(0));
    let resumed = Instant::now();
    let again = load.well_after(resumed, CHANGE).await;
    // It still takes itself for the master, until a sentinel tells it otherwise.
    block_in_place(|| sentinel.wait_ok());
    let report = load.finish(DEADLINE).await;
    report.print(
        "Sentinel: master SIGSTOP",
        well,
        &format!("from its stop; {} ms after it went on", again.as_millis()),
    );
    assert_eq!(report.gone, 0);
    assert!(report.errors() > 0);
}

/// Makes the replica the master while both are well, and one of the sentinels perhaps not.
async fn change_places(hangs: bool, scenario: &str) {
    let sentinel = RedisSentinel::start(Engine::Redis7);
    let load = begin(&sentinel).await;
    if hangs {
        block_in_place(|| sentinel.sentinels()[0].pause());
    }
    let old = sentinel.servers()[0].port();
    let from = Instant::now();
    let moved = block_in_place(|| {
        sentinel.sentinels()[1]
            .wait_until(&["SENTINEL", "FAILOVER", sentinel.master_name()], |reply| {
                !reply.is_error()
            });
        sentinel.sentinels()[1].wait_until(
            &[
                "SENTINEL",
                "GET-MASTER-ADDR-BY-NAME",
                sentinel.master_name(),
            ],
            |address| address.items()[1].text() != old.to_string(),
        );
        // From here on who asks is told.
        first_write(&sentinel.servers()[1], Instant::now())
    });
    let well = load.well_after(from, CHANGE).await;
    // The former master takes in what it is told, and forgets what it has alone.
    if hangs {
        block_in_place(|| sentinel.sentinels()[0].resume());
    }
    block_in_place(|| sentinel.wait_ok());
    let report = load.finish(DEADLINE).await;
    let more = format!(
        "from the command; {} ms from the sentinels' word to the first write",
        moved.as_millis()
    );
    report.print(scenario, well, &more);
    assert_eq!(report.gone, 0);
    assert!(
        moved < Duration::from_secs(2),
        "the former master was written to for {moved:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn servers_that_change_places() {
    change_places(false, "Sentinel: SENTINEL FAILOVER").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn servers_that_change_places_while_a_sentinel_hangs() {
    change_places(true, "Sentinel: SENTINEL FAILOVER, a sentinel hangs").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_sentinel_that_is_no_good_is_in_nobodys_way() {
    for hangs in [false, true] {
        let sentinel = RedisSentinel::start(Engine::Redis7);
        let load = begin(&sentinel).await;
        // The first of the URL: the one that is listened to first.
        block_in_place(|| match hangs {
            true => sentinel.sentinels()[0].pause(),
            false => sentinel.sentinels()[0].kill(),
        });
        lasts(300).await;
        block_in_place(|| sentinel.kill(0));
        let well = well_after_failover(&sentinel, &load, Instant::now()).await;
        let report = load.finish(DEADLINE).await;
        let scenario = match hangs {
            true => "Sentinel: master killed, a sentinel hangs",
            false => "Sentinel: master killed, a sentinel is dead",
        };
        report.print(scenario, well, "from its death");
        assert_eq!(report.gone, 0);
        assert!(report.errors() > 0);
    }
}

#[test]
fn a_store_outlives_the_runtime_that_it_began_in() {
    let sentinel = RedisSentinel::start(Engine::Redis7);
    let runtime = || Builder::new_current_thread().enable_all().build().unwrap();
    let first = runtime();
    let manager = SessionManager::new(first.block_on(store(&sentinel)));
    drop(first);
    let second = runtime();
    second.block_on(create(&manager, [("n", 1)]));
    // The sentinels are listened to again, too.
    sentinel.failover();
    let replica = &sentinel.servers()[1];
    second.block_on(async {
        while replica
            .command(&["INFO", "commandstats"])
            .field("cmdstat_evalsha")
            .is_none()
        {
            sleep(Duration::from_millis(20)).await;
            create(&manager, [("n", 1)]).await;
        }
    });
}

/// Answers as a sentinel does that knows a primary on this port, and of so many changes; after a
/// while.
async fn sentinel_that_says(primary: u16, changes: u16, after: Duration) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok(read @ 1..) = client.read(&mut buffer).await {
                    let requests = String::from_utf8_lossy(&buffer[..read]).to_uppercase();
                    for request in requests.split('*').skip(1) {
                        let answer = if request.contains("HELLO") {
                            "%1\r\n$5\r\nproto\r\n:3\r\n".to_owned()
                        } else if request.contains("GET-MASTER-ADDR-BY-NAME") {
                            sleep(after).await;
                            format!("*2\r\n$9\r\n127.0.0.1\r\n$5\r\n{primary}\r\n")
                        } else if request.contains("SENTINEL") {
                            format!("%1\r\n$12\r\nconfig-epoch\r\n:{changes}\r\n")
                        } else {
                            "+OK\r\n".to_owned()
                        };
                        let _ = client.write_all(answer.as_bytes()).await;
                    }
                }
            });
        }
    });
    port
}

/// The former primary takes itself for the primary still, and so do most sentinels, which answer
/// first.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_sentinel_is_believed_that_knows_of_the_latest_change() {
    let former = RedisServer::start(Engine::Redis7);
    let present = RedisServer::start(Engine::Redis7);
    let late = Duration::from_millis(50);
    let ports = [
        sentinel_that_says(former.port(), 1, Duration::ZERO).await,
        sentinel_that_says(present.port(), 2, late).await,
        sentinel_that_says(former.port(), 1, Duration::ZERO).await,
        // It hangs.
        sentinel_that_says(former.port(), 1, Duration::from_secs(60)).await,
    ];
    let hosts = ports.map(|port| format!("127.0.0.1:{port}")).join(",");
    for _ in 0..3 {
        let store = RedisStore::connect(format!("redis-sentinel://{hosts}#any"))
            .await
            .unwrap();
        create(&SessionManager::new(store), [("n", 1)]).await;
    }
    let count = |server: &RedisServer| server.command(&["DBSIZE"]).integer();
    assert_eq!((count(&former), count(&present)), (0, 3));
}

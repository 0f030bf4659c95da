//! `Session::ended` on real servers, by two processes: how long a socket stays open after a
//! sign-out on another node, and how many commands it costs to watch.
//!
//! The figures that the guide names are those of `WATCH_INTERVAL_MS=5000`.

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use session_core::store::SessionStore;
use session_core::{EndReason, Outcome, SessionManager};
use session_mongo::MongoStore;
use session_redis::RedisStore;
use session_tests::servers::{Engine, MongoServer, RedisCluster, RedisServer};
use session_tests::{PATIENCE, open, patient_timeouts, sign_in};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::sleep;

const SESSIONS: usize = 100;
const SOCKETS_OF_EACH: usize = 10;
const INTERVALS: u32 = 12;
const STORE: &str = "WATCHING_STORE";
/// What a busy machine may add to a wait.
const SLACK: Duration = Duration::from_secs(2);

fn interval() -> Duration {
    let millis = env::var("WATCH_INTERVAL_MS").map_or(250, |millis| millis.parse().unwrap());
    Duration::from_millis(millis)
}

async fn manager(url: &str) -> SessionManager {
    let builder = if url.starts_with("mongodb") {
        let store = MongoStore::builder(url).call_timeout(PATIENCE);
        builder(store.connect().await.unwrap())
    } else {
        let store = RedisStore::builder(url).call_timeout(PATIENCE);
        builder(store.connect().await.unwrap())
    };
    builder.build().unwrap()
}

fn builder(store: impl SessionStore) -> session_core::SessionManagerBuilder {
    SessionManager::builder(store)
        .timeouts(patient_timeouts())
        .watch_interval(interval())
}

fn millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

/// The other node: it signs out whom it is told to, and says when that was done.
///
/// It blocks while it reads, so the drivers need threads of their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a process of the tests below"]
async fn another_node() {
    let Ok(url) = env::var(STORE) else { return };
    let manager = manager(&url).await;
    println!("ready 0");
    for principal in std::io::stdin().lines() {
        let ended = manager.sign_out_everywhere(&principal.unwrap()).await;
        assert_eq!(ended.unwrap(), 1);
        println!("done {}", millis());
    }
}

/// The process of the other node.
struct OtherNode {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl OtherNode {
    fn start(url: &str) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args([
                "watching::another_node",
                "--exact",
                "--ignored",
                "--nocapture",
            ])
            .env(STORE, url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut node = Self { child, output };
        node.read("ready ");
        node
    }

    /// The number after the next such word.
    fn read(&mut self, word: &str) -> u64 {
        loop {
            let mut line = String::new();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "it has ended");
            if let Some((_, number)) = line.split_once(word) {
                return number.trim().parse().unwrap();
            }
        }
    }

    /// Signs somebody out there; when that was acknowledged.
    fn sign_out(&mut self, principal: &str) -> u64 {
        writeln!(self.child.stdin.as_mut().unwrap(), "{principal}").unwrap();
        self.read("done ")
    }
}

impl Drop for OtherNode {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}

/// A socket that was closed: whose, and when.
type Closed = (String, u64);

/// Opens the sockets of somebody who has just signed in.
async fn open_sockets(manager: &SessionManager, name: &str, closed: &UnboundedSender<Closed>) {
    let (token, _) = sign_in(manager, name).await;
    for _ in 0..SOCKETS_OF_EACH {
        let session = open(manager, &token).await;
        session.finish(Outcome::Success).await.unwrap();
        let (ended, closed, name) = (session.ended(), closed.clone(), name.to_owned());
        tokio::spawn(async move {
            assert_eq!(ended.await.reason, EndReason::Revoked);
            closed.send((name, millis())).unwrap();
        });
    }
}

/// The waits of all sockets, each from the sign-out of its principal, sorted.
async fn waits(
    closed: &mut UnboundedReceiver<Closed>,
    signed_out: &BTreeMap<String, u64>,
) -> Vec<u64> {
    let mut waits = Vec::new();
    for _ in 0..signed_out.len() * SOCKETS_OF_EACH {
        let next = tokio::time::timeout(interval() + SLACK * 5, closed.recv()).await;
        let (name, at) = next.unwrap().unwrap();
        waits.push(at.saturating_sub(signed_out[&name]));
    }
    waits.sort_unstable();
    waits
}

/// How many commands it costs to watch, and in how many intervals.
async fn cost_of_watching(name: &str, loads: impl Fn() -> u64) -> (u64, f64) {
    let (mut cost, mut intervals) = (0, 0.0);
    // In some span a busy machine may come late to many of them, but not in each.
    for _ in 0..10 {
        let (start, before) = (Instant::now(), loads());
        sleep(interval() * INTERVALS).await;
        cost = loads() - before;
        intervals = start.elapsed().as_secs_f64() / interval().as_secs_f64();
        let share = cost as f64 / (intervals * SESSIONS as f64);
        assert!(
            share <= 1.1,
            "{name}: {cost} commands in {intervals:.1} intervals"
        );
        if share >= 0.7 {
            return (cost, intervals);
        }
    }
    panic!("{name}: only {cost} commands in {intervals:.1} intervals");
}

async fn watched(name: &str, url: &str, loads: impl Fn() -> u64) {
    let (here, mut there) = (manager(url).await, OtherNode::start(url));
    let (closed, mut closings) = unbounded_channel();
    let names: Vec<_> = (0..SESSIONS).map(|n| format!("user:{n}")).collect();
    for name in &names {
        open_sockets(&here, name, &closed).await;
    }
    sleep(interval()).await;
    let (cost, intervals) = cost_of_watching(name, loads).await;

    let mut signed_out = BTreeMap::new();
    for (n, name) in names.iter().enumerate() {
        signed_out.insert(name.clone(), there.sign_out(name));
        // At all times within an interval.
        sleep(interval() * (n as u32 % 7) / 23).await;
    }
    let far = waits(&mut closings, &signed_out).await;

    let mut signed_out = BTreeMap::new();
    for name in names.iter().take(20) {
        open_sockets(&here, name, &closed).await;
    }
    sleep(interval() / 2).await;
    for name in names.iter().take(20) {
        assert_eq!(here.sign_out_everywhere(name).await.unwrap(), 1);
        signed_out.insert(name.clone(), millis());
    }
    let near = waits(&mut closings, &signed_out).await;
    println!(
        "{name}: {} sockets of {SESSIONS} sessions, asked each {:?}: {cost} commands in \
         {intervals:.1} intervals; from a sign-out in another process to the closed socket {} ms \
         at most, {} in the middle; in this process {} ms at most",
        SESSIONS * SOCKETS_OF_EACH,
        interval(),
        far[far.len() - 1],
        far[far.len() / 2],
        near[near.len() - 1],
    );
    let longest = Duration::from_millis(far[far.len() - 1]);
    assert!(longest <= interval() + SLACK, "{name}: {longest:?}");
}

fn calls(server: &RedisServer, command: &str) -> u64 {
    let stats = server.command(&["INFO", "commandstats"]).text();
    let prefix = format!("cmdstat_{command}:calls=");
    let line = stats.lines().find_map(|line| line.strip_prefix(&prefix));
    line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redis() {
    let server = RedisServer::start(Engine::Redis7);
    watched("Redis", &server.url(), || calls(&server, "hget")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redis_cluster() {
    let cluster = RedisCluster::start(Engine::Redis7);
    let loads = || {
        let nodes = cluster.nodes().iter();
        nodes.map(|node| calls(node, "hget")).sum()
    };
    watched("Redis Cluster", &cluster.url(), loads).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn mongodb() {
    let server = MongoServer::start();
    let loads = || {
        let status = server.command("admin", mongodb::bson::doc! { "serverStatus": 1 });
        let metrics = status.get_document("metrics").unwrap();
        let find = metrics.get_document("commands").unwrap();
        let total = find.get_document("find").unwrap().get_i64("total");
        u64::try_from(total.unwrap()).unwrap()
    };
    watched("MongoDB", &server.patient_uri(), loads).await;
}

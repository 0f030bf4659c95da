//! Nodes of a Redis Cluster fail under a constant load of readers and writers: what they see of it,
//! and for how long.
//!
//! Each test prints a line of a table; see them with `--nocapture`.

use std::time::{Duration, Instant};

use session_core::{Ended, Outcome, SessionManager, Timeouts};
use session_redis::RedisStore;
use session_tests::load::Load;
use session_tests::servers::{Engine, NODE_TIMEOUT, RedisCluster, RedisServer, Reply, wait_until};
use session_tests::{create, open};
use tokio::runtime::Builder;
use tokio::task::block_in_place;
use tokio::time::sleep;

/// The store's, if not set.
const DEADLINE: Duration = Duration::from_millis(1500);
/// On three masters.
const WRITERS: usize = 6;
/// The Cluster is as it was, only the store has to find out.
const BACK: Duration = Duration::from_millis(2500);

async fn store(cluster: &RedisCluster) -> RedisStore {
    RedisStore::connect(cluster.url()).await.unwrap()
}

async fn lasts(millis: u64) {
    sleep(Duration::from_millis(millis)).await;
}

/// Load on masters whose replicas have what they have.
async fn begin(cluster: &RedisCluster) -> Load {
    let load = Load::start(store(cluster).await, WRITERS).await;
    // A replica that was just served gets the first writes up to a second later.
    block_in_place(|| {
        wait_until("the replicas to have all sessions", BACK * 4, || {
            let (masters, replicas): (Vec<_>, Vec<_>) =
                cluster.nodes().iter().partition(|node| is_master(node));
            let count = |nodes: Vec<&RedisServer>| {
                nodes.iter().map(|node| sessions(node).len()).sum::<usize>()
            };
            count(masters) == count(replicas)
        });
    });
    load
}

/// Waits until the nodes that are up agree, which is their business; then the store has only to
/// find out.
fn agreement(cluster: &RedisCluster) -> Instant {
    block_in_place(|| cluster.wait_ok());
    Instant::now()
}

/// The master of most sessions.
fn master(cluster: &RedisCluster) -> usize {
    let masters = (0..cluster.nodes().len()).filter(|i| is_master(&cluster.nodes()[*i]));
    masters
        .max_by_key(|i| sessions(&cluster.nodes()[*i]).len())
        .unwrap()
}

fn is_master(node: &RedisServer) -> bool {
    node.command(&["ROLE"]).items()[0].text() == "master"
}

/// The names of the sessions of a node.
fn sessions(node: &RedisServer) -> Vec<String> {
    let names = node.command(&["KEYS", "session:*"]);
    names.items().iter().map(ToString::to_string).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_master_that_dies_is_replaced() {
    let cluster = RedisCluster::start_to_fail_over(&RedisServer::builder(Engine::Redis7));
    let load = begin(&cluster).await;
    lasts(300).await;
    let dead = block_in_place(|| {
        let dead = master(&cluster);
        cluster.kill(dead);
        dead
    });
    let killed = Instant::now();
    let agreed = agreement(&cluster);
    let well = load.well_after(agreed, BACK).await + (agreed - killed);
    let report = load.finish(DEADLINE).await;
    report.print("Cluster: master killed", well, "from its death");
    assert_eq!(report.gone, 0);

    // Its shard has nobody else now, and all of it goes.
    block_in_place(|| {
        cluster.restart(dead);
        cluster.wait_ok();
    });
    let load = begin(&cluster).await;
    let shard = block_in_place(|| {
        let master = master(&cluster);
        let mut shard = cluster.replicas_of(master);
        shard.push(master);
        for node in &shard {
            cluster.pause(*node);
        }
        shard
    });
    assert_eq!(shard.len(), 2);
    lasts(4000).await;
    block_in_place(|| shard.iter().for_each(|node| cluster.resume(*node)));
    let back = Instant::now();
    // They have missed each other, too, and must make up.
    let agreed = agreement(&cluster);
    let well = load.well_after(agreed, BACK).await + (agreed - back);
    let report = load.finish(DEADLINE).await;
    report.print("Cluster: both nodes of a shard SIGSTOP for 4 s", well, "");
    assert_eq!(report.gone, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_master_that_hangs_is_replaced() {
    let cluster = RedisCluster::start_to_fail_over(&RedisServer::builder(Engine::Redis7));
    // Callers who wait no longer for the store than this never see it give up.
    let timeouts = Timeouts::default().with_call(Duration::from_millis(300));
    let impatient = Load::start_with(store(&cluster).await, WRITERS, timeouts).await;
    let load = begin(&cluster).await;
    let (hung, heir, other) = block_in_place(|| {
        let hung = master(&cluster);
        (hung, cluster.replicas_of(hung)[0], other_master(&cluster))
    });
    let before = connections(&cluster.nodes()[other]);
    block_in_place(|| cluster.pause(hung));
    let paused = Instant::now();
    // The other node is not asked, so that its connections are those of the stores.
    block_in_place(|| {
        cluster.nodes()[heir].wait_until(&["ROLE"], |role| role.items()[0].text() == "master");
    });
    let agreed = Instant::now();
    let well = load.well_after(agreed, BACK).await + (agreed - paused);
    let impatient_well = impatient.well_after(agreed, BACK).await + (agreed - paused);
    let made = connections(&cluster.nodes()[other]) - before - 1;
    let resumed = Instant::now();
    block_in_place(|| cluster.resume(hung));
    let again = load.well_after(resumed, BACK).await;
    block_in_place(|| cluster.wait_ok());
    let report = load.finish(DEADLINE).await;
    let more = format!(
        "from its stop; {} ms after it went on; {made} connections of two stores to another node",
        again.as_millis()
    );
    report.print("Cluster: master SIGSTOP", well, &more);
    assert_eq!(report.gone, 0);
    let report = impatient.finish(timeouts.call()).await;
    report.print(
        "Cluster: the same, for callers who wait 0.3 s",
        impatient_well,
        &format!("from its stop; {} given up", report.dropped),
    );
    assert_eq!(report.gone, 0);
    assert!(report.dropped > 0);
    // One a second and store at most.
    let most = 2 * (2 + i64::try_from(well.max(impatient_well).as_secs()).unwrap());
    assert!(made <= most, "{made} connections");
}

/// How many connections a node has accepted, this one included.
fn connections(node: &RedisServer) -> i64 {
    let info = node.command(&["INFO", "stats"]);
    info.field("total_connections_received")
        .unwrap()
        .parse()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_that_are_soon_back_are_found_again() {
    let cluster =
        RedisCluster::start_to_fail_over(&RedisServer::builder(Engine::Redis7).persistent());
    let load = begin(&cluster).await;
    block_in_place(|| {
        let dead = master(&cluster);
        cluster.kill(dead);
        cluster.restart(dead);
    });
    let well = load.well_after(Instant::now(), BACK).await;
    block_in_place(|| cluster.wait_ok());
    let report = load.finish(DEADLINE).await;
    report.print(
        "Cluster: master killed and back at once, appendfsync always",
        well,
        "",
    );
    assert_eq!((report.lost, report.gone), (0, 0));

    let load = begin(&cluster).await;
    let all = || 0..cluster.nodes().len();
    block_in_place(|| all().for_each(|node| cluster.kill(node)));
    lasts(2000).await;
    let back = block_in_place(|| {
        all().for_each(|node| cluster.restart(node));
        cluster.wait_ok();
        Instant::now()
    });
    let well = load.well_after(back, BACK).await;
    let report = load.finish(DEADLINE).await;
    report.print(
        "Cluster: all nodes killed, back after 2 s, appendfsync always",
        well,
        "from the time that the Cluster is well",
    );
    assert_eq!((report.lost, report.gone), (0, 0));
}

#[test]
fn a_store_outlives_the_runtime_that_it_began_in() {
    let cluster = RedisCluster::start(Engine::Redis7);
    let runtime = || Builder::new_current_thread().enable_all().build().unwrap();
    let first = runtime();
    let manager = SessionManager::new(first.block_on(store(&cluster)));
    drop(first);
    for _ in 0..3 {
        // A write that is not sent to anybody is not unknown.
        runtime().block_on(create(&manager, [("n", 1)]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn slots_that_move_are_followed() {
    let cluster = RedisCluster::start(Engine::Redis7);
    let load = begin(&cluster).await;
    let from = Instant::now();
    let keys = block_in_place(|| {
        let nodes = cluster.nodes();
        move_sessions(&nodes[master(&cluster)], &nodes[other_master(&cluster)])
    });
    let well = load.well_after(from, BACK).await;
    // Who did not follow would wait for half a second.
    let soon = load.worst_lag() + Duration::from_millis(400);
    let report = load.finish(DEADLINE).await;
    report.print("Cluster: slots moved", well, &format!("{keys} sessions"));
    assert_eq!((report.errors(), report.lost, report.gone), (0, 0, 0));
    assert!(report.longest < soon, "{:?}", report.longest);
    assert!(keys >= 2, "{keys} sessions moved");
}

/// As when a Cluster grows.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn slots_that_move_to_a_new_node_are_followed() {
    let cluster = RedisCluster::start(Engine::Redis7);
    let manager = SessionManager::new(store(&cluster).await);
    let token = create(&manager, [("n", 1)]).await;
    let old = &cluster.nodes()[block_in_place(|| master(&cluster))];
    let new = block_in_place(|| new_node(&cluster));
    let name = sessions(old).remove(0);

    // A write that nobody took is made once the slot is there, and is not unknown.
    let session = open(&manager, &token).await;
    session.insert("n", 2).unwrap();
    block_in_place(|| begin_to_move(old, &new, &name));
    let write = tokio::spawn(async move { session.finish(Outcome::Success).await });
    lasts(300).await;
    block_in_place(|| end_to_move(old, &new, &name));
    write.await.unwrap().unwrap();
    assert_eq!(open(&manager, &token).await.get("n").unwrap(), Some(2));
    manager
        .store()
        .delete(
            &open(&manager, &token).await.id().unwrap().into(),
            Ended::default(),
        )
        .await
        .unwrap();

    let load = begin(&cluster).await;
    let from = Instant::now();
    let keys = block_in_place(|| move_sessions(&cluster.nodes()[master(&cluster)], &new));
    let well = load.well_after(from, BACK).await;
    let report = load.finish(DEADLINE).await;
    report.print(
        "Cluster: slots moved to a new node",
        well,
        &format!("{keys} sessions"),
    );
    assert_eq!((report.errors(), report.lost, report.gone), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_master_and_its_replica_change_places() {
    let cluster = RedisCluster::start(Engine::Redis7);
    let load = begin(&cluster).await;
    let changed = block_in_place(|| {
        cluster.wait_ok();
        let old = master(&cluster);
        let new = cluster.order_fail_over(old);
        let now = Instant::now();
        cluster.nodes()[new].wait_until(&["ROLE"], |role| role.items()[0].text() == "master");
        now
    });
    let well = load.well_after(changed, BACK).await;
    let report = load.finish(DEADLINE).await;
    report.print("Cluster: CLUSTER FAILOVER", well, "");
    assert_eq!((report.lost, report.gone), (0, 0));
    assert!(report.errors() <= 2 * WRITERS, "{report:?}");
}

/// A master without slots that all others know.
pub(crate) fn new_node(cluster: &RedisCluster) -> RedisServer {
    let new = RedisServer::builder(Engine::Redis7)
        .config("cluster-enabled yes")
        .config(format!("cluster-node-timeout {NODE_TIMEOUT}"))
        .start();
    let port = new.port().to_string();
    cluster.nodes()[0].command(&["CLUSTER", "MEET", "127.0.0.1", &port]);
    let knows_all = |info: &Reply| {
        info.field("cluster_known_nodes").as_deref() == Some("7")
            && info.field("cluster_state").as_deref() == Some("ok")
    };
    for node in cluster.nodes().iter().chain([&new]) {
        node.wait_until(&["CLUSTER", "INFO"], knows_all);
    }
    new
}

/// Moves the slots of all sessions of one master to another, each in steps that take their time.
/// Says how many.
fn move_sessions(from: &RedisServer, to: &RedisServer) -> usize {
    let names = sessions(from);
    for name in &names {
        begin_to_move(from, to, name);
        // From here on the old master redirects, one request at a time.
        sleep_blocking(500);
        end_to_move(from, to, name);
    }
    names.len()
}

pub(crate) fn begin_to_move(from: &RedisServer, to: &RedisServer, name: &str) {
    let (from_id, to_id, to_port) = (node_id(from), node_id(to), to.port().to_string());
    let slot = from.command(&["CLUSTER", "KEYSLOT", name]).text();
    to.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]);
    from.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id]);
    sleep_blocking(150);
    let moved = from.command(&[
        "MIGRATE",
        "127.0.0.1",
        &to_port,
        "",
        "0",
        "5000",
        "KEYS",
        name,
    ]);
    assert_eq!(moved.text(), "OK");
}

pub(crate) fn end_to_move(from: &RedisServer, to: &RedisServer, name: &str) {
    let slot = from.command(&["CLUSTER", "KEYSLOT", name]).text();
    for node in [to, from] {
        let set = node.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &node_id(to)]);
        assert_eq!(set.text(), "OK");
    }
}

pub(crate) fn node_id(node: &RedisServer) -> String {
    node.command(&["CLUSTER", "MYID"]).text()
}

fn sleep_blocking(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}

fn other_master(cluster: &RedisCluster) -> usize {
    let one = master(cluster);
    let mut masters = (0..cluster.nodes().len()).filter(|i| is_master(&cluster.nodes()[*i]));
    masters.find(|other| *other != one).unwrap()
}

//! A cluster of three masters and their replicas.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use super::engine::redis_cli;
use super::replication::is_in_step;
use super::{Builder, Engine, RedisServer, Reply, wait_until};

/// How long a cluster may take to form, or to get over a death.
const LIMIT: Duration = Duration::from_secs(60);

/// The time in milliseconds after which a node that is not heard of is given up.
pub const NODE_TIMEOUT: u32 = 20_000;

/// Six nodes. They end with this value.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts the nodes of `engine`, joins them, and returns when all of them are content.
    pub fn start(engine: Engine) -> Self {
        Self::start_from(&RedisServer::builder(engine))
    }

    /// The same, of nodes with more to say about them. They have no password and no TLS.
    ///
    /// No node is given up within 20 s: a busy machine can hold one up for seconds.
    pub fn start_from(node: &Builder) -> Self {
        Self::start_with(node, NODE_TIMEOUT)
    }

    /// The same, for a test that takes nodes away: one that is not heard of for 2 s is given up,
    /// and its replica takes its place some 2 s later.
    pub fn start_to_fail_over(node: &Builder) -> Self {
        Self::start_to_fail_over_after(node, 2_000)
    }

    /// The same, where a node is given up after this many milliseconds, also once it has come back
    /// from a restart.
    pub fn start_to_fail_over_after(node: &Builder, node_timeout: u32) -> Self {
        Self::start_with(node, node_timeout)
    }

    fn start_with(node: &Builder, node_timeout: u32) -> Self {
        let node = node
            .clone()
            .config("cluster-enabled yes")
            .config(format!("cluster-node-timeout {node_timeout}"));
        let nodes: Vec<_> = (0..6).map(|_| node.clone().start()).collect();
        let mut create = Command::new(redis_cli());
        create
            .args(["--cluster", "create"])
            .args(nodes.iter().map(|node| node.address().to_string()));
        let done = create
            .args(["--cluster-replicas", "1", "--cluster-yes"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success(), "the cluster did not form:\n{said}");
        let cluster = Self { nodes };
        cluster.wait_ok();
        cluster
    }

    /// Where a store finds all of it.
    pub fn url(&self) -> String {
        let nodes: Vec<_> = self
            .nodes
            .iter()
            .map(|node| node.address().to_string())
            .collect();
        format!("redis-cluster://{}", nodes.join(","))
    }

    /// Where clients find each node.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(RedisServer::url).collect()
    }

    /// Its nodes. Which of them are masters changes.
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// Which node is now the master of `key`, in the eyes of those that are up.
    pub fn master_of(&self, key: &str) -> usize {
        let node = self.up().next().unwrap_or_else(|| panic!("no node is up"));
        let slot = node.command(&["CLUSTER", "KEYSLOT", key]).integer();
        let view = View::of(node).unwrap_or_else(|| panic!("no view of the cluster"));
        let port = view
            .owner(slot)
            .unwrap_or_else(|| panic!("nobody serves slot {slot}"));
        self.index_of(port)
            .unwrap_or_else(|| panic!("port {port} is none of ours"))
    }

    /// The nodes that are now replicas of node `i`, in the eyes of those that are up.
    pub fn replicas_of(&self, i: usize) -> Vec<usize> {
        let is_replica = |node: &RedisServer| {
            let info = node.command(&["INFO", "replication"]);
            info.field("master_port") == Some(self.nodes[i].port().to_string())
        };
        let replicas = self.up().filter(|node| is_replica(node));
        replicas
            .filter_map(|node| self.index_of(node.port()))
            .collect()
    }

    /// Orders a replica of node `i` to take its place, and returns which. `ROLE` says when it has.
    pub fn order_fail_over(&self, i: usize) -> usize {
        let new = self.replicas_of(i)[0];
        let id = self.nodes[i].command(&["CLUSTER", "MYID"]);
        // Who does not know the replica yet lets it fail.
        for node in self.up() {
            node.wait_until(
                &["CLUSTER", "REPLICAS", &id.text()],
                |replicas| matches!(replicas, Reply::Array(replicas) if !replicas.is_empty()),
            );
        }
        let ordered = self.nodes[new].command(&["CLUSTER", "FAILOVER"]);
        assert_eq!(ordered.text(), "OK");
        new
    }

    /// Kills node `i`. What it kept is with its replica, if it was told in time.
    pub fn kill(&self, i: usize) {
        self.nodes[i].kill();
    }

    /// Starts node `i` anew. It comes back as what the others say it is.
    pub fn restart(&self, i: usize) {
        self.nodes[i].restart();
    }

    /// Stops node `i` where it is.
    pub fn pause(&self, i: usize) {
        self.nodes[i].pause();
    }

    /// Lets node `i` go on.
    pub fn resume(&self, i: usize) {
        self.nodes[i].resume();
    }

    /// Waits at most 60 s until the nodes that are up agree on who serves what, all of it is served
    /// by some of them, and their replicas have what their masters have.
    pub fn wait_ok(&self) {
        wait_until("the cluster to be content", LIMIT, || {
            self.is_ok().unwrap_or(false)
        });
    }

    fn is_ok(&self) -> Option<bool> {
        let views: Vec<_> = self.up().map(View::of).collect::<Option<_>>()?;
        let agree = views
            .windows(2)
            .all(|pair| pair[0].owners == pair[1].owners);
        let is_up = |port| self.index_of(port).is_some_and(|i| self.nodes[i].is_up());
        let served = views
            .iter()
            .all(|view| view.is_ok && view.owners.values().all(|port| is_up(*port)));
        let missed = views
            .iter()
            .any(|view| view.failing.iter().any(|port| is_up(*port)));
        let in_step = self.up().map(is_in_step).collect::<Option<Vec<_>>>()?;
        Some(agree && served && !missed && !in_step.contains(&false))
    }

    fn up(&self) -> impl Iterator<Item = &RedisServer> {
        self.nodes.iter().filter(|node| node.is_up())
    }

    fn index_of(&self, port: u16) -> Option<usize> {
        self.nodes.iter().position(|node| node.port() == port)
    }
}

/// The cluster as one node sees it.
struct View {
    is_ok: bool,
    /// The port of the master of each range of slots.
    owners: BTreeMap<(i64, i64), u16>,
    /// The ports of those it misses.
    failing: Vec<u16>,
}

impl View {
    fn of(node: &RedisServer) -> Option<Self> {
        let state = node
            .try_command(&["CLUSTER", "INFO"])
            .ok()?
            .field("cluster_state")?;
        let nodes = node.try_command(&["CLUSTER", "NODES"]).ok()?.text();
        let mut view = Self {
            is_ok: state == "ok",
            owners: BTreeMap::new(),
            failing: Vec::new(),
        };
        for line in nodes.lines() {
            view.note(line)?;
        }
        Some(view)
    }

    /// A line is: id, `ip:port@bus,name`, flags, master, ping, pong, epoch, link, ranges of slots.
    fn note(&mut self, line: &str) -> Option<()> {
        let parts: Vec<_> = line.split(' ').collect();
        let (address, _) = parts.get(1)?.split_once('@')?;
        let port = address.rsplit(':').next()?.parse().ok()?;
        if parts.get(2)?.contains("fail") {
            self.failing.push(port);
        }
        for range in parts.iter().skip(8).filter(|range| !range.starts_with('[')) {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            self.owners
                .insert((first.parse().ok()?, last.parse().ok()?), port);
        }
        Some(())
    }

    fn owner(&self, slot: i64) -> Option<u16> {
        let serves = |(first, last): &(i64, i64)| (*first..=*last).contains(&slot);
        self.owners
            .iter()
            .find(|(range, _)| serves(range))
            .map(|(_, port)| *port)
    }
}

//! The servers below the site, and what is done to them.

use std::thread::sleep;
use std::time::{Duration, Instant};

use session_tests::servers::{Engine, MongoReplicaSet, RedisCluster, RedisServer, wait_until};

use crate::options::Kind;

/// A node of the cluster that is silent for this long is given up. A pause is shorter.
const NODE_TIMEOUT: &str = "5000";
const PAUSE: Duration = Duration::from_secs(3);
/// How long a replica hears nothing. It is less than the time before a death from which losses are
/// expected.
const LATE: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(60);
/// The primary of this key is the one that is disturbed.
const KEY: &str = "soak";

/// All of this blocks.
#[derive(Debug)]
pub(crate) enum Store {
    Redis(RedisCluster),
    Mongo(MongoReplicaSet),
}

impl Store {
    pub(crate) fn start(kind: Kind) -> Self {
        match kind {
            Kind::Redis => {
                let node = RedisServer::builder(Engine::Redis7);
                let cluster = RedisCluster::start_to_fail_over(&node);
                for node in cluster.nodes() {
                    node.command(&["CONFIG", "SET", "cluster-node-timeout", NODE_TIMEOUT]);
                }
                Self::Redis(cluster)
            }
            Kind::Mongo => Self::Mongo(MongoReplicaSet::start()),
        }
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Redis(cluster) => cluster.url(),
            Self::Mongo(set) => set.uri(),
        }
    }

    /// Kills the primary, or that of a third of the sessions. When another node has its place, it
    /// comes back. `lost` is called as soon as it is dead.
    pub(crate) fn kill_primary(&self, lost: impl Fn(Instant)) {
        match self {
            Self::Redis(cluster) => {
                let primary = cluster.master_of(KEY);
                kill(cluster, primary, lost);
            }
            Self::Mongo(set) => {
                let (now, primary) = (Instant::now(), set.primary());
                set.kill(primary);
                lost(now);
                set.wait_for_primary();
                set.restart(primary);
                set.wait_ok();
            }
        }
    }

    /// Does the same to a cluster whose replica has not heard of its primary for a moment, as on a
    /// bad network. It loses what the primary acknowledged in that time.
    pub(crate) fn kill_primary_of_late_replica(&self, lost: impl Fn(Instant)) {
        let Self::Redis(cluster) = self else { return };
        let primary = cluster.master_of(KEY);
        let replicas = cluster.replicas_of(primary);
        for replica in &replicas {
            cluster.pause(*replica);
        }
        // Or the connection would hold what the primary sends.
        cluster.nodes()[primary].command(&["CLIENT", "KILL", "TYPE", "replica"]);
        sleep(LATE);
        kill(cluster, primary, |now| {
            lost(now);
            for replica in &replicas {
                cluster.resume(*replica);
            }
        });
    }

    /// Stops a primary where it is for 3 s. `lost` is called if it has lost its place by that.
    pub(crate) fn pause_primary(&self, lost: impl Fn(Instant)) {
        let now = Instant::now();
        match self {
            Self::Redis(cluster) => {
                let primary = cluster.master_of(KEY);
                cluster.pause(primary);
                sleep(PAUSE);
                cluster.resume(primary);
                cluster.wait_ok();
                if cluster.master_of(KEY) != primary {
                    lost(now);
                }
            }
            Self::Mongo(set) => {
                let primary = set.primary();
                set.pause(primary);
                sleep(PAUSE);
                set.resume(primary);
                set.wait_ok();
                lost(now);
            }
        }
    }

    /// Tells the primary of a replica set to be none. A cluster has no such thing.
    pub(crate) fn step_down(&self) {
        if let Self::Mongo(set) = self {
            let before = set.primary();
            set.step_down();
            wait_until("another primary", LIMIT, || {
                set.wait_for_primary() != before
            });
            set.wait_ok();
        }
    }
}

fn kill(cluster: &RedisCluster, primary: usize, lost: impl Fn(Instant)) {
    let now = Instant::now();
    cluster.kill(primary);
    lost(now);
    cluster.wait_ok();
    cluster.restart(primary);
    cluster.wait_ok();
    let replicas = cluster.replicas_of(cluster.master_of(KEY));
    assert!(replicas.contains(&primary), "the old primary is a replica");
}

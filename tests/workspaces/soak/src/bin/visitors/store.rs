//! The servers below the site, and what is done to them.

use std::ops::RangeInclusive;
use std::thread::sleep;
use std::time::{Duration, Instant};

use session_tests::servers::{
    Engine, MongoReplicaSet, MongoServer, RedisCluster, RedisServer, wait_until,
};

use crate::disturbances::Loss;
use crate::options::Kind;

/// A node of the cluster that is silent for so many milliseconds is given up. A pause is shorter.
const NODE_TIMEOUT: u32 = 5_000;
/// A primary of the replica set that is silent for this long is given up.
const ELECTION_TIMEOUT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_secs(3);
/// How long a replica hears nothing.
const LATE: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(60);
/// How long a replica may take to confirm, in milliseconds.
const CONFIRM: &str = "1000";
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
                Self::Redis(RedisCluster::start_to_fail_over_after(&node, NODE_TIMEOUT))
            }
            Kind::Mongo => {
                let node = MongoServer::builder();
                Self::Mongo(MongoReplicaSet::start_to_wait(&node, ELECTION_TIMEOUT))
            }
        }
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Redis(cluster) => cluster.url(),
            Self::Mongo(set) => set.uri(),
        }
    }

    /// A number that each fail-over makes larger: the epoch of a cluster, or the term of a replica
    /// set.
    pub(crate) fn epoch(&self) -> Option<i64> {
        let cluster = match self {
            Self::Redis(cluster) => cluster,
            Self::Mongo(set) => return set.term(),
        };
        let node = cluster.nodes().iter().find(|node| node.is_up())?;
        let info = node.try_command(&["CLUSTER", "INFO"]).ok()?;
        info.field("cluster_current_epoch")?.parse().ok()
    }

    /// Kills the primary, or that of a third of the sessions. When another node has its place, it
    /// comes back. `lost` hears as soon as it is dead what that may lose.
    pub(crate) fn kill_primary(&self, lost: impl Fn(Loss)) {
        match self {
            Self::Redis(cluster) => {
                let primary = cluster.master_of(KEY);
                let slots = slots_of(cluster, primary);
                let confirmed = confirm(cluster, primary);
                kill(cluster, primary, |dead| {
                    lost(Loss {
                        confirmed,
                        dead,
                        slots: slots.clone(),
                    });
                });
            }
            Self::Mongo(set) => {
                let primary = set.primary();
                set.kill(primary);
                set.wait_for_primary();
                set.restart(primary);
                set.wait_ok();
            }
        }
    }

    /// Does the same to a cluster whose replica has not heard of its primary for a moment, as on a
    /// bad network. It loses what the primary acknowledged in that time.
    pub(crate) fn kill_primary_of_late_replica(&self, lost: impl Fn(Loss)) {
        let Self::Redis(cluster) = self else { return };
        let primary = cluster.master_of(KEY);
        let slots = slots_of(cluster, primary);
        let replicas = cluster.replicas_of(primary);
        let confirmed = confirm(cluster, primary);
        for replica in &replicas {
            cluster.pause(*replica);
        }
        // Or the connection would hold what the primary sends.
        cluster.nodes()[primary].command(&["CLIENT", "KILL", "TYPE", "replica"]);
        sleep(LATE);
        kill(cluster, primary, |dead| {
            lost(Loss {
                confirmed,
                dead,
                slots: slots.clone(),
            });
            for replica in &replicas {
                cluster.resume(*replica);
            }
        });
    }

    /// Stops a primary where it is for 3 s. `lost` is called if a Redis has lost its place by that.
    pub(crate) fn pause_primary(&self, lost: impl Fn(Loss)) {
        match self {
            Self::Redis(cluster) => {
                let primary = cluster.master_of(KEY);
                let slots = slots_of(cluster, primary);
                let confirmed = confirm(cluster, primary);
                cluster.pause(primary);
                sleep(PAUSE);
                cluster.resume(primary);
                cluster.wait_ok();
                if cluster.master_of(KEY) != primary {
                    lost(Loss {
                        confirmed,
                        dead: Instant::now(),
                        slots,
                    });
                }
            }
            Self::Mongo(set) => {
                let primary = set.primary();
                set.pause(primary);
                sleep(PAUSE);
                set.resume(primary);
                set.wait_ok();
            }
        }
    }

    /// Tells the primary of a replica set to be none. A cluster has no such thing.
    pub(crate) fn step_down(&self) {
        if let Self::Mongo(set) = self {
            let before = set.term();
            set.step_down();
            wait_until("an election", LIMIT, || set.term() > before);
            set.wait_ok();
        }
    }
}

/// A time at which the replica had everything that this primary had acknowledged before it.
fn confirm(cluster: &RedisCluster, primary: usize) -> Instant {
    let mut confirmed = Instant::now();
    wait_until("a replica to have everything", LIMIT, || {
        confirmed = Instant::now();
        let node = &cluster.nodes()[primary];
        let replies = node.commands(&[&["SET", KEY, "1"], &["WAIT", "1", CONFIRM]]);
        replies
            .last()
            .is_some_and(|replicas| replicas.integer() > 0)
    });
    confirmed
}

/// The slots that a primary has now.
fn slots_of(cluster: &RedisCluster, primary: usize) -> Vec<RangeInclusive<u16>> {
    let node = &cluster.nodes()[primary];
    let reply = node.command(&["CLUSTER", "SLOTS"]);
    let slot = |number: i64| u16::try_from(number).unwrap_or(u16::MAX);
    let ranges = reply.items().iter().map(|range| range.items());
    ranges
        .filter(|range| range[2].items()[1].integer() == i64::from(node.port()))
        .map(|range| slot(range[0].integer())..=slot(range[1].integer()))
        .collect()
}

fn kill(cluster: &RedisCluster, primary: usize, dead: impl Fn(Instant)) {
    cluster.kill(primary);
    dead(Instant::now());
    cluster.wait_ok();
    cluster.restart(primary);
    cluster.wait_ok();
    let replicas = cluster.replicas_of(cluster.master_of(KEY));
    assert!(replicas.contains(&primary), "the old primary is a replica");
}

//! What the connections of one store have in common.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use super::connector::Connector;
use super::meters;
use super::near::Near;
#[cfg(any(feature = "cluster", feature = "sentinel"))]
use super::task::OnlyTask;
use crate::config::Timing;

/// One of the connections of a store.
pub(super) trait Peer: Send + Sync + 'static {
    /// Begins to connect, unless there is a connection or a task that makes one.
    fn begin(self: Arc<Self>);

    /// A sentinel says where the primary is.
    #[cfg(feature = "sentinel")]
    fn primary_is_at(self: Arc<Self>, address: &str);
}

/// Where the connections of a store lead to, and what there is once for all of them.
pub(super) struct Common {
    pub(super) connector: Connector,
    pub(super) timing: Timing,
    /// The last number that was given to a task or a connection.
    numbers: AtomicU64,
    near: OnceLock<Arc<Near>>,
    /// All connections of the store, which hold this.
    peers: OnceLock<Vec<Weak<dyn Peer>>>,
    /// Listens to the sentinels, or tells of changes in a Cluster.
    #[cfg(any(feature = "cluster", feature = "sentinel"))]
    task: OnlyTask,
}

impl Common {
    pub(super) fn new(connector: Connector, timing: Timing) -> Arc<Self> {
        meters::begin();
        Arc::new(Self {
            connector,
            timing,
            numbers: AtomicU64::new(0),
            near: OnceLock::new(),
            peers: OnceLock::new(),
            #[cfg(any(feature = "cluster", feature = "sentinel"))]
            task: OnlyTask::default(),
        })
    }

    pub(super) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Has the cache of the store told of changes, by connections that are made from now on.
    pub(super) fn tell(&self, near: Near) {
        // A store has one cache, and sets it once.
        let _ = self.near.set(Arc::new(near));
    }

    /// The cache that is told of changes.
    pub(super) fn near(&self) -> Option<&Arc<Near>> {
        self.near.get()
    }

    /// The same, if connections that calls use tell it.
    pub(super) fn near_of_calls(&self) -> Option<&Arc<Near>> {
        match &self.connector {
            #[cfg(feature = "cluster")]
            Connector::Cluster(_) => None,
            _ => self.near(),
        }
    }

    pub(super) fn set_peers(&self, peers: Vec<Weak<dyn Peer>>) {
        // A link sets them once, when it is made.
        let _ = self.peers.set(peers);
    }

    fn peers(&self) -> impl Iterator<Item = Arc<dyn Peer>> {
        self.peers
            .get()
            .into_iter()
            .flatten()
            .filter_map(Weak::upgrade)
    }

    /// There is a connection: begins what there is once for all of them. To be called with the lock
    /// of its state, so that what was closed begins nothing.
    pub(super) fn begin_task(self: &Arc<Self>) {
        match &self.connector {
            #[cfg(feature = "sentinel")]
            Connector::Sentinel(sentinel) => self.task.begin(|| {
                let common = Arc::clone(self);
                let report = move |address: &str| {
                    common.peers().for_each(|peer| peer.primary_is_at(address));
                };
                Arc::clone(sentinel).watch(self.timing.connect, report)
            }),
            #[cfg(feature = "cluster")]
            Connector::Cluster(cluster) => {
                if let Some(near) = self.near() {
                    self.task.begin(|| {
                        let (cluster, near) = (Arc::clone(cluster), Arc::clone(near));
                        let common = Arc::clone(self);
                        let number = move || common.next_number();
                        super::near::watch(cluster, near, self.timing.connect, number)
                    });
                }
            }
            _ => {}
        }
    }

    /// There is a connection: has the others made, if leases need all of them.
    pub(super) fn begin_others(&self) {
        if self.near_of_calls().is_some() {
            self.peers().for_each(|peer| peer.begin());
        }
    }

    /// Ends what holds this.
    pub(super) fn close(&self) {
        #[cfg(any(feature = "cluster", feature = "sentinel"))]
        self.task.end();
    }
}

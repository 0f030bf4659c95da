//! What the connections of one store have in common.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::connector::Connector;
#[cfg(feature = "sentinel")]
use super::watch::PrimaryWatch;
use crate::config::Timing;

/// Where the connections of a store lead to, and how they are numbered.
pub(super) struct Common {
    pub(super) connector: Connector,
    pub(super) timing: Timing,
    /// The last number that was given to a task or a connection.
    numbers: AtomicU64,
    #[cfg(feature = "sentinel")]
    pub(super) watch: PrimaryWatch,
}

impl Common {
    pub(super) fn new(connector: Connector, timing: Timing) -> Arc<Self> {
        Arc::new(Self {
            connector,
            timing,
            numbers: AtomicU64::new(0),
            #[cfg(feature = "sentinel")]
            watch: PrimaryWatch::default(),
        })
    }

    pub(super) fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }
}

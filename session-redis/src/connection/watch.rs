//! The one task that listens to the sentinels for all connections of a store.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::sentinel::Sentinel;

/// What is told where the primary is.
pub(super) trait Follower: Send + Sync + 'static {
    fn primary_is_at(self: Arc<Self>, address: &str);
}

/// Listens to the sentinels while a store is connected.
#[derive(Default)]
pub(super) struct PrimaryWatch {
    /// All connections of the store, which hold this.
    followers: OnceLock<Vec<Weak<dyn Follower>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl PrimaryWatch {
    pub(super) fn set_followers(&self, followers: Vec<Weak<dyn Follower>>) {
        // A link sets them once, when it is made.
        let _ = self.followers.set(followers);
    }

    /// Begins to listen, unless a task does. It ends with its runtime.
    pub(super) fn begin(&self, sentinel: &Arc<Sentinel>, limit: Duration) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if task.as_ref().is_none_or(JoinHandle::is_finished) {
            let followers = self.followers.get().cloned().unwrap_or_default();
            let report = move |address: &str| {
                for follower in followers.iter().filter_map(Weak::upgrade) {
                    follower.primary_is_at(address);
                }
            };
            *task = Some(tokio::spawn(Arc::clone(sentinel).watch(limit, report)));
        }
    }

    pub(super) fn end(&self) {
        let task = self
            .task
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(task) = task {
            task.abort();
        }
    }
}

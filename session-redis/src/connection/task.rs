//! A task that there is once for all connections of a store.

use std::sync::{Mutex, PoisonError};

use tokio::task::JoinHandle;

/// At most one task at a time. It ends with its runtime, and may begin again in another.
#[derive(Default)]
pub(super) struct OnlyTask(Mutex<Option<JoinHandle<()>>>);

impl OnlyTask {
    /// Begins the task, unless it runs.
    pub(super) fn begin<F: Future<Output = ()> + Send + 'static>(&self, task: impl FnOnce() -> F) {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if running.as_ref().is_none_or(JoinHandle::is_finished) {
            *running = Some(tokio::spawn(task()));
        }
    }

    pub(super) fn end(&self) {
        let task = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.abort();
        }
    }
}

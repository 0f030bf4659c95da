//! Sweeping what has expired, for stores that do not do so by themselves.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use crate::manager::SessionManager;

/// The shortest time between two sweeps.
const SHORTEST: Duration = Duration::from_secs(1);

impl SessionManager {
    /// Removes expired records from the store: now, and again each time `every` has passed since
    /// the last sweep, by the manager's clock. Below a second, `every` is a second.
    ///
    /// It is for a store that does not do so by itself: see
    /// [`SessionStore::delete_expired`](crate::store::SessionStore::delete_expired). Such a store
    /// otherwise grows with each session that it has ever had. The application spawns this once in
    /// each process, or in one of them. It never ends: to stop it, abort its task or drop it.
    ///
    /// A sweep may take as long as `every`, at least as long as a
    /// [commit](crate::Timeouts::commit). If one fails, an event of the kind
    /// [`StoreFailed`](crate::EventKind::StoreFailed) says so, and the next one tries again.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    /// # runtime.block_on(async {
    /// use session_core::{MemoryStore, SessionManager};
    /// use std::time::Duration;
    ///
    /// let manager = SessionManager::new(MemoryStore::new());
    /// let sweeping = tokio::spawn(manager.sweep_every(Duration::from_secs(60)));
    /// // .. serve ..
    /// sweeping.abort();
    /// assert!(sweeping.await.unwrap_err().is_cancelled());
    /// # });
    /// ```
    pub fn sweep_every(&self, every: Duration) -> impl Future<Output = Infallible> + Send + use<> {
        let manager = self.clone();
        let every = every.max(SHORTEST);
        async move {
            let limit = every.max(manager.settings().timeouts.commit);
            loop {
                // A failure leaves an event.
                drop(manager.calls().delete_expired(limit).await);
                manager.calls().clock().sleep(every).await;
            }
        }
    }
}

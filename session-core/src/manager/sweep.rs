//! Sweeping what has expired, for stores that do not do so by themselves.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use crate::manager::SessionManager;

/// The shortest time between two sweeps.
const SHORTEST: Duration = Duration::from_secs(1);

impl SessionManager {
    /// Removes expired records from the store, first at once and then in each interval.
    ///
    /// The next sweep begins when `every` has passed since the last one, by the manager's clock. If
    /// `every` is below a second, it counts as a second.
    ///
    /// Use it for a store that does not remove expired records by itself: see
    /// [`SessionStore::delete_expired`](crate::store::SessionStore::delete_expired). Without
    /// sweeps, such a store grows with each session that it has ever had. Spawn this once in each
    /// process, or in one of them. It never ends: to stop it, abort its task or drop it.
    ///
    /// A sweep may take as long as `every` or as a [commit](crate::Timeouts::commit), whichever is
    /// longer. If a sweep fails, an event of the kind
    /// [`StoreFailed`](crate::EventKind::StoreFailed) reports it, and the next sweep tries again.
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

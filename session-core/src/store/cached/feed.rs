//! The handles by which a store reports changes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::cache::Cache;
use super::lease::Term;
use crate::record::SessionId;
use crate::time::Clock;

/// The handle by which a store reports what others have changed.
///
/// It reports to the [`CachedStore`](crate::store::CachedStore) that wraps the store. It is cheap
/// to clone.
///
/// [`NearCache`](crate::store::NearCache) has an example.
#[derive(Clone)]
pub struct Invalidations {
    cache: Arc<Cache>,
    clock: Arc<dyn Clock>,
}

impl Invalidations {
    pub(super) fn new(cache: Arc<Cache>, clock: Arc<dyn Clock>) -> Self {
        Self { cache, clock }
    }

    /// Begins a feed of changes, which ends when the returned value is dropped.
    ///
    /// Until then, the store reports every change of every record that is read from now on. An
    /// earlier feed no longer counts, and no record that was read before is served without asking.
    ///
    /// A store whose connection was lost drops its feed before it reads on another connection, and
    /// begins one when that other connection reports changes.
    ///
    /// [`NearCache`](crate::store::NearCache) has an example.
    #[must_use = "a feed that is dropped reports nothing"]
    pub fn begin(&self) -> ChangeFeed {
        ChangeFeed {
            term: self.cache.begin(),
            cache: Arc::clone(&self.cache),
        }
    }

    /// The time by which leases are measured, to be passed to [`ChangeFeed::renew`].
    pub fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// How long a lease is; `None` if there is no near cache, so that nothing has to be reported.
    pub fn lease(&self) -> Option<Duration> {
        self.cache.lease()
    }
}

impl fmt::Debug for Invalidations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invalidations")
            .field("lease", &self.lease())
            .finish_non_exhaustive()
    }
}

/// A feed of changes, for as long as the store reports every change. Dropping it ends all leases.
///
/// A store holds one for as long as its connection is open, and calls its methods in the order in
/// which the server sends messages.
///
/// [`NearCache`](crate::store::NearCache) has an example.
pub struct ChangeFeed {
    cache: Arc<Cache>,
    term: Term,
}

impl ChangeFeed {
    /// Reports that a session was written, has ended, or has expired.
    pub fn changed(&self, id: SessionId) {
        self.cache.changed(id);
    }

    /// Renews all leases.
    ///
    /// Call it when the server has answered a question, and all changes that were made before the
    /// question was sent have been reported. `asked` is what [`Invalidations::now`] returned just
    /// before the question was sent. Leases run from that time.
    pub fn renew(&self, asked: Duration) {
        self.cache.renew(self.term, asked);
    }
}

impl Drop for ChangeFeed {
    fn drop(&mut self) {
        self.cache.end(self.term);
    }
}

impl fmt::Debug for ChangeFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangeFeed")
            .field("term", &self.term)
            .finish_non_exhaustive()
    }
}

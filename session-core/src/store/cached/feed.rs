//! The handles by which a store reports changes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::cache::Cache;
use super::lease::Term;
use crate::record::SessionId;
use crate::time::Clock;

/// Where a store reports what others have changed, to the
/// [`CachedStore`](crate::store::CachedStore) that wraps it. It is cheap to clone.
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

    /// Begins a feed: from now on, and until the returned value is dropped, the store reports every
    /// change of every record that is read from now on. An earlier feed counts no more, and no
    /// record that was read before is served without asking.
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

    /// How long a lease is; `None` if there is no near cache, and nothing has to be reported.
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

/// The reports of a store, for as long as it reports every change. Its drop ends all leases.
///
/// A store holds one for as long as its connection is there, and calls its methods in the order in
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

    /// Renews all leases. The server has answered a question, and all changes that were made before
    /// the question was sent have been reported. `asked` is what [`Invalidations::now`] returned
    /// just before that. Leases run from that time.
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

//! The handles by which a store tells of changes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::cache::Cache;
use super::lease::Term;
use crate::record::SessionId;
use crate::time::Clock;

/// By this a store tells a [`CachedStore`](crate::store::CachedStore) that wraps it what others
/// have changed. It is cheap to clone.
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

    /// From now on, and until the returned value is dropped, every change of every record that is
    /// read from now on is told. What an earlier one told counts no more.
    ///
    /// [`NearCache`](crate::store::NearCache) has an example.
    #[must_use = "what is dropped tells nothing"]
    pub fn begin(&self) -> Telling {
        Telling {
            term: self.cache.begin(),
            cache: Arc::clone(&self.cache),
        }
    }

    /// The time by which leases are measured, to be passed to [`Telling::renew`].
    pub fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// How long a lease is; `None` if there is no near cache, and nothing has to be told.
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

/// A time during which a store tells of every change. Its drop ends all leases.
///
/// A store holds one for as long as its connection is there, and calls its methods in the order in
/// which the server sends messages.
///
/// [`NearCache`](crate::store::NearCache) has an example.
pub struct Telling {
    cache: Arc<Cache>,
    term: Term,
}

impl Telling {
    /// A session was written, has ended, or has expired.
    pub fn changed(&self, id: SessionId) {
        self.cache.changed(id);
    }

    /// An answer has come, behind all changes that were made before `asked`, which is what
    /// [`Invalidations::now`] returned before the question was sent. Leases hold for as long as
    /// they are from that time on.
    pub fn renew(&self, asked: Duration) {
        self.cache.renew(self.term, asked);
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.cache.end(self.term);
    }
}

impl fmt::Debug for Telling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telling")
            .field("term", &self.term)
            .finish_non_exhaustive()
    }
}

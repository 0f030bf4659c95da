//! The store: what it consists of, and how it is made.

use std::fmt;
use std::sync::Arc;

use super::cache::Cache;
use super::feed::Invalidations;
use super::near::NearCache;
use super::stats::CacheStats;
use crate::store::SessionStore;
use crate::time::{Clock, SystemClock};

/// 16 MiB.
const CAPACITY: usize = 16 << 20;

/// A store with a cache of records in front of it.
///
/// The cache holds records that this process has read or written. It asks the store whether a
/// record is [still the same](SessionStore::revalidate) each time somebody loads it, so no law of
/// sessions changes: a sign-out on another node is seen by the next request. The cache saves the
/// transfer and the decoding of the record. [`RedisStore`] has one inside.
///
/// A [`NearCache`] also saves the question, for a stated time.
///
/// If clones of a store are wrapped, each wrapper has a cache of its own. So wrap a store once, and
/// share the wrapper in an [`Arc`].
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # use session_core::{Lifetime, MemoryStore, SessionId, Timestamp};
/// use session_core::store::{CachedStore, Record, SessionStore};
/// use std::sync::Arc;
///
/// # let (id, now) = (SessionId::from_bytes([7; 16]), Timestamp::from_millis(0));
/// let store = CachedStore::new(MemoryStore::new());
/// let record = Record::new(id, "id", Lifetime::default(), now);
/// let key = store.create(&Arc::new(record), now).await?;
/// store.load(&key, now).await?;
/// assert_eq!(store.stats().unchanged, 1); // the store was asked, and sent no record
/// # Ok::<_, session_core::store::StoreError>(()) }).unwrap();
/// ```
///
/// [`RedisStore`]: https://docs.rs/session-redis
pub struct CachedStore<S> {
    pub(super) store: S,
    pub(super) cache: Arc<Cache>,
    pub(super) near: Option<NearCache>,
    pub(super) clock: Arc<dyn Clock>,
}

impl<S: SessionStore> CachedStore<S> {
    /// A cache of 16 MiB in front of `store`, without leases.
    pub fn new(store: S) -> Self {
        Self {
            store,
            cache: Arc::new(Cache::new(CAPACITY, None)),
            near: None,
            clock: Arc::new(SystemClock),
        }
    }

    /// Sets the size of the cache in bytes; 0 switches it off.
    ///
    /// A record of more than a sixteenth of that size is not kept. What was cached before is
    /// dropped.
    ///
    /// ```
    /// use session_core::MemoryStore;
    /// use session_core::store::CachedStore;
    ///
    /// let store = CachedStore::new(MemoryStore::new()).with_capacity(1 << 20);
    /// assert!(format!("{store:?}").contains("capacity: 1048576"));
    /// ```
    #[must_use]
    pub fn with_capacity(mut self, bytes: usize) -> Self {
        self.cache = Arc::new(Cache::new(bytes, self.cache.lease()));
        self
    }

    /// Adds leases, which are used once a store reports changes: see
    /// [`invalidations`](Self::invalidations).
    ///
    /// What was cached before is dropped.
    ///
    /// [`NearCache`] has an example.
    #[must_use]
    pub fn with_near_cache(mut self, near: NearCache) -> Self {
        self.near = Some(near);
        self.cache = Arc::new(Cache::new(self.cache.capacity(), Some(near.lease())));
        self
    }

    /// Sets a clock other than the [`SystemClock`].
    ///
    /// Leases are measured with its [`monotonic`](Clock::monotonic) time. What was cached before is
    /// dropped.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        // What was handed out tells by the other one.
        self.cache = Arc::new(Cache::new(self.cache.capacity(), self.cache.lease()));
        self
    }

    /// The handle by which the store's own connection reports changes.
    ///
    /// Without a [`NearCache`] it has no effect. Ask for it once all settings are made: it belongs
    /// to the store as it is now.
    ///
    /// [`NearCache`] has an example.
    pub fn invalidations(&self) -> Invalidations {
        Invalidations::new(Arc::clone(&self.cache), Arc::clone(&self.clock))
    }

    /// The store behind the cache.
    pub const fn inner(&self) -> &S {
        &self.store
    }

    /// What the cache has done since it was made, and what it holds now.
    ///
    /// [`CachedStore`] has an example.
    pub fn stats(&self) -> CacheStats {
        self.cache.stats()
    }
}

impl<S: fmt::Debug> fmt::Debug for CachedStore<S> {
    /// Shows no record.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedStore")
            .field("store", &self.store)
            .field("capacity", &self.cache.capacity())
            .field("near", &self.near)
            .finish_non_exhaustive()
    }
}

//! The settings of leases.

use std::time::Duration;

/// The settings of a near cache, which answers reads without a command.
///
/// Use it for a site that accepts data that is stale for a stated time.
///
/// A record that this process has read is served from its memory while a *lease* holds. The store
/// reports each change, usually within a millisecond. If it cannot, because a connection hangs or
/// is cut, leases run out. So nothing is served that is older than one lease, whatever happens to
/// servers and networks. (While a machine is suspended, the clock of its leases stands still.) A
/// write is not affected: it meets the version that is stored, and is merged or tried again.
///
/// With a near cache, other nodes see a sign-out within the lease, and not by their next request.
/// [`with_waiting_ends`](Self::with_waiting_ends) closes that gap. A process sees its own writes
/// and sign-outs at once.
///
/// All nodes of a site must have the same settings.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # use session_core::{Clock, Lifetime, MemoryStore, SessionId, SystemClock};
/// use session_core::store::{CachedStore, NearCache, Record, SessionStore};
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// # let (id, now) = (SessionId::from_bytes([7; 16]), SystemClock.now());
/// let near = NearCache::new(Duration::from_secs(1));
/// let store = CachedStore::new(MemoryStore::new()).with_near_cache(near);
/// # let record = Arc::new(Record::new(id, "id", Lifetime::default(), now));
/// # let key = store.create(&record, now).await?;
/// // What a store's connection does if it learns of all changes:
/// let invalidations = store.invalidations();
/// let feed = invalidations.begin();
/// let asked = invalidations.now();
/// // .. it asks the server whether it is there, and gets an answer ..
/// feed.renew(asked);
///
/// store.load(&key, now).await?; // asks
/// store.load(&key, now).await?; // does not
/// assert_eq!(store.stats().leased, 1);
/// feed.changed(id);
/// store.load(&key, now).await?; // asks
/// assert_eq!(store.stats().leased, 1);
/// # Ok::<_, session_core::store::StoreError>(()) }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NearCache {
    lease: Duration,
    waiting_ends: bool,
}

impl NearCache {
    /// Settings with leases of this length.
    ///
    /// What is served can be behind the store by one lease at most. A second is usual. In each
    /// lease, a process asks its servers three times whether they are there.
    pub const fn new(lease: Duration) -> Self {
        Self {
            lease,
            waiting_ends: false,
        }
    }

    /// Makes each call that ends sessions wait until all leases of other processes have run out.
    ///
    /// These calls are `destroy` at its commit, the revocations, and the sign-outs of a principal.
    /// Once such a call has returned, no new request is answered as signed in, on any node. The
    /// call takes one lease longer.
    ///
    /// The wait does not count towards the store's
    /// [`call_timeout`](crate::store::SessionStore::call_timeout). It does count where the manager
    /// keeps the time. So a lease has to be shorter than
    /// [`Timeouts::commit`](crate::Timeouts::commit), which bounds the sign-outs of a principal. In
    /// front of a store that states no `call_timeout`, it also has to be shorter than
    /// [`Timeouts::call`](crate::Timeouts::call). A
    /// [`MigratingStore`](crate::store::MigratingStore) is such a store, and waits for a lease of
    /// each of its two stores. If a sign-in ends several sessions beyond
    /// [`max_sessions`](crate::SessionManagerBuilder::max_sessions), the waits follow one another.
    ///
    /// ```
    /// use session_core::store::NearCache;
    /// use std::time::Duration;
    ///
    /// let near = NearCache::new(Duration::from_secs(1)).with_waiting_ends();
    /// assert!(near.waits_for_leases());
    /// ```
    #[must_use]
    pub const fn with_waiting_ends(mut self) -> Self {
        self.waiting_ends = true;
        self
    }

    /// How long a lease is.
    pub const fn lease(&self) -> Duration {
        self.lease
    }

    /// Whether calls that end sessions wait for the leases of other processes.
    pub const fn waits_for_leases(&self) -> bool {
        self.waiting_ends
    }
}

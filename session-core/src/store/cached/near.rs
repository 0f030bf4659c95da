//! The settings of leases.

use std::time::Duration;

/// The settings of a near cache: reads that cost no command, for a site that accepts a stated
/// staleness.
///
/// A record that this process has read is served from its memory while a *lease* holds. The store
/// reports each change, usually within a millisecond. If it cannot, because a connection hangs or
/// is cut, leases run out: so nothing is served that is older than one lease, whatever happens to
/// servers and networks. (On a machine that was suspended, the clock of leases stood still.) A
/// write is not affected. It meets the version that is stored, and is merged or tried again.
///
/// What changes with it is that a sign-out on one node is seen by the others within the lease, and
/// not by their next request. [`with_waiting_ends`](Self::with_waiting_ends) closes that gap.
/// Within a process, its own writes and sign-outs are seen at once.
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
/// // What the connection of a store does that learns of all changes:
/// let invalidations = store.invalidations();
/// let feed = invalidations.begin();
/// let asked = invalidations.now();
/// // .. it asks the server whether it is there, and has an answer ..
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
    /// Leases of this length: the most by which what is served can be behind the store. A second is
    /// usual. Each process asks its servers whether they are there three times in a lease.
    pub const fn new(lease: Duration) -> Self {
        Self {
            lease,
            waiting_ends: false,
        }
    }

    /// The same where what ends sessions returns only once every lease of another process has run
    /// out: `destroy` at its commit, the revocations, and the sign-outs of a principal. Then no
    /// request that begins after it is answered as signed in, on any node. It takes one lease
    /// longer.
    ///
    /// That time does not count as one of the store's
    /// [`call_timeout`](crate::store::SessionStore::call_timeout). The manager does count it where
    /// it keeps the time: a lease has to be shorter than
    /// [`Timeouts::commit`](crate::Timeouts::commit), which bounds the sign-outs of a principal;
    /// and shorter than [`Timeouts::call`](crate::Timeouts::call) in front of a store that states
    /// no `call_timeout`. A [`MigratingStore`](crate::store::MigratingStore) is such a store, and
    /// waits for a lease of each of its two. Where a sign-in ends several sessions beyond
    /// [`max_sessions`](crate::SessionManagerBuilder::max_sessions), they wait one after the other.
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

    /// Whether what ends sessions waits for the leases of others.
    pub const fn waits_for_leases(&self) -> bool {
        self.waiting_ends
    }
}

//! Sessions in the memory of this process.

mod count;
mod index;
mod scan;
mod shard;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;

use self::count::Count;
use self::index::IdsByPrincipal;
use self::shard::{SWEEP_AFTER, Shard};
use crate::error::StoreError;
use crate::record::{Ended, Record, SessionId};
use crate::store::lock::lock;
use crate::store::{
    Durability, Listed, PrincipalIndex, RecordKey, RecordLocation, RecordScan, Revalidated,
    SessionStore, Update, Updated,
};
use crate::time::Timestamp;

const SHARDS: usize = 32;
const CAPACITY: usize = 1_000_000;
/// A full store sweeps at most this often.
const FULL_SWEEP_MILLIS: u64 = 1_000;
/// A time that is far from the present.
const NEVER: u64 = u64::MAX;

/// Keeps sessions in the memory of this process: for tests, for one server, or to start with.
///
/// It shares records with their readers and does not copy them. It holds a bounded number of
/// sessions, by default a million. When it is full of live sessions, creations fail with
/// [`StoreError::Full`] (a 503 over HTTP) and existing sessions continue: no session is ended to
/// make room.
///
/// Later creations sweep expired records, so no background task is needed.
/// [`delete_expired`](SessionStore::delete_expired) sweeps at once.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # use session_core::{Lifetime, SessionId, Timestamp};
/// use session_core::{EndReason, Ended, MemoryStore};
/// use session_core::store::{Record, SessionStore};
/// use std::sync::Arc;
///
/// let store = MemoryStore::new();
/// let now = Timestamp::from_millis(0);
/// let record = Record::new(SessionId::random()?, "id", Lifetime::default(), now);
/// let record = Arc::new(record);
/// let key = store.create(&record, now).await?;
/// let loaded = store.load(&key, now).await?.unwrap();
/// assert!(Arc::ptr_eq(&loaded, &record)); // no copy
///
/// store.delete(&key, Ended::new(EndReason::Revoked, now)).await?;
/// let mark = store.load(&key, now).await?.unwrap(); // for a minute
/// assert!(mark.ended().is_some());
/// # Ok::<_, session_core::SessionError>(()) }).unwrap();
/// ```
pub struct MemoryStore {
    shards: Vec<Mutex<Shard>>,
    principals: IdsByPrincipal,
    count: Count,
    capacity: usize,
    /// When a full store was last swept, in milliseconds.
    full_sweep: AtomicU64,
}

fn shard_of(id: SessionId) -> usize {
    usize::from(id.as_bytes()[0]) % SHARDS
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// A store of at most a million sessions.
    pub fn new() -> Self {
        Self::with_capacity(CAPACITY)
    }

    /// A store of at most this many sessions.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use session_core::{Lifetime, MemoryStore, SessionId};
    /// # use session_core::store::{Record, SessionStore, StoreError};
    /// # use std::sync::Arc;
    /// # let now = session_core::Timestamp::from_millis(0);
    /// # let id = |n| SessionId::from_bytes([n; 16]);
    /// # let record = |n| Arc::new(Record::new(id(n), "id", Lifetime::default(), now));
    /// let store = MemoryStore::with_capacity(1);
    /// store.create(&record(1), now).await?;
    /// let refused = store.create(&record(2), now).await;
    /// assert!(matches!(refused, Err(StoreError::Full { capacity: 1 })));
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            principals: IdsByPrincipal::default(),
            count: Count::default(),
            capacity,
            full_sweep: AtomicU64::new(NEVER),
        }
    }

    /// The number of records, including expired ones that were not swept yet.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use session_core::{Lifetime, MemoryStore, SessionId};
    /// # use session_core::store::{Record, SessionStore};
    /// # use std::sync::Arc;
    /// # let now = session_core::Timestamp::from_millis(0);
    /// # let id = |n| SessionId::from_bytes([n; 16]);
    /// # let record = |n| Arc::new(Record::new(id(n), "id", Lifetime::default(), now));
    /// let store = MemoryStore::new();
    /// assert!(store.is_empty());
    /// store.create(&record(1), now).await?;
    /// assert_eq!(store.len(), 1);
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    pub fn len(&self) -> usize {
        self.count.get()
    }

    /// Whether there is no record.
    ///
    /// [`len`](Self::len) has an example.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, id: SessionId) -> MutexGuard<'_, Shard> {
        lock(&self.shards[shard_of(id)])
    }

    /// Ends a session: puts a mark in the place of its record.
    fn end(&self, shard: &mut Shard, id: SessionId, ended: Ended) -> bool {
        let ends = self.evict(shard, id);
        if ends {
            shard.mark(id, ended, self.capacity.div_ceil(SHARDS));
        }
        ends
    }

    /// Removes a record from its shard and the index.
    fn evict(&self, shard: &mut Shard, id: SessionId) -> bool {
        let Some(record) = shard.records.remove(&id) else {
            return false;
        };
        self.count.remove();
        self.principals.remove(&record);
        true
    }

    /// Ends a session if it is of this principal.
    fn end_theirs(&self, principal: &str, id: SessionId, ended: Ended) -> bool {
        let _shows = self.count.shows();
        let mut shard = self.shard(id);
        let record = shard.records.get(&id);
        let theirs = record.is_some_and(|record| record.principal() == Some(principal));
        theirs && self.end(&mut shard, id, ended)
    }

    fn sweep(&self, shard: &mut Shard, now: Timestamp) -> u64 {
        shard.created = 0;
        shard.marks.retain(|_, ended| ended.is_kept(now));
        let expired: Vec<_> = shard
            .records
            .values()
            .filter(|record| !record.is_live(now))
            .map(|record| record.id())
            .collect();
        let swept = expired.iter().filter(|id| self.evict(shard, **id)).count();
        shard.survivors = shard.records.len();
        swept as u64
    }

    fn sweep_all(&self, now: Timestamp) -> u64 {
        let _shows = self.count.shows();
        self.shards
            .iter()
            .map(|shard| self.sweep(&mut lock(shard), now))
            .sum()
    }

    /// Makes room in a full store, unless another call has just tried.
    fn sweep_full(&self, now: Timestamp) {
        let (last, now_millis) = (self.full_sweep.load(Ordering::Relaxed), now.as_millis());
        // In both directions: after a clock was set back, the last time is in the future.
        let mine = now_millis.abs_diff(last) >= FULL_SWEEP_MILLIS
            && self
                .full_sweep
                .compare_exchange(last, now_millis, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if mine {
            self.sweep_all(now);
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SessionStore for MemoryStore {
    fn location(&self) -> RecordLocation {
        RecordLocation::Server
    }

    fn call_timeout(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }

    /// When the process ends, it loses all sessions, and never only the last writes.
    fn durability(&self) -> Durability {
        Durability::Durable
    }

    async fn load(
        &self,
        key: &RecordKey,
        now: Timestamp,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        let Some(id) = key.id() else { return Ok(None) };
        let shard = self.shard(id);
        // An expired one too, so that the manager can report the expiry.
        let record = shard.records.get(&id).cloned();
        Ok(record.or_else(|| Some(Arc::new(shard.ended(id, now)?.mark(id)))))
    }

    /// The record itself is shared, so nothing else has to be compared.
    async fn revalidate(
        &self,
        key: &RecordKey,
        known: &Arc<Record>,
        now: Timestamp,
    ) -> Result<Revalidated, StoreError> {
        Ok(match self.load(key, now).await? {
            Some(record) if Arc::ptr_eq(&record, known) => Revalidated::Unchanged,
            loaded => loaded.into(),
        })
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<RecordKey, StoreError> {
        let _shows = self.count.shows();
        if !self.count.add(self.capacity) {
            self.sweep_full(now);
            if !self.count.add(self.capacity) {
                return Err(StoreError::Full {
                    capacity: self.capacity,
                });
            }
        }
        let mut shard = self.shard(record.id);
        let taken = match shard.records.get(&record.id) {
            Some(other) => other.is_live(now),
            None => shard.ended(record.id, now).is_some(),
        };
        if taken {
            self.count.remove();
            return Err(StoreError::IdTaken);
        }
        self.evict(&mut shard, record.id);
        if shard.created >= SWEEP_AFTER.max(shard.survivors) {
            self.sweep(&mut shard, now);
        }
        shard.created += 1;
        shard.records.insert(record.id, Arc::clone(record));
        self.principals.add(record);
        Ok(RecordKey::Id(record.id))
    }

    async fn update(
        &self,
        key: &RecordKey,
        update: &Update,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        let Some(id) = key.id() else {
            return Ok(Updated::Gone);
        };
        let _shows = self.count.shows();
        let mut shard = self.shard(id);
        let Some(current) = shard.records.get_mut(&id) else {
            return Ok(Updated::Gone);
        };
        let mut after = Arc::clone(current);
        let updated = update.replace_in(&mut after, now)?;
        if let Updated::Saved { .. } = updated {
            if let Some(ended) = after.ended() {
                self.end(&mut shard, id, ended);
            } else {
                let before = std::mem::replace(current, after);
                if before.principal != current.principal {
                    self.principals.remove(&before);
                    self.principals.add(current);
                }
            }
        }
        Ok(updated)
    }

    async fn delete(&self, key: &RecordKey, ended: Ended) -> Result<(), StoreError> {
        let _shows = self.count.shows();
        if let Some(id) = key.id() {
            self.end(&mut self.shard(id), id, ended);
        }
        Ok(())
    }

    fn principals(&self) -> Option<&dyn PrincipalIndex> {
        Some(self)
    }

    fn scan(&self) -> Option<&dyn RecordScan> {
        Some(self)
    }

    async fn delete_expired(&self, now: Timestamp) -> Result<u64, StoreError> {
        Ok(self.sweep_all(now))
    }
}

#[async_trait]
impl PrincipalIndex for MemoryStore {
    async fn list_of(&self, principal: &str, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
        let find = |id: SessionId| self.shard(id).records.get(&id).cloned();
        Ok(self
            .principals
            .ids(principal)
            .into_iter()
            .filter_map(find)
            .filter(|record| record.principal() == Some(principal) && record.is_live(now))
            .map(Listed::from)
            .collect())
    }

    async fn delete_one_of(
        &self,
        principal: &str,
        id: SessionId,
        ended: Ended,
    ) -> Result<bool, StoreError> {
        Ok(self.end_theirs(principal, id, ended))
    }

    async fn delete_all_of(
        &self,
        principal: &str,
        except: Option<SessionId>,
        ended: Ended,
    ) -> Result<u64, StoreError> {
        let mut ids = self.principals.ids(principal);
        ids.retain(|id| Some(*id) != except);
        let theirs = ids
            .iter()
            .filter(|id| self.end_theirs(principal, **id, ended));
        Ok(theirs.count() as u64)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("len", &self.len())
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

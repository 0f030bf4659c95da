//! A store that counts its calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use session_core::{
    Capability, Durability, Ended, Key, Listed, Record, SessionId, SessionStore, StoreError,
    Timestamp, Update, Updated,
};

/// Counts each kind of call of the store in it.
#[derive(Debug)]
pub struct CountingStore<S> {
    inner: S,
    loads: AtomicU64,
    creates: AtomicU64,
    updates: AtomicU64,
    deletes: AtomicU64,
    others: AtomicU64,
}

/// How many calls there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls of `load`.
    pub loads: u64,
    /// Calls of `create`.
    pub creates: u64,
    /// Calls of `update`.
    pub updates: u64,
    /// Calls of `delete`.
    pub deletes: u64,
    /// Calls of `list`, `delete_one`, `delete_all` and `delete_expired`.
    pub others: u64,
}

impl Counts {
    /// No calls.
    pub const NONE: Self = Self {
        loads: 0,
        creates: 0,
        updates: 0,
        deletes: 0,
        others: 0,
    };
    /// One `load`.
    pub const LOAD: Self = Self {
        loads: 1,
        ..Self::NONE
    };
    /// One `create`.
    pub const CREATE: Self = Self {
        creates: 1,
        ..Self::NONE
    };
    /// One `load` and one `update`.
    pub const LOAD_UPDATE: Self = Self {
        updates: 1,
        ..Self::LOAD
    };
    /// One `load` and one `delete`.
    pub const LOAD_DELETE: Self = Self {
        deletes: 1,
        ..Self::LOAD
    };
}

impl<S> CountingStore<S> {
    /// Nothing counted yet.
    pub fn new(inner: S) -> Arc<Self> {
        Arc::new(Self {
            inner,
            loads: AtomicU64::new(0),
            creates: AtomicU64::new(0),
            updates: AtomicU64::new(0),
            deletes: AtomicU64::new(0),
            others: AtomicU64::new(0),
        })
    }

    /// The calls since this was last asked.
    pub fn take(&self) -> Counts {
        let take = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
        Counts {
            loads: take(&self.loads),
            creates: take(&self.creates),
            updates: take(&self.updates),
            deletes: take(&self.deletes),
            others: take(&self.others),
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: SessionStore> SessionStore for CountingStore<S> {
    fn capability(&self) -> Capability {
        self.inner.capability()
    }

    fn deadline(&self) -> Option<Duration> {
        self.inner.deadline()
    }

    fn durability(&self) -> Durability {
        self.inner.durability()
    }

    async fn load(&self, key: &Key, now: Timestamp) -> Result<Option<Arc<Record>>, StoreError> {
        count(&self.loads);
        self.inner.load(key, now).await
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<Key, StoreError> {
        count(&self.creates);
        self.inner.create(record, now).await
    }

    async fn update(
        &self,
        key: &Key,
        update: Update<'_>,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        count(&self.updates);
        self.inner.update(key, update, now).await
    }

    async fn delete(&self, key: &Key, ended: Ended) -> Result<(), StoreError> {
        count(&self.deletes);
        self.inner.delete(key, ended).await
    }

    async fn list(&self, principal: &str, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
        count(&self.others);
        self.inner.list(principal, now).await
    }

    async fn delete_one(
        &self,
        principal: &str,
        id: SessionId,
        ended: Ended,
    ) -> Result<bool, StoreError> {
        count(&self.others);
        self.inner.delete_one(principal, id, ended).await
    }

    async fn delete_all(
        &self,
        principal: &str,
        except: Option<SessionId>,
        ended: Ended,
    ) -> Result<u64, StoreError> {
        count(&self.others);
        self.inner.delete_all(principal, except, ended).await
    }

    async fn delete_expired(&self, now: Timestamp) -> Result<u64, StoreError> {
        count(&self.others);
        self.inner.delete_expired(now).await
    }
}

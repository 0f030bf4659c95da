//! A store that gives way around every call.

use std::sync::Arc;

use async_trait::async_trait;
use session_core::{
    Capability, Key, Record, SessionId, SessionStore, StoreError, Timestamp, Update, Updated,
};

use crate::Rng;
use crate::sim::pause;

/// Gives way up to a number of times before and after every call of the store in it, so that
/// others run at each point where a request waits.
#[derive(Debug)]
pub struct YieldStore<S> {
    inner: S,
    rng: Rng,
    most: usize,
}

impl<S> YieldStore<S> {
    /// Gives way at most twice on each side of a call.
    pub const fn new(inner: S, seed: u64) -> Self {
        Self {
            inner,
            rng: Rng::new(seed ^ 0x5eed),
            most: 2,
        }
    }

    async fn around<T>(&self, call: impl Future<Output = T> + Send) -> T {
        self.pause().await;
        let answer = call.await;
        self.pause().await;
        answer
    }

    async fn pause(&self) {
        for _ in 0..self.rng.below(self.most + 1) {
            pause().await;
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: SessionStore> SessionStore for YieldStore<S> {
    fn capability(&self) -> Capability {
        self.inner.capability()
    }

    async fn load(&self, key: &Key, now: Timestamp) -> Result<Option<Arc<Record>>, StoreError> {
        self.around(self.inner.load(key, now)).await
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<Key, StoreError> {
        self.around(self.inner.create(record, now)).await
    }

    async fn update(&self, key: &Key, update: Update<'_>, now: Timestamp) -> Result<Updated, StoreError> {
        self.around(self.inner.update(key, update, now)).await
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        self.around(self.inner.delete(key)).await
    }

    async fn list(&self, principal: &str, now: Timestamp) -> Result<Vec<Arc<Record>>, StoreError> {
        self.around(self.inner.list(principal, now)).await
    }

    async fn delete_one(&self, principal: &str, id: SessionId) -> Result<bool, StoreError> {
        self.around(self.inner.delete_one(principal, id)).await
    }

    async fn delete_all(&self, principal: &str, except: Option<SessionId>) -> Result<u64, StoreError> {
        self.around(self.inner.delete_all(principal, except)).await
    }

    async fn delete_expired(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.around(self.inner.delete_expired(now)).await
    }
}

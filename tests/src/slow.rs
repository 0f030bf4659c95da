//! A store that takes its time.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use session_core::{
    Capability, Clock, Key, ManualClock, Record, SessionId, SessionStore, StoreError, Timestamp, Update,
    Updated,
};

/// Lets time pass on a clock around every call of the store in it, half of it on the way there and
/// half on the way back, as a network does.
#[derive(Debug)]
pub struct SlowStore<S> {
    inner: S,
    clock: Arc<ManualClock>,
    half: Duration,
}

impl<S> SlowStore<S> {
    /// Each call takes `latency`.
    pub fn new(inner: S, clock: Arc<ManualClock>, latency: Duration) -> Self {
        Self {
            inner,
            clock,
            half: latency / 2,
        }
    }

    async fn around<T>(&self, call: impl Future<Output = T> + Send) -> T {
        self.clock.sleep(self.half).await;
        let answer = call.await;
        self.clock.sleep(self.half).await;
        answer
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: SessionStore> SessionStore for SlowStore<S> {
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

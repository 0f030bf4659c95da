//! Stores whose calls take time, or let others run.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use session_core::{
    Capability, Clock, Durability, Ended, Key, Listed, ManualClock, Record, SessionId,
    SessionStore, StoreError, Timestamp, Update, Updated,
};

use crate::Rng;
use crate::sim::pause;

/// Lets time pass on a clock around every call of the store in it, half of it on the way there and
/// half on the way back, as a network does.
pub type SlowStore<S> = PausingStore<S, Latency>;

/// Gives way up to twice before and after every call of the store in it, so that others run at each
/// point where a request waits.
pub type YieldStore<S> = PausingStore<S, GiveWay>;

/// Pauses before and after every call of the store in it.
#[derive(Debug)]
pub struct PausingStore<S, P> {
    inner: S,
    pauses: P,
}

/// A pause on one side of a call.
pub trait Pause: fmt::Debug + Send + Sync + 'static {
    /// Takes it.
    fn pause(&self) -> impl Future<Output = ()> + Send;
}

/// Pauses that take time.
#[derive(Debug)]
pub struct Latency {
    clock: Arc<ManualClock>,
    half: Duration,
}

impl Pause for Latency {
    async fn pause(&self) {
        self.clock.sleep(self.half).await;
    }
}

/// Pauses in which others run.
#[derive(Debug)]
pub struct GiveWay {
    rng: Rng,
}

impl Pause for GiveWay {
    async fn pause(&self) {
        for _ in 0..self.rng.below(3) {
            pause().await;
        }
    }
}

impl<S> SlowStore<S> {
    /// Each call takes `latency`.
    pub fn new(inner: S, clock: Arc<ManualClock>, latency: Duration) -> Self {
        let half = latency / 2;
        Self {
            inner,
            pauses: Latency { clock, half },
        }
    }
}

impl<S> YieldStore<S> {
    /// How often it gives way is drawn from `seed`.
    pub const fn new(inner: S, seed: u64) -> Self {
        let rng = Rng::new(seed ^ 0x5eed);
        Self {
            inner,
            pauses: GiveWay { rng },
        }
    }
}

impl<S, P: Pause> PausingStore<S, P> {
    async fn around<T>(&self, call: impl Future<Output = T> + Send) -> T {
        self.pauses.pause().await;
        let answer = call.await;
        self.pauses.pause().await;
        answer
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: SessionStore, P: Pause> SessionStore for PausingStore<S, P> {
    fn capability(&self) -> Capability {
        self.inner.capability()
    }

    fn deadline(&self) -> Option<Duration> {
        None
    }

    fn durability(&self) -> Durability {
        self.inner.durability()
    }

    async fn load(&self, key: &Key, now: Timestamp) -> Result<Option<Arc<Record>>, StoreError> {
        self.around(self.inner.load(key, now)).await
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<Key, StoreError> {
        self.around(self.inner.create(record, now)).await
    }

    async fn update(
        &self,
        key: &Key,
        update: Update<'_>,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        self.around(self.inner.update(key, update, now)).await
    }

    async fn delete(&self, key: &Key, ended: Ended) -> Result<(), StoreError> {
        self.around(self.inner.delete(key, ended)).await
    }

    async fn list(&self, principal: &str, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
        self.around(self.inner.list(principal, now)).await
    }

    async fn delete_one(
        &self,
        principal: &str,
        id: SessionId,
        ended: Ended,
    ) -> Result<bool, StoreError> {
        self.around(self.inner.delete_one(principal, id, ended))
            .await
    }

    async fn delete_all(
        &self,
        principal: &str,
        except: Option<SessionId>,
        ended: Ended,
    ) -> Result<u64, StoreError> {
        self.around(self.inner.delete_all(principal, except, ended))
            .await
    }

    async fn delete_expired(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.around(self.inner.delete_expired(now)).await
    }
}

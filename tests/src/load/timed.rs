//! A store that takes down how long each of its calls took and what came of it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use session_core::{
    Capability, Durability, Ended, Key, Listed, Record, SessionId, SessionStore, StoreError,
    Timestamp, Update, Updated,
};

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What was asked for.
    Done,
    /// [`StoreError::Unavailable`].
    Unavailable,
    /// [`StoreError::OutcomeUnknown`].
    Unknown,
    /// The caller went away before there was an answer.
    Dropped,
    /// Another error.
    Other(String),
}

/// One call of a store.
#[derive(Clone, Debug)]
pub struct Call {
    /// Whether it was a `load`.
    pub is_load: bool,
    /// When it was over.
    pub end: Instant,
    /// How long it took.
    pub took: Duration,
    /// What came of it.
    pub outcome: Outcome,
}

/// Takes down every call of the store in it.
#[derive(Debug)]
pub struct TimedStore<S> {
    inner: S,
    calls: Mutex<Calls>,
}

/// All calls so far.
#[derive(Debug, Default)]
pub struct Calls {
    /// Those that are over, in that order.
    pub over: Vec<Call>,
    /// When those began that are not.
    running: BTreeSet<(Instant, u64)>,
    numbers: u64,
}

impl Calls {
    /// When the first of those began that are not over.
    pub fn running_since(&self) -> Option<Instant> {
        self.running.first().map(|(began, _)| *began)
    }
}

impl<S> TimedStore<S> {
    /// Nothing taken down yet.
    pub const fn new(inner: S) -> Self {
        Self {
            inner,
            calls: Mutex::new(Calls {
                over: Vec::new(),
                running: BTreeSet::new(),
                numbers: 0,
            }),
        }
    }

    /// All calls so far.
    pub fn calls(&self) -> MutexGuard<'_, Calls> {
        lock(&self.calls)
    }

    async fn timed<T>(
        &self,
        is_load: bool,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let mut running = Running::begin(&self.calls, is_load);
        let answer = call.await;
        running.outcome = match &answer {
            Ok(_) => Outcome::Done,
            Err(StoreError::Unavailable(_)) => Outcome::Unavailable,
            Err(StoreError::OutcomeUnknown(_)) => Outcome::Unknown,
            Err(other) => Outcome::Other(format!("{other:?}")),
        };
        answer
    }
}

struct Running<'a> {
    calls: &'a Mutex<Calls>,
    is_load: bool,
    began: Instant,
    number: u64,
    outcome: Outcome,
}

impl<'a> Running<'a> {
    fn begin(calls: &'a Mutex<Calls>, is_load: bool) -> Self {
        let mut all = lock(calls);
        all.numbers += 1;
        let (began, number) = (Instant::now(), all.numbers);
        all.running.insert((began, number));
        Self {
            calls,
            is_load,
            began,
            number,
            outcome: Outcome::Dropped,
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut calls = lock(self.calls);
        let end = Instant::now();
        calls.running.remove(&(self.began, self.number));
        calls.over.push(Call {
            is_load: self.is_load,
            end,
            took: end - self.began,
            outcome: self.outcome.clone(),
        });
    }
}

fn lock(calls: &Mutex<Calls>) -> MutexGuard<'_, Calls> {
    calls.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: SessionStore> SessionStore for TimedStore<S> {
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
        self.timed(true, self.inner.load(key, now)).await
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<Key, StoreError> {
        self.timed(false, self.inner.create(record, now)).await
    }

    async fn update(
        &self,
        key: &Key,
        update: Update<'_>,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        self.timed(false, self.inner.update(key, update, now)).await
    }

    async fn delete(&self, key: &Key, ended: Ended) -> Result<(), StoreError> {
        self.timed(false, self.inner.delete(key, ended)).await
    }

    async fn list(&self, principal: &str, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
        self.timed(true, self.inner.list(principal, now)).await
    }

    async fn delete_one(
        &self,
        principal: &str,
        id: SessionId,
        ended: Ended,
    ) -> Result<bool, StoreError> {
        self.timed(false, self.inner.delete_one(principal, id, ended))
            .await
    }

    async fn delete_all(
        &self,
        principal: &str,
        except: Option<SessionId>,
        ended: Ended,
    ) -> Result<u64, StoreError> {
        self.timed(false, self.inner.delete_all(principal, except, ended))
            .await
    }

    async fn delete_expired(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.timed(false, self.inner.delete_expired(now)).await
    }
}

//! A store that fails on purpose.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use session_core::{
    Capability, Durability, Ended, Key, Listed, Record, SessionId, SessionStore, StoreError,
    Timestamp, Update, Updated,
};

use crate::sim::pause;

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `load`.
    Load,
    /// `create`.
    Create,
    /// `update`.
    Update,
    /// `delete`.
    Delete,
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does not: a place in a plan for a call that succeeds.
    None,
    /// It gives way once, then succeeds.
    Slow,
    /// The store cannot be reached.
    Unavailable,
    /// The outcome is unknown; nothing was written.
    LostRequest,
    /// The outcome is unknown; it was written.
    LostAnswer,
    /// Nothing happens, for ever.
    Hang,
    /// It is written, then nothing happens for ever.
    HangAfter,
    /// The record cannot be read.
    Corrupt,
    /// The id is taken.
    IdTaken,
    /// Another writer was faster, it is said, and nothing is written.
    Conflict,
}

/// Fails as planned, and passes on the calls for which nothing is planned.
#[derive(Debug)]
pub struct FaultStore<S> {
    inner: S,
    planned: Mutex<VecDeque<(Call, Fault)>>,
    always: Mutex<Vec<(Call, Fault)>>,
}

impl<S> FaultStore<S> {
    /// Fails at nothing yet.
    pub fn new(inner: S) -> Arc<Self> {
        Arc::new(Self {
            inner,
            planned: Mutex::default(),
            always: Mutex::default(),
        })
    }

    /// Plans a fault for the next call of this kind for which none is planned.
    pub fn plan(&self, call: Call, fault: Fault) {
        lock(&self.planned).push_back((call, fault));
    }

    /// From now on every call of this kind fails like this.
    pub fn always(&self, call: Call, fault: Fault) {
        lock(&self.always).push((call, fault));
    }

    /// From now on only planned calls fail.
    pub fn repair(&self) {
        lock(&self.always).clear();
    }

    fn fault(&self, call: Call) -> Fault {
        let mut planned = lock(&self.planned);
        if let Some(at) = planned.iter().position(|(kind, _)| *kind == call) {
            return planned.remove(at).map_or(Fault::None, |(_, fault)| fault);
        }
        let always = lock(&self.always);
        let found = always.iter().find(|(kind, _)| *kind == call);
        found.map_or(Fault::None, |(_, fault)| *fault)
    }

    async fn call<T>(
        &self,
        call: Call,
        inner: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        match self.fault(call) {
            Fault::None | Fault::Conflict => inner.await,
            Fault::Slow => {
                pause().await;
                inner.await
            }
            Fault::Unavailable => Err(StoreError::unavailable("refused on purpose")),
            Fault::LostRequest => Err(StoreError::outcome_unknown("request lost on purpose")),
            Fault::LostAnswer => {
                inner.await?;
                Err(StoreError::outcome_unknown("answer lost on purpose"))
            }
            Fault::Hang => pending().await,
            Fault::HangAfter => {
                inner.await?;
                pending().await
            }
            Fault::Corrupt => Err(StoreError::corrupt("damaged on purpose")),
            Fault::IdTaken => Err(StoreError::IdTaken),
        }
    }

    /// Whether the next update is to conflict; if so, that is done with.
    fn conflicts(&self) -> bool {
        let is_update = |(call, _): &&(Call, Fault)| *call == Call::Update;
        let planned = lock(&self.planned).iter().find(is_update).copied();
        let next = planned.or_else(|| lock(&self.always).iter().find(is_update).copied());
        let conflicts = matches!(next, Some((_, Fault::Conflict)));
        conflicts && self.fault(Call::Update) == Fault::Conflict
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: SessionStore> SessionStore for FaultStore<S> {
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
        self.call(Call::Load, self.inner.load(key, now)).await
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<Key, StoreError> {
        self.call(Call::Create, self.inner.create(record, now))
            .await
    }

    async fn update(
        &self,
        key: &Key,
        update: Update<'_>,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        if self.conflicts() {
            return Ok(Updated::Conflict(None));
        }
        self.call(Call::Update, self.inner.update(key, update, now))
            .await
    }

    async fn delete(&self, key: &Key, ended: Ended) -> Result<(), StoreError> {
        self.call(Call::Delete, self.inner.delete(key, ended)).await
    }

    async fn list(&self, principal: &str, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
        self.inner.list(principal, now).await
    }

    async fn delete_one(
        &self,
        principal: &str,
        id: SessionId,
        ended: Ended,
    ) -> Result<bool, StoreError> {
        self.inner.delete_one(principal, id, ended).await
    }

    async fn delete_all(
        &self,
        principal: &str,
        except: Option<SessionId>,
        ended: Ended,
    ) -> Result<u64, StoreError> {
        self.inner.delete_all(principal, except, ended).await
    }

    async fn delete_expired(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.inner.delete_expired(now).await
    }
}

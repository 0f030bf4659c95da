//! A store that fails on purpose.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use session_core::store::{StoreError, Updated};

use crate::sim::pause;
use crate::{Around, Call, Hook};

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does not: a place in a plan for a call that succeeds.
    None,
    /// It gives way once, then succeeds.
    Slow,
    /// It succeeds, and gives way once before its answer.
    SlowAnswer,
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
pub type FaultStore<S> = Around<S, Faults>;

/// What is planned.
#[derive(Debug, Default)]
pub struct Faults {
    planned: Mutex<VecDeque<(Call, Fault)>>,
    always: Mutex<Vec<(Call, Fault)>>,
}

impl<S> FaultStore<S> {
    /// Fails at nothing yet.
    pub fn new(inner: S) -> Arc<Self> {
        let hook = Faults::default();
        Arc::new(Self { inner, hook })
    }

    /// Plans a fault for the next call of this kind for which none is planned.
    pub fn plan(&self, call: Call, fault: Fault) {
        lock(&self.hook.planned).push_back((call, fault));
    }

    /// From now on every call of this kind fails like this.
    pub fn always(&self, call: Call, fault: Fault) {
        lock(&self.hook.always).push((call, fault));
    }

    /// From now on only planned calls fail.
    pub fn repair(&self) {
        lock(&self.hook.always).clear();
    }
}

impl Faults {
    fn fault(&self, call: Call) -> Fault {
        let mut planned = lock(&self.planned);
        if let Some(at) = planned.iter().position(|(kind, _)| *kind == call) {
            return planned.remove(at).map_or(Fault::None, |(_, fault)| fault);
        }
        let always = lock(&self.always);
        let found = always.iter().find(|(kind, _)| *kind == call);
        found.map_or(Fault::None, |(_, fault)| *fault)
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

impl Hook for Faults {
    async fn around<T: Send>(
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
            Fault::SlowAnswer => {
                let answer = inner.await;
                pause().await;
                answer
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

    fn instead_of_update(&self) -> Option<Updated> {
        self.conflicts().then_some(Updated::conflict(None))
    }

    fn call_timeout(&self, _: Option<Duration>) -> Option<Duration> {
        None
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! A store that takes down how long each of its calls took and what came of it.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use session_core::store::StoreError;

use crate::{Around, Call as Kind, Hook};

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
pub type TimedStore<S> = Around<S, Timed>;

/// All calls so far, under a lock.
#[derive(Debug, Default)]
pub struct Timed(Mutex<Calls>);

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
    pub fn new(inner: S) -> Self {
        let hook = Timed::default();
        Self { inner, hook }
    }

    /// All calls so far.
    pub fn calls(&self) -> MutexGuard<'_, Calls> {
        lock(&self.hook.0)
    }
}

impl Hook for Timed {
    async fn around<T: Send>(
        &self,
        call: Kind,
        inner: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let is_load = matches!(call, Kind::Load | Kind::List);
        let mut running = Running::begin(&self.0, is_load);
        let answer = inner.await;
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

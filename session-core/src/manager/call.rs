//! One call of the store: its deadline, its failure, and what is reported of it.

use std::future::Future;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tracing::Span;

use crate::error::StoreError;
use crate::event::{Events, StoreCall, StoreOperation, StoreOutcome, store_span};
#[cfg(feature = "sealed-values")]
use crate::manager::Sealing;
use crate::record::{Record, SessionId};
use crate::settings::Timeouts;
use crate::store::{Listed, RecordKey, SessionStore, Updated};
use crate::time::{Clock, Timer};

#[cfg(not(feature = "sealed-values"))]
const SEALED: &str = "a value is sealed, and this program cannot open it; add the feature \
                      `sealed-values`, and set `seal_values`";

/// What applies to all calls of a store.
pub(super) struct Terms {
    pub(super) clock: Arc<dyn Clock>,
    /// The limit of a call of one record. There is none where the store keeps it by itself.
    one: Option<Duration>,
    /// The limit of a call that may take many commands: that of a commit.
    many: Duration,
    pub(super) events: Events,
    /// Somebody wants to know how long calls take, and they take time.
    is_timed: bool,
    /// What seals values on their way to the store, and opens them on their way back.
    #[cfg(feature = "sealed-values")]
    pub(super) sealing: Sealing,
}

impl Terms {
    pub(super) fn new(
        store: &dyn SessionStore,
        clock: Arc<dyn Clock>,
        timeouts: &Timeouts,
        events: Events,
    ) -> Self {
        let own = store.call_timeout();
        let keeps_time = own.is_some_and(|own| own <= timeouts.call);
        Self {
            clock,
            one: (!keeps_time).then_some(timeouts.call),
            many: timeouts.commit,
            is_timed: events.is_observed() && own != Some(Duration::ZERO),
            events,
            #[cfg(feature = "sealed-values")]
            sealing: Sealing::default(),
        }
    }

    /// How long a call of this kind may take. There is no limit where the store keeps it by itself.
    const fn limit_of(&self, kind: Kind) -> Option<Duration> {
        match kind {
            Kind::Load | Kind::Look | Kind::Create | Kind::Update | Kind::Mark | Kind::Delete => {
                self.one
            }
            Kind::ListOf | Kind::DeleteOneOf | Kind::DeleteAllOf => Some(self.many),
            Kind::DeleteExpired => None,
        }
    }

    /// The monotonic time in nanoseconds; never that at which it began.
    fn nanos(&self) -> Option<NonZeroU64> {
        let nanos = self.clock.monotonic().as_nanos();
        NonZeroU64::new(u64::try_from(nanos).unwrap_or(u64::MAX).max(1))
    }

    #[cfg(feature = "sealed-values")]
    pub(super) fn with_values(&self, record: Arc<Record>) -> Result<Arc<Record>, StoreError> {
        self.sealing.open(record)
    }

    /// A program that cannot open sealed values does not use their session: it would write plain
    /// values in their place.
    #[cfg(not(feature = "sealed-values"))]
    pub(super) fn with_values(&self, record: Arc<Record>) -> Result<Arc<Record>, StoreError> {
        match record.values.any_sealed() {
            true => Err(StoreError::corrupt(SEALED)),
            false => Ok(record),
        }
    }
}

/// What kind of call it is: that decides for how long it may run, and what it means that it is not
/// answered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Load,
    /// It reads a record whose values nobody needs.
    Look,
    Create,
    Update,
    /// It puts a mark in the place of a record whose values nobody needs.
    Mark,
    /// The end of a session that a handler asked for: its failure is an event of its own.
    Delete,
    ListOf,
    DeleteOneOf,
    DeleteAllOf,
    /// Its caller keeps a limit.
    DeleteExpired,
}

impl Kind {
    const fn operation(self) -> StoreOperation {
        match self {
            Self::Load | Self::Look => StoreOperation::Load,
            Self::Create => StoreOperation::Create,
            Self::Update | Self::Mark => StoreOperation::Update,
            Self::Delete => StoreOperation::Delete,
            Self::ListOf => StoreOperation::ListOf,
            Self::DeleteOneOf => StoreOperation::DeleteOneOf,
            Self::DeleteAllOf => StoreOperation::DeleteAllOf,
            Self::DeleteExpired => StoreOperation::DeleteExpired,
        }
    }

    /// No answer came. To read, and to remove what has expired, can be done again.
    pub(super) fn unanswered(self) -> StoreError {
        match self {
            Self::Load | Self::Look | Self::ListOf | Self::DeleteExpired => {
                StoreError::unavailable(DeadlinePassed)
            }
            Self::Create
            | Self::Update
            | Self::Mark
            | Self::Delete
            | Self::DeleteOneOf
            | Self::DeleteAllOf => StoreError::outcome_unknown(DeadlinePassed),
        }
    }
}

#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the store did not answer within its deadline")]
struct DeadlinePassed;

/// A call, its deadline and its failure. It lies in the future of every handler, so it is no
/// larger than it has to be: an `async fn` would hold its arguments twice.
pub(super) struct Call<'c, F> {
    report: CallReport<'c>,
    call: F,
    /// That of the record in the answer.
    key: Option<&'c RecordKey>,
    /// What few calls need.
    rare: Option<Box<Rare>>,
}

/// What a call needs only if it has to wait for the manager's deadline, or if somebody listens.
struct Rare {
    timer: Timer,
    span: Span,
}

impl Default for Rare {
    fn default() -> Self {
        Self {
            timer: Timer::default(),
            span: Span::none(),
        }
    }
}

impl<'c, F> Call<'c, F> {
    pub(super) fn new(report: CallReport<'c>, call: F) -> Self {
        Self {
            report,
            call,
            key: None,
            rare: None,
        }
    }

    /// The same, of a call whose answer may have the record of this key.
    pub(super) fn of(self, key: &'c RecordKey) -> Self {
        Self {
            key: Some(key),
            ..self
        }
    }

    /// The same in a span, if somebody listens.
    pub(super) fn in_span(self, id: Option<SessionId>) -> Self {
        let span = store_span(self.report.kind.operation(), id);
        if span.is_disabled() {
            return self;
        }
        let timer = Timer::default();
        Self {
            rare: Some(Box::new(Rare { timer, span })),
            ..self
        }
    }

    /// A record of the answer, if it is one of the key that was asked for, with opened values.
    fn open(&self, record: Arc<Record>) -> Result<Arc<Record>, StoreError> {
        let asked = self.key.and_then(RecordKey::id);
        if asked.is_some_and(|id| id != record.id) {
            let id = record.id.short();
            let text = format!("the record is that of session {id}");
            return Err(StoreError::corrupt(text));
        }
        match self.report.kind {
            Kind::Look | Kind::Mark => Ok(record),
            _ => self.report.terms.with_values(record),
        }
    }

    fn note(&self, error: &StoreError) {
        let terms = self.report.terms;
        let (events, now) = (&terms.events, terms.clock.now());
        match (error, self.key) {
            (StoreError::Corrupt(_), Some(key)) => events.corrupt(key.id(), None, error, now),
            _ if self.report.kind == Kind::Delete => {}
            _ => events.store_failed(error, now),
        }
    }
}

impl<T: Answer, F: Future<Output = Result<T, StoreError>> + Unpin> Future for Call<'_, F> {
    type Output = Result<T, StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let polled = match &this.rare {
            None => Pin::new(&mut this.call).poll(context),
            Some(rare) => rare
                .span
                .in_scope(|| Pin::new(&mut this.call).poll(context)),
        };
        let answer = match polled {
            Poll::Ready(answer) => answer.and_then(|answer| answer.checked(this)),
            Poll::Pending => {
                let CallReport { terms, kind, .. } = this.report;
                let Some(limit) = terms.limit_of(kind) else {
                    return Poll::Pending;
                };
                let rare = this.rare.get_or_insert_default();
                if rare.timer.poll(&*terms.clock, limit, context).is_pending() {
                    return Poll::Pending;
                }
                Err(kind.unanswered())
            }
        };
        let outcome = outcome_of(&answer);
        if let Some(rare) = &this.rare {
            rare.span.record("outcome", outcome.label());
        }
        this.report.end(outcome);
        Poll::Ready(answer.inspect_err(|error| this.note(error)))
    }
}

/// What is reported of a call when it is over, if somebody observes. If it is dropped first, it was
/// cancelled.
pub(super) struct CallReport<'c> {
    terms: &'c Terms,
    /// By the clock's monotonic time, in nanoseconds.
    began: Option<NonZeroU64>,
    bytes: u32,
    kind: Kind,
    is_due: bool,
}

impl<'c> CallReport<'c> {
    /// Of a call that begins now, and writes this record, if any.
    pub(super) fn new(terms: &'c Terms, kind: Kind, written: Option<&Record>) -> Self {
        let is_due = terms.events.is_observed();
        let written = written.filter(|_| is_due);
        let bytes = written.map_or(0, |record| record.limited_size());
        Self {
            terms,
            began: terms.is_timed.then(|| terms.nanos()).flatten(),
            bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
            kind,
            is_due,
        }
    }

    pub(super) fn end(&mut self, outcome: StoreOutcome) {
        if !self.is_due {
            return;
        }
        self.is_due = false;
        let now = self.began.and_then(|_| self.terms.nanos());
        let took = now.zip(self.began);
        self.terms.events.store_call(&StoreCall {
            operation: self.kind.operation(),
            outcome,
            elapsed: took
                .map(|(now, began)| Duration::from_nanos(now.get().saturating_sub(began.get()))),
            bytes: self.bytes as usize,
        });
    }
}

impl Drop for CallReport<'_> {
    fn drop(&mut self) {
        self.end(StoreOutcome::Cancelled);
    }
}

/// How a call has ended that was answered so.
pub(super) fn outcome_of<T: Answer>(answer: &Result<T, StoreError>) -> StoreOutcome {
    match answer {
        Ok(answer) => answer.outcome(),
        Err(error) => StoreOutcome::of_error(error),
    }
}

/// What a store answers.
pub(super) trait Answer: Sized {
    /// How a call with this answer has ended.
    fn outcome(&self) -> StoreOutcome {
        StoreOutcome::Done
    }

    /// The same, if the record in it can be read, with its values opened.
    fn checked<F>(self, _: &Call<'_, F>) -> Result<Self, StoreError> {
        Ok(self)
    }
}

impl Answer for () {}
/// Whether there was such a session.
impl Answer for bool {
    fn outcome(&self) -> StoreOutcome {
        match self {
            true => StoreOutcome::Done,
            false => StoreOutcome::Absent,
        }
    }
}

impl Answer for u64 {}
impl Answer for RecordKey {}
/// Nobody needs the values of listed sessions.
impl Answer for Vec<Listed> {}

impl Answer for Option<Arc<Record>> {
    fn outcome(&self) -> StoreOutcome {
        match self {
            Some(_) => StoreOutcome::Done,
            None => StoreOutcome::Absent,
        }
    }

    fn checked<F>(self, call: &Call<'_, F>) -> Result<Self, StoreError> {
        self.map(|record| call.open(record)).transpose()
    }
}

impl Answer for Updated {
    fn outcome(&self) -> StoreOutcome {
        match self {
            Self::Saved { .. } => StoreOutcome::Done,
            Self::Conflict { .. } => StoreOutcome::Conflict,
            Self::Gone => StoreOutcome::Gone,
        }
    }

    fn checked<F>(self, call: &Call<'_, F>) -> Result<Self, StoreError> {
        match self {
            Self::Conflict { current } => current.checked(call).map(Self::conflict),
            other => Ok(other),
        }
    }
}

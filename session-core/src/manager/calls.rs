//! Every call of the store: each within its deadline, and its failure noted.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::error::StoreError;
use crate::event::{Events, Who};
#[cfg(feature = "sealed-values")]
use crate::manager::Sealing;
use crate::manager::watches::Watches;
use crate::record::{EndReason, Ended, Record, SessionId};
use crate::settings::Timeouts;
use crate::store::{Listed, RecordKey, SessionStore, Update, Updated, index_of};
use crate::time::{Clock, Elapsed, Timer, Timestamp, within};

#[cfg(not(feature = "sealed-values"))]
const SEALED: &str = "a value is sealed, and this program cannot open it; add the feature \
                      `sealed-values`, and set `seal_values`";

/// The store, and the only holder of it: whoever calls it has to come here, so no call goes
/// without a deadline, and none fails without an event.
///
/// A method returns the future of a call. A read that gets no answer is
/// [`Unavailable`](StoreError::Unavailable); a write that gets none may have been applied, so it is
/// [`OutcomeUnknown`](StoreError::OutcomeUnknown).
pub(crate) struct StoreCalls {
    store: Arc<dyn SessionStore>,
    clock: Arc<dyn Clock>,
    /// The limit of a call of one record. There is none where the store keeps it by itself.
    one: Option<Duration>,
    /// The limit of a call that may take many commands: that of a commit.
    many: Duration,
    events: Events,
    watches: Watches,
    /// What seals values on their way to the store, and opens them on their way back.
    #[cfg(feature = "sealed-values")]
    sealing: Sealing,
}

impl StoreCalls {
    pub(crate) fn new(
        store: Arc<dyn SessionStore>,
        clock: Arc<dyn Clock>,
        timeouts: &Timeouts,
        events: Events,
    ) -> Self {
        let keeps_time = store.call_timeout().is_some_and(|own| own <= timeouts.call);
        Self {
            store,
            clock,
            one: (!keeps_time).then_some(timeouts.call),
            many: timeouts.commit,
            events,
            watches: Watches::default(),
            #[cfg(feature = "sealed-values")]
            sealing: Sealing::default(),
        }
    }

    /// The same with values that are sealed in the store.
    #[cfg(feature = "sealed-values")]
    pub(crate) fn with_sealing(self, sealing: Sealing) -> Self {
        Self { sealing, ..self }
    }

    pub(crate) fn store(&self) -> &dyn SessionStore {
        &*self.store
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    pub(crate) fn events(&self) -> &Events {
        &self.events
    }

    /// Who watches which session. What ends or renews one says so there.
    pub(crate) fn watches(&self) -> &Watches {
        &self.watches
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The record of a key as the store has it, expired or not. If it is not one of this key, or
    /// its values do not open, it is [`Corrupt`](StoreError::Corrupt).
    pub(crate) fn load<'c>(
        &'c self,
        key: &'c RecordKey,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<Arc<Record>>, StoreError>> + 'c {
        self.bounded(Kind::Read, self.store().load(key, now))
            .of(key)
    }

    /// The same for who needs no values: they are not opened.
    pub(crate) fn look<'c>(
        &'c self,
        key: &'c RecordKey,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<Arc<Record>>, StoreError>> + 'c {
        self.bounded(Kind::Look, self.store().load(key, now))
            .of(key)
    }

    /// A record that a [`look`](Self::look) has found, with opened values.
    pub(crate) fn opened(
        &self,
        key: &RecordKey,
        record: Arc<Record>,
    ) -> Result<Arc<Record>, StoreError> {
        self.with_values(record).inspect_err(|error| {
            self.events.corrupt(key.id(), None, error, self.now());
        })
    }

    #[cfg(feature = "sealed-values")]
    fn with_values(&self, record: Arc<Record>) -> Result<Arc<Record>, StoreError> {
        self.sealing.open(record)
    }

    /// A program that cannot open sealed values does not use their session: it would write plain
    /// values in their place.
    #[cfg(not(feature = "sealed-values"))]
    fn with_values(&self, record: Arc<Record>) -> Result<Arc<Record>, StoreError> {
        match record.values.any_sealed() {
            true => Err(StoreError::corrupt(SEALED)),
            false => Ok(record),
        }
    }

    pub(crate) fn create<'c>(
        &'c self,
        record: &'c Arc<Record>,
        now: Timestamp,
    ) -> impl Future<Output = Result<RecordKey, StoreError>> + 'c {
        #[cfg(feature = "sealed-values")]
        if self.sealing.seals() {
            let create = self.sealing.create(self.store(), record, now);
            return self.bounded(Kind::Write, create);
        }
        self.bounded(Kind::Write, self.store().create(record, now))
    }

    pub(crate) fn update<'c>(
        &'c self,
        key: &'c RecordKey,
        update: &'c Update,
        now: Timestamp,
    ) -> impl Future<Output = Result<Updated, StoreError>> + 'c {
        #[cfg(feature = "sealed-values")]
        if self.sealing.seals() {
            let update = self.sealing.update(self.store(), key, update, now);
            return self.bounded(Kind::Write, update).of(key);
        }
        self.bounded(Kind::Write, self.store().update(key, update, now))
            .of(key)
    }

    /// Puts a mark in the place of a record. Nobody needs values for that: those of the record that
    /// it meets instead are not opened.
    pub(crate) fn mark<'c>(
        &'c self,
        key: &'c RecordKey,
        update: &'c Update,
        now: Timestamp,
    ) -> impl Future<Output = Result<Updated, StoreError>> + 'c {
        self.bounded(Kind::Mark, self.store().update(key, update, now))
            .of(key)
    }

    /// Ends a session. To do so twice does no harm.
    pub(crate) async fn delete(
        &self,
        key: &RecordKey,
        who: &Who,
        reason: EndReason,
    ) -> Result<(), StoreError> {
        let call = self.store().delete(key, self.ended(reason));
        let deleted = self.bounded(Kind::Deletion, call).await;
        match &deleted {
            Ok(()) => self.watches.changed(key),
            Err(error) => self.events.delete_failed(who, error, self.now()),
        }
        deleted
    }

    /// The live sessions of a principal, and those that cannot be read.
    pub(crate) async fn list_of(&self, principal: &str) -> Result<Vec<Listed>, StoreError> {
        let now = self.now();
        let call = index_of(self.store())?.list_of(principal, now);
        let mut sessions = self.bounded(Kind::ReadOfMany, call).await?;
        sessions.retain(|listed| listed.record().is_none_or(|record| record.is_live(now)));
        #[cfg(feature = "sealed-values")]
        for listed in &mut sessions {
            // One that does not open lets nobody in.
            let judged = listed
                .record()
                .map(|record| self.sealing.check_opens(record));
            if let Some(Err(error)) = judged {
                *listed = Listed::unreadable(listed.id(), error);
            }
        }
        for listed in &sessions {
            if let Listed::Unreadable { id, error } = listed {
                self.events.corrupt(Some(*id), Some(principal), error, now);
            }
        }
        Ok(sessions)
    }

    /// Whether a record that was [listed](Self::list_of) lets somebody in, in this process.
    pub(crate) fn lets_in(&self, record: &Record) -> bool {
        #[cfg(feature = "sealed-values")]
        return self.sealing.opens(record);
        #[cfg(not(feature = "sealed-values"))]
        !record.values.any_sealed()
    }

    /// Ends one session of a principal; whether there was such a one. `text` is the event's.
    pub(crate) async fn delete_one_of(
        &self,
        principal: &str,
        id: SessionId,
        reason: EndReason,
        text: &'static str,
    ) -> Result<bool, StoreError> {
        let index = index_of(self.store())?;
        let call = index.delete_one_of(principal, id, self.ended(reason));
        let ended = self.bounded(Kind::WriteOfMany, call).await?;
        if ended {
            self.events.revoked(id, Some(principal), text, self.now());
            self.watches.changed(&RecordKey::Id(id));
        }
        Ok(ended)
    }

    /// Ends the sessions of a principal; how many there were. `text` is the event's.
    pub(crate) async fn delete_all_of(
        &self,
        principal: &str,
        except: Option<SessionId>,
        text: &'static str,
    ) -> Result<u64, StoreError> {
        let ended = self.ended(EndReason::Revoked);
        let call = index_of(self.store())?.delete_all_of(principal, except, ended);
        let count = self.bounded(Kind::WriteOfMany, call).await?;
        if count > 0 {
            self.events.revoked_many(principal, count, text, self.now());
            self.watches.changed_of(principal, except);
        }
        Ok(count)
    }

    /// Removes what has expired. A store may have much to remove, so this has a limit of its own.
    pub(crate) async fn delete_expired(&self, limit: Duration) -> Result<u64, StoreError> {
        let now = self.now();
        let sweep = within(self.clock(), limit, self.store().delete_expired(now)).await;
        let swept = sweep.unwrap_or_else(|Elapsed| Err(StoreError::unavailable(DeadlinePassed)));
        swept.inspect_err(|error| self.events.store_failed(error, self.now()))
    }

    /// An end at this moment.
    pub(crate) fn ended(&self, reason: EndReason) -> Ended {
        Ended::new(reason, self.now())
    }

    fn bounded<'c, F>(&'c self, kind: Kind, call: F) -> Call<'c, F> {
        Call {
            calls: self,
            kind,
            call,
            timer: Timer::default(),
            key: None,
        }
    }
}

impl fmt::Debug for StoreCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

/// What kind of call it is: that decides for how long it may run, and what it means that it is not
/// answered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    /// It reads a record whose values nobody needs.
    Look,
    Write,
    /// It puts a mark in the place of a record whose values nobody needs.
    Mark,
    /// The end of a session that a handler asked for: its failure is an event of its own.
    Deletion,
    ReadOfMany,
    WriteOfMany,
}

#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the store did not answer within its deadline")]
struct DeadlinePassed;

/// A call, its deadline and its failure. It lies in the future of every handler, so it is no
/// larger than it has to be: an `async fn` would hold its arguments twice.
struct Call<'c, F> {
    calls: &'c StoreCalls,
    kind: Kind,
    call: F,
    timer: Timer,
    /// That of the record in the answer.
    key: Option<&'c RecordKey>,
}

impl<T: Answer, F: Future<Output = Result<T, StoreError>> + Unpin> Future for Call<'_, F> {
    type Output = Result<T, StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let answer = match Pin::new(&mut this.call).poll(context) {
            Poll::Ready(answer) => answer.and_then(|answer| answer.checked(this)),
            Poll::Pending => {
                let limit = match this.kind {
                    Kind::Read | Kind::Look | Kind::Write | Kind::Mark | Kind::Deletion => {
                        this.calls.one
                    }
                    Kind::ReadOfMany | Kind::WriteOfMany => Some(this.calls.many),
                };
                let Some(limit) = limit else {
                    return Poll::Pending;
                };
                if this
                    .timer
                    .poll(this.calls.clock(), limit, context)
                    .is_pending()
                {
                    return Poll::Pending;
                }
                Err(this.unanswered())
            }
        };
        Poll::Ready(answer.inspect_err(|error| this.note(error)))
    }
}

impl<'c, F> Call<'c, F> {
    /// The same, of a call whose answer may have the record of this key.
    fn of(mut self, key: &'c RecordKey) -> Self {
        self.key = Some(key);
        self
    }

    /// A record of the answer, if it is one of the key that was asked for, with opened values.
    fn open(&self, record: Arc<Record>) -> Result<Arc<Record>, StoreError> {
        let asked = self.key.and_then(RecordKey::id);
        if asked.is_some_and(|id| id != record.id) {
            let id = record.id.short();
            let text = format!("the record is that of session {id}");
            return Err(StoreError::corrupt(text));
        }
        match self.kind {
            Kind::Look | Kind::Mark => Ok(record),
            _ => self.calls.with_values(record),
        }
    }

    fn unanswered(&self) -> StoreError {
        match self.kind {
            Kind::Read | Kind::Look | Kind::ReadOfMany => StoreError::unavailable(DeadlinePassed),
            Kind::Write | Kind::Mark | Kind::Deletion | Kind::WriteOfMany => {
                StoreError::outcome_unknown(DeadlinePassed)
            }
        }
    }

    fn note(&self, error: &StoreError) {
        let (events, now) = (&self.calls.events, self.calls.now());
        match (error, self.key) {
            (StoreError::Corrupt(_), Some(key)) => events.corrupt(key.id(), None, error, now),
            _ if self.kind == Kind::Deletion => {}
            _ => events.store_failed(error, now),
        }
    }
}

/// What a store answers.
trait Answer: Sized {
    /// The same, if the record in it can be read, with its values opened.
    fn checked<F>(self, _: &Call<'_, F>) -> Result<Self, StoreError> {
        Ok(self)
    }
}

impl Answer for () {}
impl Answer for bool {}
impl Answer for u64 {}
impl Answer for RecordKey {}
/// Nobody needs the values of listed sessions.
impl Answer for Vec<Listed> {}

impl Answer for Option<Arc<Record>> {
    fn checked<F>(self, call: &Call<'_, F>) -> Result<Self, StoreError> {
        self.map(|record| call.open(record)).transpose()
    }
}

impl Answer for Updated {
    fn checked<F>(self, call: &Call<'_, F>) -> Result<Self, StoreError> {
        match self {
            Self::Conflict { current } => current.checked(call).map(Self::conflict),
            other => Ok(other),
        }
    }
}

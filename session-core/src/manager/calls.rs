//! Every call of the store: each within its deadline, and its failure noted.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::error::StoreError;
use crate::event::{Events, Who};
#[cfg(feature = "sealed-values")]
use crate::manager::Sealing;
use crate::manager::call::{Call, CallReport, Kind, Terms, outcome_of};
use crate::manager::watches::Watches;
#[cfg(feature = "sealed-values")]
use crate::record::SealFault;
use crate::record::{EndReason, Ended, Record, SessionId};
use crate::settings::Timeouts;
use crate::store::{Listed, RecordKey, SessionStore, Update, Updated, index_of};
use crate::time::{Clock, Elapsed, Timestamp, within};

/// The store, and the only holder of it: whoever calls it has to come here, so no call goes
/// without a deadline, and none fails without an event.
///
/// A method returns the future of a call. A read that gets no answer is
/// [`Unavailable`](StoreError::Unavailable); a write that gets none may have been applied, so it is
/// [`OutcomeUnknown`](StoreError::OutcomeUnknown).
pub(crate) struct StoreCalls {
    store: Arc<dyn SessionStore>,
    terms: Terms,
    watches: Watches,
}

impl StoreCalls {
    pub(crate) fn new(
        store: Arc<dyn SessionStore>,
        clock: Arc<dyn Clock>,
        timeouts: &Timeouts,
        events: Events,
    ) -> Self {
        Self {
            terms: Terms::new(&*store, clock, timeouts, events),
            store,
            watches: Watches::default(),
        }
    }

    /// The same with values that are sealed in the store.
    #[cfg(feature = "sealed-values")]
    pub(crate) fn with_sealing(mut self, sealing: Sealing) -> Self {
        self.terms.sealing = sealing;
        self
    }

    pub(crate) fn store(&self) -> &dyn SessionStore {
        &*self.store
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.terms.clock
    }

    pub(crate) fn events(&self) -> &Events {
        &self.terms.events
    }

    /// Who watches which session. What ends or renews one says so there.
    pub(crate) fn watches(&self) -> &Watches {
        &self.watches
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.terms.clock.now()
    }

    /// The record of a key as the store has it, expired or not. If it is not one of this key, or
    /// its values do not open, it is [`Corrupt`](StoreError::Corrupt).
    pub(crate) fn load<'c>(
        &'c self,
        key: &'c RecordKey,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<Arc<Record>>, StoreError>> + 'c {
        self.call(Kind::Load, key.id(), None, self.store().load(key, now))
            .of(key)
    }

    /// The same for who needs no values: they are not opened.
    pub(crate) fn look<'c>(
        &'c self,
        key: &'c RecordKey,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<Arc<Record>>, StoreError>> + 'c {
        self.call(Kind::Look, key.id(), None, self.store().load(key, now))
            .of(key)
    }

    /// A record that a [`look`](Self::look) has found, with opened values.
    pub(crate) fn opened(
        &self,
        key: &RecordKey,
        record: Arc<Record>,
    ) -> Result<Arc<Record>, StoreError> {
        self.terms.with_values(record).inspect_err(|error| {
            self.terms.events.corrupt(key.id(), None, error, self.now());
        })
    }

    pub(crate) fn create<'c>(
        &'c self,
        record: &'c Arc<Record>,
        now: Timestamp,
    ) -> impl Future<Output = Result<RecordKey, StoreError>> + 'c {
        #[cfg(feature = "sealed-values")]
        if self.terms.sealing.seals() {
            let create = self.terms.sealing.create(self.store(), record, now);
            return self.call(Kind::Create, Some(record.id), Some(record), create);
        }
        let create = self.store().create(record, now);
        self.call(Kind::Create, Some(record.id), Some(record), create)
    }

    pub(crate) fn update<'c>(
        &'c self,
        key: &'c RecordKey,
        update: &'c Update,
        now: Timestamp,
    ) -> impl Future<Output = Result<Updated, StoreError>> + 'c {
        let written = update.record();
        #[cfg(feature = "sealed-values")]
        if self.terms.sealing.seals() {
            let update = self.terms.sealing.update(self.store(), key, update, now);
            return self
                .call(Kind::Update, key.id(), Some(written), update)
                .of(key);
        }
        let update = self.store().update(key, update, now);
        self.call(Kind::Update, key.id(), Some(written), update)
            .of(key)
    }

    /// The update that seals the values of a stored record again, if that is due.
    #[cfg(feature = "sealed-values")]
    pub(crate) fn resealing(&self, stored: &Arc<Record>) -> Result<Option<Update>, SealFault> {
        self.terms.sealing.resealing(stored)
    }

    /// Carries out an update whose values are in the form of the store.
    #[cfg(feature = "sealed-values")]
    pub(crate) fn rewrite<'c>(
        &'c self,
        key: &'c RecordKey,
        update: &'c Update,
        now: Timestamp,
    ) -> impl Future<Output = Result<Updated, StoreError>> + 'c {
        self.mark(key, update, now)
    }

    /// Puts a mark in the place of a record. Nobody needs values for that: those of the record that
    /// it meets instead are not opened.
    pub(crate) fn mark<'c>(
        &'c self,
        key: &'c RecordKey,
        update: &'c Update,
        now: Timestamp,
    ) -> impl Future<Output = Result<Updated, StoreError>> + 'c {
        let written = update.record();
        let update = self.store().update(key, update, now);
        self.call(Kind::Mark, key.id(), Some(written), update)
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
        let deleted = self.call(Kind::Delete, key.id(), None, call).await;
        match &deleted {
            Ok(()) => self.watches.changed(key),
            Err(error) => self.terms.events.delete_failed(who, error, self.now()),
        }
        deleted
    }

    /// The live sessions of a principal, and those that cannot be read.
    pub(crate) async fn list_of(&self, principal: &str) -> Result<Vec<Listed>, StoreError> {
        let now = self.now();
        let call = index_of(self.store())?.list_of(principal, now);
        let mut sessions = self.call(Kind::ListOf, None, None, call).await?;
        sessions.retain(|listed| listed.record().is_none_or(|record| record.is_live(now)));
        #[cfg(feature = "sealed-values")]
        for listed in &mut sessions {
            // One that does not open lets nobody in.
            let judged = listed
                .record()
                .map(|record| self.terms.sealing.check_opens(record));
            if let Some(Err(error)) = judged {
                *listed = Listed::unreadable(listed.id(), error);
            }
        }
        for listed in &sessions {
            if let Listed::Unreadable { id, error } = listed {
                self.terms
                    .events
                    .corrupt(Some(*id), Some(principal), error, now);
            }
        }
        Ok(sessions)
    }

    /// Whether a record that was [listed](Self::list_of) lets somebody in, in this process.
    pub(crate) fn lets_in(&self, record: &Record) -> bool {
        #[cfg(feature = "sealed-values")]
        return self.terms.sealing.opens(record);
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
        let ended = self.call(Kind::DeleteOneOf, Some(id), None, call).await?;
        if ended {
            self.terms
                .events
                .revoked(id, Some(principal), text, self.now());
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
        let count = self.call(Kind::DeleteAllOf, None, None, call).await?;
        if count > 0 {
            self.terms
                .events
                .revoked_many(principal, count, text, self.now());
            self.watches.changed_of(principal, except);
        }
        Ok(count)
    }

    /// Removes what has expired. A store may have much to remove, so this has a limit of its own.
    pub(crate) async fn delete_expired(&self, limit: Duration) -> Result<u64, StoreError> {
        let mut report = CallReport::new(&self.terms, Kind::DeleteExpired, None);
        let call = self.store().delete_expired(self.now());
        let sweep = within(self.clock(), limit, call).await;
        let swept = sweep.unwrap_or_else(|Elapsed| Err(Kind::DeleteExpired.unanswered()));
        report.end(outcome_of(&swept));
        swept.inspect_err(|error| self.terms.events.store_failed(error, self.now()))
    }

    /// An end at this moment.
    pub(crate) fn ended(&self, reason: EndReason) -> Ended {
        Ended::new(reason, self.now())
    }

    /// A call for a session, if it is for one, that writes this record, if any.
    fn call<'c, F>(
        &'c self,
        kind: Kind,
        id: Option<SessionId>,
        written: Option<&Record>,
        call: F,
    ) -> Call<'c, F> {
        Call::new(CallReport::new(&self.terms, kind, written), call).in_span(id)
    }
}

impl fmt::Debug for StoreCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

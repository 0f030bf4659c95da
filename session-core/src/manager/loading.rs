//! What the store has under a key, within the deadline of a call.

use std::sync::Arc;

use crate::error::{Error, StoreError};
use crate::manager::InTime;
use crate::manager::SessionManager;
use crate::record::Record;
use crate::settings::OnCorrupt;
use crate::store::Key;
use crate::time::Timestamp;

/// What a store answers to a load.
type Loaded = Result<Option<Arc<Record>>, StoreError>;

impl SessionManager {
    /// The record of a key, expired or not.
    pub(crate) async fn load(
        &self,
        key: &Key,
        now: Timestamp,
    ) -> Result<Option<Arc<Record>>, Error> {
        let answer = self.ask(key, now).await;
        self.readable(key, answer, now)
    }

    /// What can be used of the store's answer.
    pub(crate) fn readable(
        &self,
        key: &Key,
        answer: Loaded,
        now: Timestamp,
    ) -> Result<Option<Arc<Record>>, Error> {
        match self.noted(answer, now) {
            Ok(Some(record)) if key.id().is_some_and(|id| id != record.id) => {
                let id = record.id.short();
                let error = StoreError::corrupt(format!("the record is that of session {id}"));
                self.unreadable(key, error, now)
            }
            Err(error @ StoreError::Corrupt(_)) => self.unreadable(key, error, now),
            loaded => Ok(loaded?),
        }
    }

    fn unreadable(
        &self,
        key: &Key,
        error: StoreError,
        now: Timestamp,
    ) -> Result<Option<Arc<Record>>, Error> {
        self.shared.events.corrupt(key.id(), None, &error, now);
        match self.shared.on_corrupt {
            OnCorrupt::StartAnew => Ok(None),
            OnCorrupt::Refuse => Err(error.into()),
        }
    }

    /// What the store has under a key, within the deadline of a call.
    pub(crate) async fn fetch(&self, key: &Key, now: Timestamp) -> Loaded {
        let answer = self.ask(key, now).await;
        self.noted(answer, now)
    }

    pub(crate) fn ask<'a>(
        &'a self,
        key: &'a Key,
        now: Timestamp,
    ) -> InTime<'a, impl Future<Output = Loaded> + Unpin> {
        // `(*store)`, or the forwarding implementation of `Arc` would box the call twice.
        let call = (*self.shared.store).load(key, now);
        self.in_time(call, StoreError::unavailable)
    }

    /// The store's answer, once the application has heard of a failure.
    pub(crate) fn noted<T>(
        &self,
        answer: Result<T, StoreError>,
        now: Timestamp,
    ) -> Result<T, StoreError> {
        answer.inspect_err(|error| self.shared.events.store_failed(error, now))
    }
}

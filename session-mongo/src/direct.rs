//! The contract of stores without a cache: each call is one operation on the collection, within the
//! deadline.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mongodb::options::Acknowledgment;
use session_core::store::{
    Durability, Listed, PrincipalIndex, Record, RecordKey, RecordLocation, RecordScan, Revalidated,
    ScanCursor, ScanPage, SessionStore, StoreError, Update, Updated, async_trait,
};
use session_core::{Ended, SessionId, Timestamp};

use crate::detach::within;
use crate::fault::Reason;
use crate::scan::Place;
use crate::sessions::{PRIMARY, Sessions};

/// Sessions in MongoDB. Each operation asks the server.
pub(crate) struct DirectStore {
    pub(crate) sessions: Arc<Sessions>,
}

impl fmt::Debug for DirectStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectStore")
            .field(
                "sessions",
                &format_args!("{}", self.sessions.collection.namespace()),
            )
            .field("deadline", &self.sessions.deadline)
            .finish_non_exhaustive()
    }
}

/// What an operation does: a write that did not end in time may have been applied.
#[derive(Clone, Copy)]
pub(crate) enum Access {
    Read,
    Write,
}

impl DirectStore {
    /// For an operation: it may go on when the store has been dropped.
    pub(crate) fn sessions(&self) -> Arc<Sessions> {
        Arc::clone(&self.sessions)
    }

    /// Waits for an operation within the deadline.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        access: Access,
        operation: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let reason = match within(self.sessions.deadline, operation).await {
            Ok(answer) => return answer,
            Err(reason) => reason,
        };
        Err(match (access, &reason) {
            (Access::Write, Reason::Late(_)) => StoreError::OutcomeUnknown(Arc::new(reason)),
            _ => StoreError::Unavailable(Arc::new(reason)),
        })
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SessionStore for DirectStore {
    fn location(&self) -> RecordLocation {
        RecordLocation::Server
    }

    fn call_timeout(&self) -> Option<Duration> {
        Some(self.sessions.deadline)
    }

    /// Writes that a majority acknowledges survive a fail-over; writes that fewer nodes acknowledge
    /// may not. Reads from another node than the primary may see the state before the last write.
    fn durability(&self) -> Durability {
        let collection = &self.sessions.collection;
        let writes = collection.write_concern();
        let survives = writes.is_some_and(|writes| {
            writes.w == Some(Acknowledgment::Majority) && writes.journal != Some(false)
        });
        match survives && collection.selection_criteria() == Some(&PRIMARY) {
            true => Durability::Durable,
            false => Durability::MayLoseWrites,
        }
    }

    /// Hands back an expired session too while it is there, so that its expiry can be told.
    async fn load(
        &self,
        key: &RecordKey,
        now: Timestamp,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        let Some(id) = key.id() else { return Ok(None) };
        self.call(Access::Read, self.sessions().load(id, now)).await
    }

    /// To be told that a session is unchanged takes as long as to read it, unless it is very large.
    async fn revalidate(
        &self,
        key: &RecordKey,
        known: &Arc<Record>,
        now: Timestamp,
    ) -> Result<Revalidated, StoreError> {
        let _ = known;
        Ok(self.load(key, now).await?.into())
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<RecordKey, StoreError> {
        let creation = self.sessions().create(Arc::clone(record), now);
        self.call(Access::Write, creation).await
    }

    async fn update(
        &self,
        key: &RecordKey,
        update: &Update,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        let Some(id) = key.id() else {
            return Ok(Updated::Gone);
        };
        let update = self.sessions().update(id, update.clone(), now);
        self.call(Access::Write, update).await
    }

    async fn delete(&self, key: &RecordKey, ended: Ended) -> Result<(), StoreError> {
        let Some(id) = key.id() else { return Ok(()) };
        let deletion = self.sessions().delete(id, ended);
        self.call(Access::Write, deletion).await.map(drop)
    }

    fn principals(&self) -> Option<&dyn PrincipalIndex> {
        Some(self)
    }

    fn scan(&self) -> Option<&dyn RecordScan> {
        Some(self)
    }

    /// The server expires sessions by itself, once a minute. This is for a collection that has no
    /// TTL index.
    async fn delete_expired(&self, now: Timestamp) -> Result<u64, StoreError> {
        let removal = self.sessions().remove_expired(now);
        self.call(Access::Write, removal).await
    }
}

#[async_trait]
impl PrincipalIndex for DirectStore {
    async fn list_of(&self, principal: &str, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
        let listing = self.sessions().list(principal.to_owned(), now);
        self.call(Access::Read, listing).await
    }

    async fn delete_one_of(
        &self,
        principal: &str,
        id: SessionId,
        ended: Ended,
    ) -> Result<bool, StoreError> {
        let deletion = self.sessions().delete_one(principal.into(), id, ended);
        Ok(self.call(Access::Write, deletion).await?.count() > 0)
    }

    async fn delete_all_of(
        &self,
        principal: &str,
        except: Option<SessionId>,
        ended: Ended,
    ) -> Result<u64, StoreError> {
        let deletion = self.sessions().delete_all(principal.into(), except, ended);
        Ok(self.call(Access::Write, deletion).await?.count())
    }
}

/// The server keeps the index itself, so there is nothing to mend.
#[async_trait]
impl RecordScan for DirectStore {
    async fn scan_records(
        &self,
        from: Option<&ScanCursor>,
        most: usize,
    ) -> Result<ScanPage, StoreError> {
        let from = from.map_or(Ok(Place::default()), Place::read)?;
        self.call(Access::Read, self.sessions().page(from, most))
            .await
    }

    async fn delete_unreadable(&self, id: SessionId, ended: Ended) -> Result<bool, StoreError> {
        let deletion = self.sessions().delete_unreadable(id, ended);
        Ok(self.call(Access::Write, deletion).await?.count() > 0)
    }
}

//! The contract of [`SessionStore`] in terms of commands and indexes, without a cache.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use session_core::store::{
    Durability, IndexMend, IndexPage, Invalidations, Listed, PrincipalIndex, Record, RecordKey,
    RecordLocation, RecordScan, Revalidated, ScanCursor, ScanPage, SessionStore, StoreError,
    Update, Updated, async_trait,
};
use session_core::{Ended, SessionId, Timestamp};

use crate::commands::{Commands, Deletion, UpdateOutcome};
use crate::connection::{Fault, Link};
use crate::error::ConnectError;
use crate::index::Index;
use crate::layout::{KeyNames, Layout};
use crate::scan::Scan;

/// Sessions in Redis or Valkey. Each operation asks the server.
pub(crate) struct DirectStore {
    /// Shared with the tasks of sign-ins, which go on if their callers are cancelled.
    commands: Arc<Commands>,
}

impl DirectStore {
    pub(crate) fn new(link: Link, names: KeyNames, layout: Layout) -> Self {
        Self {
            commands: Arc::new(Commands::new(link, names, layout)),
        }
    }

    /// Has the cache that is in front of this store told of what others change.
    pub(crate) fn tell(&self, cache: Invalidations) {
        let prefix = self.commands.names.prefix.clone();
        self.commands.link.tell(cache, prefix);
    }

    /// Connects, reads a session that is not there in both ways, and deletes it. That shows whether
    /// the user has the permissions, and whether this is a server to write to.
    pub(crate) async fn try_out(&self) -> Result<(), ConnectError> {
        let tried = async {
            let commands = &self.commands;
            let connected = commands.link.connect().await;
            connected.map_err(|reason| StoreError::Unavailable(Arc::new(reason)))?;
            let nobody = SessionId::from_bytes([0; 16]);
            let until = commands.until();
            commands.load(nobody, until).await?;
            commands.try_question(nobody, until).await?;
            let deleted = commands.delete(nobody, None, Ended::default(), until).await;
            deleted.map(drop).map_err(Fault::into_write_error)
        };
        tried.await.map_err(ConnectError::failed)
    }
}

impl fmt::Debug for DirectStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DirectStore")
            .field("link", &self.commands.link)
            .field("prefix", &self.commands.names.prefix)
            .field("layout", &self.commands.layout)
            .finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SessionStore for DirectStore {
    fn location(&self) -> RecordLocation {
        RecordLocation::Server
    }

    fn call_timeout(&self) -> Option<Duration> {
        Some(self.commands.deadline())
    }

    /// A fail-over or a restart can lose the last writes: replication is asynchronous, and what is
    /// on disk may be a second old.
    fn durability(&self) -> Durability {
        Durability::MayLoseWrites
    }

    /// Returns an expired session too, while it is there, so that its expiry can be reported.
    async fn load(
        &self,
        key: &RecordKey,
        now: Timestamp,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        let Some(id) = key.id() else { return Ok(None) };
        let record = self.commands.load(id, self.commands.until()).await?;
        Ok(record.filter(|record| is_loaded(record, now)))
    }

    async fn revalidate(
        &self,
        key: &RecordKey,
        known: &Arc<Record>,
        now: Timestamp,
    ) -> Result<Revalidated, StoreError> {
        let Some(id) = key.id() else {
            return Ok(Revalidated::Gone);
        };
        let until = self.commands.until();
        Ok(match self.commands.revalidate(id, known, until).await? {
            Revalidated::Changed(record) if !is_loaded(&record, now) => Revalidated::Gone,
            Revalidated::Unchanged if !is_loaded(known, now) => Revalidated::Gone,
            answer => answer,
        })
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<RecordKey, StoreError> {
        let until = self.commands.until();
        if let Some(principal) = record.principal() {
            let index = Index::of(principal, &self.commands, until);
            // Boxed, as everything that few calls need: the future of each call is on the heap, and
            // no larger than it has to be.
            return Box::pin(index.create(Arc::clone(record), now)).await;
        }
        self.commands.create(record, now, None, until).await?;
        Ok(RecordKey::Id(record.id()))
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
        let until = self.commands.until();
        match self.commands.update(id, update, now, None, until).await? {
            UpdateOutcome::Saved {
                version,
                exact,
                former,
            } => {
                if let Some(former) = former {
                    let index = Index::of(&former, &self.commands, until);
                    Box::pin(index.remove_departed(id)).await;
                }
                Ok(match exact {
                    true => Updated::replaced(id, version),
                    false => Updated::saved(id, version),
                })
            }
            UpdateOutcome::Conflict(fresh) => Ok(Updated::conflict(fresh)),
            UpdateOutcome::Gone => Ok(Updated::Gone),
            UpdateOutcome::IndexFirst => {
                let principal = update.record().principal().unwrap_or_default();
                let index = Index::of(principal, &self.commands, until);
                Box::pin(index.update(id, update.clone(), now)).await
            }
        }
    }

    async fn delete(&self, key: &RecordKey, ended: Ended) -> Result<(), StoreError> {
        let Some(id) = key.id() else { return Ok(()) };
        let until = self.commands.until();
        let deleted = self.commands.delete(id, None, ended, until).await;
        let deleted = deleted.map_err(Fault::into_write_error)?;
        if let Deletion::Deleted {
            principal: Some(principal),
        } = deleted
        {
            Index::of(&principal, &self.commands, until)
                .remove_deleted(id)
                .await;
        }
        Ok(())
    }

    fn principals(&self) -> Option<&dyn PrincipalIndex> {
        Some(self)
    }

    fn scan(&self) -> Option<&dyn RecordScan> {
        Some(self)
    }

    /// The server expires sessions by itself.
    async fn delete_expired(&self, now: Timestamp) -> Result<u64, StoreError> {
        let _ = now;
        Ok(0)
    }
}

/// Whether a load returns what is stored. A mark that is over is as good as gone.
fn is_loaded(record: &Record, now: Timestamp) -> bool {
    record.is_live(now) || record.ended().is_none()
}

#[async_trait]
impl PrincipalIndex for DirectStore {
    async fn list_of(&self, principal: &str, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
        let until = self.commands.until();
        Index::of(principal, &self.commands, until).list(now).await
    }

    /// If an answer was lost the store asks again. A session that the first attempt has deleted is
    /// not there any more, and then this is `false`.
    async fn delete_one_of(
        &self,
        principal: &str,
        id: SessionId,
        ended: Ended,
    ) -> Result<bool, StoreError> {
        let until = self.commands.until();
        Index::of(principal, &self.commands, until)
            .delete_one(id, ended)
            .await
    }

    async fn delete_all_of(
        &self,
        principal: &str,
        except: Option<SessionId>,
        ended: Ended,
    ) -> Result<u64, StoreError> {
        let until = self.commands.until();
        Index::of(principal, &self.commands, until)
            .delete_all(except, ended)
            .await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl RecordScan for DirectStore {
    async fn scan_records(
        &self,
        from: Option<&ScanCursor>,
        most: usize,
    ) -> Result<ScanPage, StoreError> {
        Scan(&self.commands).sessions(from, most).await
    }

    async fn scan_index(
        &self,
        from: Option<&ScanCursor>,
        most: usize,
    ) -> Result<IndexPage, StoreError> {
        Scan(&self.commands).entries(from, most).await
    }

    async fn mend_index(
        &self,
        principal: &str,
        id: SessionId,
        now: Timestamp,
    ) -> Result<IndexMend, StoreError> {
        let until = self.commands.until();
        Index::of(principal, &self.commands, until)
            .mend(id, now)
            .await
    }

    async fn delete_unreadable(&self, id: SessionId, ended: Ended) -> Result<bool, StoreError> {
        let until = self.commands.until();
        let deleted = self.commands.delete_unreadable(id, ended, until).await?;
        if let Deletion::Deleted {
            principal: Some(principal),
        } = &deleted
        {
            Index::of(principal, &self.commands, until)
                .remove_deleted(id)
                .await;
        }
        Ok(deleted.count() > 0)
    }
}

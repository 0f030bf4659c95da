//! The collection of sessions, and the operations on it that change no session.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt;
use mongodb::action::Action;
use mongodb::bson::{Document, RawDocument, RawDocumentBuf, doc};
use mongodb::options::{Collation, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern};
use mongodb::{ClientSession, Collection};
use session_core::store::{Listed, Record, RecordKey, StoreError, Tag};
use session_core::{Limit, LimitExceeded, SessionId, Timestamp};

use tokio::sync::OnceCell;

use crate::bson::date;
use crate::document::{self, GRACE, by_id};
use crate::fault;
use crate::known_time::KnownTime;
use crate::together::Queue;

pub(crate) const PRIMARY: SelectionCriteria =
    SelectionCriteria::ReadPreference(ReadPreference::Primary);

/// What the `_id` of a beat of a near cache begins with. No session has such an id.
pub(crate) const BEAT: &str = "near cache ";

/// What a load finds.
pub(crate) type Loaded = Result<Option<Arc<Record>>, StoreError>;

/// An update of one content of a session.
#[derive(Clone)]
pub(crate) struct Statement {
    pub(crate) id: SessionId,
    pub(crate) filter: Document,
    pub(crate) change: Document,
    /// The version that it looks for.
    pub(crate) base_version: u64,
    /// The tag that the session has then.
    pub(crate) tag: Option<Tag>,
    /// Where it is not that of the store.
    pub(crate) concern: Option<WriteConcern>,
}

/// The collection. Its own options are those of the store, so that no operation can forget one:
/// write concern, read preference and read concern.
pub(crate) struct Sessions {
    pub(crate) collection: Collection<RawDocumentBuf>,
    pub(crate) deadline: Duration,
    /// For writes of activity alone.
    pub(crate) touches: WriteConcern,
    /// Loads that are asked together.
    pub(crate) loads: Queue<SessionId, Loaded>,
    /// Updates that are sent together.
    pub(crate) updates: Queue<Statement, Result<bool, StoreError>>,
    /// Whether the server can say which of them matched, once that was tried out.
    pub(crate) shares: OnceCell<bool>,
    /// The size of a document, where the last ones count more than those before.
    pub(crate) mean_size: AtomicUsize,
    /// What loads must not miss, where there is a near cache.
    pub(crate) known: Option<KnownTime>,
}

impl Sessions {
    /// The record of an id, read as the store is set, or from another node.
    pub(crate) async fn find(
        &self,
        id: SessionId,
        criteria: impl Into<Option<SelectionCriteria>>,
    ) -> Loaded {
        // For a write what counts is the newest state that the primary has.
        let criteria = criteria.into();
        let known = self.known.as_ref().filter(|_| criteria.is_none());
        let mut session = match known {
            Some(known) => Some(known.session(&self.collection).await?),
            None => None,
        };
        let found = self
            .collection
            .find_one(by_id(id))
            .optional(criteria, |find, from| find.selection_criteria(from))
            .optional(session.as_mut(), |find, session| {
                find.session(session).read_concern(ReadConcern::majority())
            });
        let found = found.await.map_err(fault::of_read)?;
        // By the collection's collation the id of the document may be another text.
        let found = found.filter(|found| document::id_of(found) == Some(id));
        if let Some(found) = &found {
            self.note_size(found);
        }
        found.map(|found| document::read(id, found)).transpose()
    }

    /// How long an operation of which nobody waits any more goes on.
    pub(crate) fn abandoned(&self) -> Duration {
        self.deadline * 4
    }

    /// For a write. A near cache has to know the time of the write: see [`wrote`](Self::wrote).
    pub(crate) async fn session(&self) -> Result<Option<ClientSession>, StoreError> {
        match &self.known {
            Some(known) => known.session(&self.collection).await.map(Some),
            None => Ok(None),
        }
    }

    /// The write is acknowledged: no load that begins from now on may miss it.
    pub(crate) fn wrote(&self, session: Option<&ClientSession>) {
        let time = session.and_then(ClientSession::operation_time);
        if let (Some(known), Some(time)) = (&self.known, time) {
            known.note(time);
        }
    }

    /// Notes the size of a document that was loaded. Of two that do so at once one may be lost.
    pub(crate) fn note_size(&self, document: &RawDocument) {
        let (size, mean) = (
            document.as_bytes().len(),
            self.mean_size.load(Ordering::Relaxed),
        );
        self.mean_size
            .store(mean - mean / 8 + size / 8, Ordering::Relaxed);
    }

    /// The live sessions of a principal, oldest first.
    pub(crate) async fn list(
        self: Arc<Self>,
        principal: String,
        now: Timestamp,
    ) -> Result<Vec<Listed>, StoreError> {
        let mut found = self
            .collection
            .find(doc! { "principal": principal })
            .collation(byte_by_byte())
            .await
            .map_err(fault::of_read)?;
        let mut listed = Vec::new();
        while let Some(document) = found.try_next().await.map_err(fault::of_read)? {
            // A document without an id of ours is no session: another program has put it there.
            let Some(id) = document::id_of(&document) else {
                continue;
            };
            match document::read(id, document) {
                Ok(record) if record.is_live(now) => listed.push(Listed::Record(record)),
                Ok(_) => {}
                Err(error) => listed.push(Listed::unreadable(id, error)),
            }
        }
        listed.sort_by_key(|listed| {
            (
                listed.record().map(|record| record.created_at()),
                listed.id(),
            )
        });
        Ok(listed)
    }

    /// Inserts a session. Where the id is taken by one that has expired and is not removed yet,
    /// that one is removed, and the session inserted again.
    pub(crate) async fn create(
        self: Arc<Self>,
        record: Arc<Record>,
        now: Timestamp,
    ) -> Result<RecordKey, StoreError> {
        fits(&record)?;
        let document = RawDocumentBuf::try_from(document::of_record(&record))
            .map_err(|_| StoreError::corrupt("the record is no document"))?;
        let id = record.id();
        if self.insert(&document).await? {
            return Ok(RecordKey::Id(id));
        }
        let mut expired = by_id(id);
        expired.insert("ends", doc! { "$lte": date(now) });
        let deletion = self.collection.delete_one(expired).await;
        let deleted = deletion.map_err(fault::of_write)?.deleted_count > 0;
        match deleted && self.insert(&document).await? {
            true => Ok(RecordKey::Id(id)),
            false => Err(StoreError::IdTaken),
        }
    }

    /// `false` if the id is taken.
    async fn insert(&self, document: &RawDocumentBuf) -> Result<bool, StoreError> {
        let mut session = self.session().await?;
        let insertion = self
            .collection
            .insert_one(document)
            .optional(session.as_mut(), |insert, session| insert.session(session));
        match insertion.await {
            Ok(_) => {
                self.wrote(session.as_ref());
                Ok(true)
            }
            Err(error) if fault::is_duplicate(&error) => Ok(false),
            Err(error) => Err(fault::of_write(error)),
        }
    }

    /// Removes what ended by this time; says how many documents that were.
    pub(crate) async fn remove_expired(self: Arc<Self>, now: Timestamp) -> Result<u64, StoreError> {
        // `expires` has the index. In a session it is the end and the grace; a mark has no grace,
        // so one that is not over yet is told by `ends`.
        self.remove(doc! {
            "expires": { "$lte": date(now + GRACE) },
            "ends": { "$not": { "$gt": date(now) } },
        })
        .await
    }

    /// Removes documents, without a mark; says how many.
    pub(crate) async fn remove(&self, filter: Document) -> Result<u64, StoreError> {
        let mut session = self.session().await?;
        let deletion = self
            .collection
            .delete_many(filter)
            .collation(byte_by_byte())
            .optional(session.as_mut(), |delete, session| delete.session(session));
        let deleted = deletion.await.map_err(fault::of_write)?.deleted_count;
        self.wrote(session.as_ref());
        Ok(deleted)
    }
}

/// Texts are equal if their bytes are, whatever the collection's collation says. `connect` refuses
/// another collation; a lazy store, which has not looked, still takes no principal for another.
pub(crate) fn byte_by_byte() -> Collation {
    Collation::builder().locale("simple").build()
}

/// A document holds 16 MiB; names of fields and the like need some of it.
pub(crate) fn fits(record: &Record) -> Result<(), StoreError> {
    const LIMIT: usize = 15 * 1024 * 1024;
    match record.size() {
        ..=LIMIT => Ok(()),
        size => Err(LimitExceeded::new(Limit::RecordBytes, size, LIMIT).into()),
    }
}

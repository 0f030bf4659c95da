//! The store.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use mongodb::Collection;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::options::{ReadConcern, ReadPreference, ReturnDocument, SelectionCriteria, WriteConcern};
use session_core::{
    Applied, Capability, Changes, Key, LimitExceeded, Metadata, Record, SessionId, SessionStore, StoreError,
    Timestamp, Update, Updated, Values, async_trait,
};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::builder::{MongoStoreBuilder, Source};
use crate::fault::{self, Reason};
use crate::{ConnectError, document};

/// How much longer than the session the server keeps it: clocks differ.
pub(crate) const GRACE: Duration = Duration::from_secs(60);

pub(crate) const PRIMARY: SelectionCriteria = SelectionCriteria::ReadPreference(ReadPreference::Primary);

/// Sessions in MongoDB. Cheap to clone; all clones are one store.
///
/// It belongs to the tokio runtime in which its client was made: the driver's connections and what watches the servers are tasks
/// of that one. Another runtime may call it while that one runs; after its end every call fails within the deadline. So
/// make one store for each runtime, as for each `#[tokio::test]`.
#[derive(Clone)]
pub struct MongoStore {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) sessions: Collection<RawDocumentBuf>,
    pub(crate) deadline: Duration,
    /// Of activity alone.
    pub(crate) touches: WriteConcern,
    /// Of everything else.
    pub(crate) writes: WriteConcern,
    pub(crate) reads: SelectionCriteria,
}

impl fmt::Debug for MongoStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoStore")
            .field("sessions", &format_args!("{}", self.inner.sessions.namespace()))
            .field("deadline", &self.inner.deadline)
            .finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SessionStore for MongoStore {
    fn capability(&self) -> Capability {
        Capability::Server
    }

    async fn load(&self, key: &Key, now: Timestamp) -> Result<Option<Arc<Record>>, StoreError> {
        let Some(id) = key.id() else { return Ok(None) };
        let found = self.within(Known::Reads, move |inner| async move {
            inner.find(id, inner.reads.clone()).await
        });
        Ok(found.await?.filter(|record| record.is_live(now)))
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<Key, StoreError> {
        let record = Arc::clone(record);
        self.within(Known::Writes, move |inner| async move {
            inner.create(&record, now).await
        })
        .await
    }

    async fn update(&self, key: &Key, update: Update<'_>, now: Timestamp) -> Result<Updated, StoreError> {
        let Some(id) = key.id() else {
            return Ok(Updated::Gone);
        };
        let owned = Owned::new(&update);
        self.within(Known::Writes, move |inner| async move {
            inner.update(id, &owned, now).await
        })
        .await
    }

    async fn delete(&self, key: &Key) -> Result<(), StoreError> {
        let Some(id) = key.id() else { return Ok(()) };
        self.within(Known::Writes, move |inner| async move {
            let deleted = inner
                .sessions
                .delete_one(name(id))
                .write_concern(inner.writes.clone());
            deleted.await.map(drop).map_err(|error| fault::of_write(&error))
        })
        .await
    }

    async fn list(&self, principal: &str, now: Timestamp) -> Result<Vec<Arc<Record>>, StoreError> {
        let principal = principal.to_owned();
        self.within(Known::Reads, move |inner| async move {
            let mut found = inner
                .sessions
                .find(doc! { "principal": principal })
                .read_concern(ReadConcern::local())
                .selection_criteria(inner.reads.clone())
                .await
                .map_err(|error| fault::of_read(&error))?;
            let mut records = Vec::new();
            while let Some(document) = found.try_next().await.map_err(|error| fault::of_read(&error))? {
                let id = document.get_str("_id").ok().and_then(|id| id.parse().ok());
                let id =
                    id.ok_or_else(|| StoreError::corrupt("the id of a session is not what was written"))?;
                let record = document::read(id, document)?;
                if record.is_live(now) {
                    records.push(record);
                }
            }
            records.sort_by_key(|record| (record.created(), record.id()));
            Ok(records)
        })
        .await
    }

    async fn delete_all(&self, principal: &str, except: Option<SessionId>) -> Result<u64, StoreError> {
        let mut theirs = doc! { "principal": principal };
        if let Some(except) = except {
            theirs.insert("_id", doc! { "$ne": except.encode() });
        }
        self.delete_many(theirs).await
    }

    /// The server expires sessions by itself, once a minute; this is for one that has no TTL index.
    async fn delete_expired(&self, now: Timestamp) -> Result<u64, StoreError> {
        // By the field that has an index; it is the session's end and the grace.
        self.delete_many(doc! { "expires": { "$lte": document::date(now.plus(GRACE)) } })
            .await
    }
}

impl MongoStore {
    async fn delete_many(&self, filter: Document) -> Result<u64, StoreError> {
        self.within(Known::Writes, move |inner| async move {
            let deleted = inner
                .sessions
                .delete_many(filter)
                .write_concern(inner.writes.clone());
            let deleted = deleted.await.map_err(|error| fault::of_write(&error))?;
            Ok(deleted.deleted_count)
        })
        .await
    }

    /// A store with default settings over what a URI names.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), session_mongo::ConnectError> {
    /// use session_mongo::MongoStore;
    ///
    /// let store = MongoStore::connect("mongodb://127.0.0.1:27017/shop").await?;
    /// # let _ = store;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConnectError`], which says what to do.
    pub async fn connect(uri: impl AsRef<str>) -> Result<Self, ConnectError> {
        Self::builder(uri.as_ref()).connect().await
    }

    /// A store with settings.
    pub fn builder(source: impl Into<Source>) -> MongoStoreBuilder {
        MongoStoreBuilder::new(source.into())
    }

    /// Reads what is not there, and deletes it unless the user may be one who only reads: that shows whether the server can be reached and the
    /// user may.
    pub(crate) async fn try_out(&self, writes: bool) -> Result<(), ConnectError> {
        let nobody = Key::Id(SessionId::from_bytes([0; 16]));
        let read = self.load(&nobody, Timestamp::from_millis(0)).await;
        read.map_err(|error| ConnectError::failed(&error))?;
        if writes {
            let deleted = self.delete(&nobody).await;
            deleted.map_err(|error| ConnectError::failed(&error))?;
        }
        Ok(())
    }

    /// Runs an operation in a task of its own, and waits for it within the deadline: to drop a future of the driver
    /// would cost it a connection.
    async fn within<F, T>(
        &self,
        kind: Known,
        operation: impl FnOnce(Arc<Inner>) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
        T: Send + 'static,
    {
        let reason = match self
            .once(self.inner.deadline, operation(Arc::clone(&self.inner)))
            .await
        {
            Ok(answer) => return answer,
            Err(reason) => Arc::new(reason),
        };
        Err(match (kind, &*reason) {
            (Known::Writes, Reason::Late(_) | Reason::Stopped) => StoreError::OutcomeUnknown(reason),
            _ => StoreError::Unavailable(reason),
        })
    }

    pub(crate) async fn once<T: Send + 'static>(
        &self,
        deadline: Duration,
        operation: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Reason> {
        if Handle::try_current().is_err() {
            return Err(Reason::NoRuntime);
        }
        // A client that waits for ever is not to gather tasks for ever, nor to write when nobody remembers.
        let task = tokio::spawn(tokio::time::timeout(deadline * 4, operation));
        let began = Instant::now();
        match tokio::time::timeout(deadline, task).await {
            Ok(Ok(Ok(answer))) => Ok(answer),
            Ok(Err(_)) => Err(Reason::Stopped),
            Ok(Ok(Err(_))) | Err(_) => Err(Reason::Late(began.elapsed())),
        }
    }
}

/// What is known of an operation that did not end in time: whether it writes.
#[derive(Clone, Copy)]
enum Known {
    Reads,
    Writes,
}

fn name(id: SessionId) -> Document {
    doc! { "_id": id.encode() }
}

/// An update that a task can take along.
struct Owned {
    record: Arc<Record>,
    changes: Changes,
    epoch: u64,
    expected: Option<u64>,
    limits: session_core::Limits,
}

impl Owned {
    fn new(update: &Update<'_>) -> Self {
        Self {
            record: Arc::clone(update.record),
            changes: update.changes.clone(),
            epoch: update.epoch,
            expected: update.expected,
            limits: *update.limits,
        }
    }

    fn update(&self) -> Update<'_> {
        Update {
            record: &self.record,
            changes: &self.changes,
            epoch: self.epoch,
            expected: self.expected,
            limits: &self.limits,
        }
    }
}

impl Inner {
    async fn find(
        &self,
        id: SessionId,
        criteria: SelectionCriteria,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        // What a majority does not have yet is read too: else an update that was saved might not be seen.
        let found = self
            .sessions
            .find_one(name(id))
            .read_concern(ReadConcern::local())
            .selection_criteria(criteria);
        let found = found.await.map_err(|error| fault::of_read(&error))?;
        found.map(|document| document::read(id, document)).transpose()
    }

    async fn create(&self, record: &Record, now: Timestamp) -> Result<Key, StoreError> {
        fits(record)?;
        let document = RawDocumentBuf::try_from(document::of_record(record))
            .map_err(|_| StoreError::corrupt("the record is no document"))?;
        for last in [false, true] {
            let inserted = self
                .sessions
                .insert_one(&document)
                .write_concern(self.writes.clone());
            match inserted.await {
                Ok(_) => return Ok(Key::Id(record.id())),
                Err(error) if !fault::is_duplicate(&error) => return Err(fault::of_write(&error)),
                Err(_) if last => break,
                Err(_) => {}
            }
            // What has expired and is not swept yet is as good as gone.
            let mut expired = name(record.id());
            expired.insert("ends", doc! { "$lte": document::date(now) });
            let deleted = self
                .sessions
                .delete_one(expired)
                .write_concern(self.writes.clone())
                .await
                .map_err(|error| fault::of_write(&error))?;
            if deleted.deleted_count == 0 {
                break;
            }
        }
        Err(StoreError::IdTaken)
    }

    /// One operation. Only if nothing matched, the record is read to tell why.
    async fn update(&self, id: SessionId, owned: &Owned, now: Timestamp) -> Result<Updated, StoreError> {
        let update = owned.update();
        fits(update.record)?;
        let until = Instant::now() + self.deadline;
        let applied = match update.expected {
            Some(version) => self.replace(id, &update, version, update.record, now).await?,
            None if update.changes.metadata() == Metadata::Replaced => {
                let version = update.base_version();
                self.replace(id, &update, version, update.record, now).await?
            }
            None => self.merge(id, &update, now).await?,
        };
        if let Some(version) = applied {
            return Ok(Updated::Saved {
                key: Key::Id(id),
                version,
            });
        }
        // Each time somebody else was faster; when nobody waits any more it ends.
        while Instant::now() < until {
            let Some(current) = self.find(id, PRIMARY).await? else {
                return Ok(Updated::Gone);
            };
            let after = match update.apply_to(&current, now)? {
                Applied::Gone => return Ok(Updated::Gone),
                Applied::Conflict => return Ok(Updated::Conflict(Some(current))),
                Applied::Record(after) => after,
            };
            // A limit was near, or somebody moved the lifetime: now the result is known.
            if let Some(version) = self.replace(id, &update, current.version(), &after, now).await? {
                return Ok(Updated::Saved {
                    key: Key::Id(id),
                    version,
                });
            }
        }
        Err(StoreError::Unavailable(Arc::new(Reason::Late(self.deadline))))
    }

    /// Puts the changes on the version that is known, so that `after` results.
    async fn replace(
        &self,
        id: SessionId,
        update: &Update<'_>,
        version: u64,
        after: &Record,
        now: Timestamp,
    ) -> Result<Option<u64>, StoreError> {
        let mut filter = self.live(id, update, now);
        filter.insert("v", document::number(version));
        let mut set = document::moving(after);
        let mut unset = Document::new();
        values(update.changes, &mut set, &mut unset);
        if update.changes.metadata() == Metadata::Replaced {
            set.extend(document::head(after));
            if after.principal().is_none() {
                unset.insert("principal", "");
            }
        }
        let change = operators([("$set", set), ("$unset", unset)]);
        let concern = self.concern(update.changes);
        let updated = self.sessions.update_one(filter, change).write_concern(concern);
        let updated = updated.await.map_err(|error| fault::of_update(&error))?;
        Ok((updated.matched_count > 0).then_some(after.version()))
    }

    /// Puts the changes on whatever version is there.
    async fn merge(
        &self,
        id: SessionId,
        update: &Update<'_>,
        now: Timestamp,
    ) -> Result<Option<u64>, StoreError> {
        let changes = update.changes;
        let mut filter = self.live(id, update, now);
        // Another program may have put something there that counts as a number and is none of ours.
        filter.insert("v", doc! { "$type": "long" });
        let (mut set, mut unset, mut most, mut add) = (
            Document::new(),
            Document::new(),
            Document::new(),
            doc! { "v": 1_i64 },
        );
        values(changes, &mut set, &mut unset);
        // What is there under the same keys is not known, so sizes are counted too high; where that may reach a limit
        // nothing matches, and the slow way counts anew.
        let bytes: usize = changes
            .sets()
            .map(|(key, value)| Values::entry_size(key, value))
            .sum();
        let keys = changes.sets().count();
        if keys > 0 {
            let room = |limit: usize, added: usize| document::number_of(limit) - document::number_of(added);
            filter.insert("size", doc! { "$lte": room(update.limits.record_bytes, bytes) });
            filter.insert("keys", doc! { "$lte": room(update.limits.keys, keys) });
            add.insert("size", document::number_of(bytes));
            add.insert("keys", document::number_of(keys));
        }
        if let Metadata::Touched(_) = changes.metadata() {
            // When it ends follows from these.
            filter.insert("idle", document::idle(update.record));
            filter.insert("deadline", document::date(update.record.deadline()));
            most = document::activity(update.record);
        }
        let change = operators([("$set", set), ("$unset", unset), ("$max", most), ("$inc", add)]);
        let concern = self.concern(changes);
        let updated = self
            .sessions
            .find_one_and_update(filter, change)
            .projection(doc! { "v": 1, "_id": 0 })
            .return_document(ReturnDocument::After)
            .write_concern(concern);
        let Some(updated) = updated.await.map_err(|error| fault::of_update(&error))? else {
            return Ok(None);
        };
        let version = updated
            .get_i64("v")
            .ok()
            .and_then(|version| u64::try_from(version).ok());
        version
            .map(Some)
            .ok_or_else(|| StoreError::corrupt("the version is not what was written"))
    }

    /// The session, if it is live and of the epoch that was loaded. None of these fields has an index, which would cost
    /// the fast path by the id.
    fn live(&self, id: SessionId, update: &Update<'_>, now: Timestamp) -> Document {
        let mut filter = name(id);
        filter.insert("epoch", document::number(update.epoch));
        filter.insert("ends", doc! { "$gt": document::date(now) });
        filter
    }

    fn concern(&self, changes: &Changes) -> WriteConcern {
        match changes.metadata() {
            Metadata::Touched(_) if changes.keeps_values() => self.touches.clone(),
            _ => self.writes.clone(),
        }
    }
}

/// A document holds 16 MiB; names of fields and the like need some of it.
fn fits(record: &Record) -> Result<(), StoreError> {
    const LIMIT: usize = 15 * 1024 * 1024;
    match record.size() {
        ..=LIMIT => Ok(()),
        size => Err(LimitExceeded::RecordBytes { size, limit: LIMIT }.into()),
    }
}

/// What sets and removes the values that change.
fn values(changes: &Changes, set: &mut Document, unset: &mut Document) {
    if changes.is_clear() {
        let mut data = Document::new();
        for (key, value) in changes.sets() {
            data.insert(document::escape(key), document::bson_of(value));
        }
        set.insert("data", data);
        return;
    }
    for (key, value) in changes.sets() {
        set.insert(
            format!("data.{}", document::escape(key)),
            document::bson_of(value),
        );
    }
    for key in changes.removes() {
        unset.insert(format!("data.{}", document::escape(key)), "");
    }
}

/// The server refuses operators without fields.
fn operators<const N: usize>(all: [(&str, Document); N]) -> Document {
    let used = all.into_iter().filter(|(_, fields)| !fields.is_empty());
    used.map(|(operator, fields)| (operator.to_owned(), Bson::Document(fields)))
        .collect()
}

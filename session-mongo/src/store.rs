//! The store.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use mongodb::Collection;
use mongodb::bson::{RawDocumentBuf, doc};
use mongodb::options::{
    Acknowledgment, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern,
};
use session_core::{
    Capability, Durability, Ended, Key, Listed, OwnedUpdate, Record, SessionId, SessionStore,
    StoreError, Timestamp, Update, Updated, async_trait,
};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::builder::{MongoStoreBuilder, Source};
use crate::ending::byte_by_byte;
use crate::fault::{self, Reason};
use crate::lasting::Lasting;
use crate::{ConnectError, document};

/// How much longer than the session the server keeps it: clocks differ.
pub(crate) const GRACE: Duration = Duration::from_secs(60);

pub(crate) const PRIMARY: SelectionCriteria =
    SelectionCriteria::ReadPreference(ReadPreference::Primary);

/// Sessions in MongoDB. Cheap to clone; all clones are one store.
///
/// It belongs to the tokio runtime in which its client was made: the driver's connections and what
/// watches the servers are tasks of that one. Another runtime may call it while that one runs;
/// after its end every call fails within the deadline. So make one store for each runtime, as for
/// each `#[tokio::test]`.
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
            .field(
                "sessions",
                &format_args!("{}", self.inner.sessions.namespace()),
            )
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

    fn deadline(&self) -> Option<Duration> {
        Some(self.inner.deadline)
    }

    /// What a majority has acknowledged survives a fail-over; what fewer have may not. Whoever
    /// reads from another node than the primary may find the state before the last write.
    fn durability(&self) -> Durability {
        let Inner { writes, reads, .. } = &*self.inner;
        match (&writes.w, writes.journal) {
            (Some(Acknowledgment::Majority), None | Some(true)) if *reads == PRIMARY => {
                Durability::Durable
            }
            _ => Durability::MayLoseWrites,
        }
    }

    /// An expired one too while it is there, so that its expiry can be told.
    async fn load(&self, key: &Key, now: Timestamp) -> Result<Option<Arc<Record>>, StoreError> {
        let Some(id) = key.id() else { return Ok(None) };
        self.within(Known::Reads, move |inner| async move {
            let found = inner.find(id, inner.reads.clone()).await?;
            // The server has some time to remove a mark.
            let over = |record: &Arc<Record>| record.ended().is_some() && !record.is_live(now);
            Ok(found.filter(|record| !over(record)))
        })
        .await
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<Key, StoreError> {
        let record = Arc::clone(record);
        self.within(Known::Writes, move |inner| async move {
            inner.create(&record, now).await
        })
        .await
    }

    async fn update(
        &self,
        key: &Key,
        update: Update<'_>,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        let Some(id) = key.id() else {
            return Ok(Updated::Gone);
        };
        let owned = OwnedUpdate::from(update);
        self.within(Known::Writes, move |inner| async move {
            inner.update(id, &owned, now).await
        })
        .await
    }

    async fn delete(&self, key: &Key, ended: Ended) -> Result<(), StoreError> {
        let Some(id) = key.id() else { return Ok(()) };
        self.within(Known::Writes, move |inner| async move {
            inner.end(id, ended).await.map(drop)
        })
        .await
    }

    async fn list(&self, principal: &str, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
        let principal = principal.to_owned();
        self.within(Known::Reads, move |inner| async move {
            let mut found = inner
                .sessions
                .find(doc! { "principal": principal })
                .collation(byte_by_byte())
                .read_concern(ReadConcern::local())
                .selection_criteria(inner.reads.clone())
                .await
                .map_err(|error| fault::of_read(&error))?;
            let mut listed = Vec::new();
            while let Some(document) = found
                .try_next()
                .await
                .map_err(|error| fault::of_read(&error))?
            {
                // What has no id of ours is no session; another program has put it there.
                let Some(id) = document::id_of(&document) else {
                    continue;
                };
                match document::read(id, document) {
                    Ok(record) if record.is_live(now) => listed.push(Listed::Record(record)),
                    Ok(_) => {}
                    Err(error) => listed.push(Listed::Unreadable { id, error }),
                }
            }
            listed.sort_by_key(|listed| {
                (listed.record().map(|record| record.created()), listed.id())
            });
            Ok(listed)
        })
        .await
    }

    async fn delete_one(
        &self,
        principal: &str,
        id: SessionId,
        ended: Ended,
    ) -> Result<bool, StoreError> {
        let principal = principal.to_owned();
        self.within(Known::Writes, move |inner| async move {
            inner.end_one(&principal, id, ended).await
        })
        .await
    }

    async fn delete_all(
        &self,
        principal: &str,
        except: Option<SessionId>,
        ended: Ended,
    ) -> Result<u64, StoreError> {
        let principal = principal.to_owned();
        self.within(Known::Writes, move |inner| async move {
            inner.end_all(&principal, except, ended).await
        })
        .await
    }

    /// The server expires sessions by itself, once a minute; this is for one that has no TTL index.
    async fn delete_expired(&self, now: Timestamp) -> Result<u64, StoreError> {
        // By the field that has an index: the session's end and the grace, which marks do not have.
        let expired = doc! {
            "expires": { "$lte": document::date(now.plus(GRACE)) },
            "ends": { "$not": { "$gt": document::date(now) } },
        };
        self.within(Known::Writes, move |inner| async move {
            inner.remove(expired).await
        })
        .await
    }
}

impl MongoStore {
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

    pub(crate) async fn within_writes<F, T>(
        &self,
        operation: impl FnOnce(Arc<Inner>) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
        T: Send + 'static,
    {
        self.within(Known::Writes, operation).await
    }

    /// Waits for an operation within the deadline. Afterwards it goes on, for some time: to drop a
    /// future of the driver would cost it a connection.
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
            (Known::Writes, Reason::Late(_)) => StoreError::OutcomeUnknown(reason),
            _ => StoreError::Unavailable(reason),
        })
    }

    pub(crate) async fn once<T: Send + 'static>(
        &self,
        deadline: Duration,
        operation: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Reason> {
        let runtime = Handle::try_current().map_err(|_| Reason::NoRuntime)?;
        let began = Instant::now();
        // A client that waits for ever is not to gather tasks for ever, nor to write when nobody
        // remembers.
        let operation = Lasting::new(operation, began + deadline * 4, runtime);
        let answer = tokio::time::timeout_at(began + deadline, operation).await;
        answer.map_err(|_| Reason::Late(began.elapsed()))
    }
}

/// What is known of an operation that did not end in time: whether it writes.
#[derive(Clone, Copy)]
enum Known {
    Reads,
    Writes,
}

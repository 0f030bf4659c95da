//! The store that applications hold: the direct one behind a cache of records.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use session_core::store::{
    CacheStats, CachedStore, Durability, Listed, PrincipalIndex, Record, RecordKey, RecordLocation,
    Revalidated, SessionStore, StoreError, Update, Updated,
};
use session_core::{Ended, SessionId, Timestamp};

use crate::direct::DirectStore;
use crate::error::ConnectError;
use crate::near::Near;
use crate::settings::Indexes;

/// Sessions in MongoDB. Cheap to clone; all clones are one store.
///
/// A store belongs to the tokio runtime in which its client was made: the driver's connections and
/// what watches the servers are tasks of that runtime. Another runtime may call the store while
/// that one runs. After its end every call fails within the deadline. So make one store for each
/// runtime, as for each `#[tokio::test]`.
#[derive(Clone)]
pub struct MongoStore {
    cached: Arc<CachedStore<DirectStore>>,
    /// Ends with the last clone.
    near: Option<Arc<Near>>,
}

impl MongoStore {
    pub(crate) fn new(cached: CachedStore<DirectStore>, near: Option<Near>) -> Self {
        Self {
            cached: Arc::new(cached),
            near: near.map(Arc::new),
        }
    }

    pub(crate) fn direct(&self) -> &DirectStore {
        self.cached.inner()
    }

    /// Waits until the near cache hears of changes, if there is one.
    pub(crate) async fn wait_for_near_cache(&self) -> Result<(), ConnectError> {
        match &self.near {
            Some(near) => near.first().await,
            None => Ok(()),
        }
    }

    /// Makes the indexes that are not there yet: one by which the server removes sessions that have
    /// ended, and one by which those of a principal are found. Many servers may do so at once.
    /// Each may take a minute where many sessions are there already. [`connect`](Self::connect) has
    /// done it.
    ///
    /// # Errors
    ///
    /// [`ConnectError`], which says what to do.
    pub async fn create_indexes(&self) -> Result<(), ConnectError> {
        let store = self.direct();
        store.check_clock(Indexes::Made).await?;
        store.check_collection().await?;
        store.make_indexes().await
    }

    /// What the near cache has done since the store was made, and what it holds. Without one all is
    /// zero.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// use session_mongo::MongoStore;
    ///
    /// let store = MongoStore::builder("mongodb://127.0.0.1/").lazy().await?;
    /// assert_eq!(store.cache_stats().records, 0);
    /// # Ok::<_, session_core::ConfigError>(()) }).unwrap();
    /// ```
    pub fn cache_stats(&self) -> CacheStats {
        self.cached.stats()
    }
}

impl fmt::Debug for MongoStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MongoStore").field(&self.cached).finish()
    }
}

type Answer<'f, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'f>>;

/// Written out as `async_trait` would, so that each call has one future on the heap and not one
/// more around it.
#[deny(clippy::missing_trait_methods)]
impl SessionStore for MongoStore {
    fn location(&self) -> RecordLocation {
        self.cached.location()
    }

    fn call_timeout(&self) -> Option<Duration> {
        self.cached.call_timeout()
    }

    fn durability(&self) -> Durability {
        self.cached.durability()
    }

    fn load<'s, 'k, 'f>(
        &'s self,
        key: &'k RecordKey,
        now: Timestamp,
    ) -> Answer<'f, Option<Arc<Record>>>
    where
        's: 'f,
        'k: 'f,
    {
        self.cached.load(key, now)
    }

    fn revalidate<'s, 'k, 'r, 'f>(
        &'s self,
        key: &'k RecordKey,
        known: &'r Arc<Record>,
        now: Timestamp,
    ) -> Answer<'f, Revalidated>
    where
        's: 'f,
        'k: 'f,
        'r: 'f,
    {
        self.cached.revalidate(key, known, now)
    }

    fn create<'s, 'r, 'f>(
        &'s self,
        record: &'r Arc<Record>,
        now: Timestamp,
    ) -> Answer<'f, RecordKey>
    where
        's: 'f,
        'r: 'f,
    {
        self.cached.create(record, now)
    }

    fn update<'s, 'k, 'u, 'f>(
        &'s self,
        key: &'k RecordKey,
        update: &'u Update,
        now: Timestamp,
    ) -> Answer<'f, Updated>
    where
        's: 'f,
        'k: 'f,
        'u: 'f,
    {
        self.cached.update(key, update, now)
    }

    fn delete<'s, 'k, 'f>(&'s self, key: &'k RecordKey, ended: Ended) -> Answer<'f, ()>
    where
        's: 'f,
        'k: 'f,
    {
        self.cached.delete(key, ended)
    }

    fn principals(&self) -> Option<&dyn PrincipalIndex> {
        Some(self)
    }

    fn delete_expired<'s, 'f>(&'s self, now: Timestamp) -> Answer<'f, u64>
    where
        's: 'f,
    {
        self.cached.delete_expired(now)
    }
}

impl PrincipalIndex for MongoStore {
    fn list_of<'s, 'p, 'f>(&'s self, principal: &'p str, now: Timestamp) -> Answer<'f, Vec<Listed>>
    where
        's: 'f,
        'p: 'f,
    {
        self.cached.list_of(principal, now)
    }

    fn delete_one_of<'s, 'p, 'f>(
        &'s self,
        principal: &'p str,
        id: SessionId,
        ended: Ended,
    ) -> Answer<'f, bool>
    where
        's: 'f,
        'p: 'f,
    {
        self.cached.delete_one_of(principal, id, ended)
    }

    fn delete_all_of<'s, 'p, 'f>(
        &'s self,
        principal: &'p str,
        except: Option<SessionId>,
        ended: Ended,
    ) -> Answer<'f, u64>
    where
        's: 'f,
        'p: 'f,
    {
        self.cached.delete_all_of(principal, except, ended)
    }
}

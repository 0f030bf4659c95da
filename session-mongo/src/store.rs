//! The store that applications hold: the direct one behind a cache of records.

use std::fmt;
use std::sync::Arc;

use session_core::store::{
    CacheStats, CachedStore, PrincipalIndex, RecordScan, SessionStore, forward_store,
};

use crate::direct::DirectStore;
use crate::error::ConnectError;
use crate::near::Near;
use crate::settings::Indexes;

/// Sessions in MongoDB. It is cheap to clone, and all clones are one store.
///
/// A store belongs to the tokio runtime in which its client was made: the driver's connections and
/// its monitors of the servers are tasks of that runtime. Another runtime may call the store while
/// that runtime is running. After its end, every call fails within the deadline. So make one store
/// for each runtime, for example for each `#[tokio::test]`.
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

    /// Makes the indexes that do not exist yet. [`connect`](Self::connect) has done this already.
    ///
    /// The server uses one index to remove sessions that have expired, and the other to find the
    /// sessions of a principal. Before it makes them, this method checks the server's clock and the
    /// collection. Many nodes may make the indexes at once. Each index may take a minute if there
    /// are many sessions already.
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

    /// What the near cache has done since the store was made, and what it holds. Without a near
    /// cache, all numbers are zero.
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

#[deny(clippy::missing_trait_methods)]
impl SessionStore for MongoStore {
    forward_store!(SessionStore, |store| &*store.cached);
}

#[deny(clippy::missing_trait_methods)]
impl PrincipalIndex for MongoStore {
    forward_store!(PrincipalIndex, |store| &*store.cached);
}

#[deny(clippy::missing_trait_methods)]
impl RecordScan for MongoStore {
    forward_store!(RecordScan, |store| &*store.cached);
}

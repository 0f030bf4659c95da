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

/// Sessions in Redis or Valkey. It is cheap to clone, and all clones are one store.
///
/// The crate's documentation says how sessions are stored, which servers and permissions the store
/// needs, and what happens when a server fails.
#[derive(Clone)]
pub struct RedisStore {
    cached: Arc<CachedStore<DirectStore>>,
}

impl RedisStore {
    pub(crate) fn new(cached: CachedStore<DirectStore>) -> Self {
        Self {
            cached: Arc::new(cached),
        }
    }

    /// Itself: the calls of an [`Arc`] would have one more future on the heap.
    fn cached(&self) -> &CachedStore<DirectStore> {
        &self.cached
    }

    pub(crate) fn direct(&self) -> &DirectStore {
        self.cached.inner()
    }

    /// What the cache of records has done since the store was made, and what it holds.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// use session_redis::RedisStore;
    ///
    /// let store = RedisStore::builder("redis://127.0.0.1/").lazy()?;
    /// assert_eq!(store.cache_stats().records, 0);
    /// # Ok::<_, session_core::ConfigError>(()) }).unwrap();
    /// ```
    pub fn cache_stats(&self) -> CacheStats {
        self.cached.stats()
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisStore").field(&self.cached).finish()
    }
}

type Answer<'f, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'f>>;

/// Written out as `async_trait` would, so that each call has one future on the heap and not one
/// more around it.
#[deny(clippy::missing_trait_methods)]
impl SessionStore for RedisStore {
    fn location(&self) -> RecordLocation {
        self.cached().location()
    }

    fn call_timeout(&self) -> Option<Duration> {
        self.cached().call_timeout()
    }

    fn durability(&self) -> Durability {
        self.cached().durability()
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
        self.cached().load(key, now)
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
        self.cached().revalidate(key, known, now)
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
        self.cached().create(record, now)
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
        self.cached().update(key, update, now)
    }

    fn delete<'s, 'k, 'f>(&'s self, key: &'k RecordKey, ended: Ended) -> Answer<'f, ()>
    where
        's: 'f,
        'k: 'f,
    {
        self.cached().delete(key, ended)
    }

    fn principals(&self) -> Option<&dyn PrincipalIndex> {
        Some(self)
    }

    fn delete_expired<'s, 'f>(&'s self, now: Timestamp) -> Answer<'f, u64>
    where
        's: 'f,
    {
        self.cached().delete_expired(now)
    }
}

impl PrincipalIndex for RedisStore {
    fn list_of<'s, 'p, 'f>(&'s self, principal: &'p str, now: Timestamp) -> Answer<'f, Vec<Listed>>
    where
        's: 'f,
        'p: 'f,
    {
        self.cached().list_of(principal, now)
    }

    /// If an answer was lost the store asks again. A session that the first attempt has deleted is
    /// not there any more, and then this is `false`.
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
        self.cached().delete_one_of(principal, id, ended)
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
        self.cached().delete_all_of(principal, except, ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fail_over_can_lose_what_redis_has_acknowledged() {
        let store = RedisStore::builder("redis://127.0.0.1/").lazy().unwrap();
        assert_eq!(store.durability(), Durability::MayLoseWrites);
    }
}

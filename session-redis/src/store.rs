//! The store that applications hold: the direct one behind a cache of records.

use std::fmt;
use std::sync::Arc;

use session_core::store::{
    CacheStats, CachedStore, PrincipalIndex, RecordScan, SessionStore, forward_store,
};

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

#[deny(clippy::missing_trait_methods)]
impl SessionStore for RedisStore {
    forward_store!(SessionStore, |store| &*store.cached);
}

#[deny(clippy::missing_trait_methods)]
impl PrincipalIndex for RedisStore {
    forward_store!(PrincipalIndex, |store| &*store.cached);
}

#[deny(clippy::missing_trait_methods)]
impl RecordScan for RedisStore {
    forward_store!(RecordScan, |store| &*store.cached);
}

#[cfg(test)]
mod tests {
    use session_core::store::Durability;

    use super::*;

    #[test]
    fn a_fail_over_can_lose_what_redis_has_acknowledged() {
        let store = RedisStore::builder("redis://127.0.0.1/").lazy().unwrap();
        assert_eq!(store.durability(), Durability::MayLoseWrites);
    }
}

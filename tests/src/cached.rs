//! Stores with a cache in front of them.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use session_core::store::{CachedStore, ChangeFeed, NearCache, SessionStore};

use crate::{Around, Hook};

/// A store with a cache.
pub(crate) fn cached(store: impl SessionStore) -> Arc<dyn SessionStore> {
    Arc::new(CachedStore::new(store))
}

/// A store with a near cache, whose lease does not run out. Nobody else writes, so there is nothing
/// to tell.
pub(crate) fn near(inner: impl SessionStore) -> Arc<dyn SessionStore> {
    let hook = Tells::default();
    let near = NearCache::new(Duration::from_secs(3_600));
    let cached = CachedStore::new(Around { inner, hook }).with_near_cache(near);
    let invalidations = cached.invalidations();
    let feed = invalidations.begin();
    feed.renew(invalidations.now());
    let told = cached.inner().hook.0.set(feed);
    told.unwrap();
    Arc::new(cached)
}

/// Keeps what tells for as long as the store.
#[derive(Debug, Default)]
struct Tells(OnceLock<ChangeFeed>);

impl Hook for Tells {}

//! A store in which nothing expires.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use session_core::{
    Capability, Durability, Ended, Key, Listed, Record, SessionId, SessionStore, StoreError,
    Timestamp, Update, Updated,
};

/// Tells the store in it that it is 1970: nothing ever expires there, as in a store that leaves all
/// deadlines to others.
#[derive(Debug)]
pub struct TimelessStore<S>(pub S);

const LONG_AGO: Timestamp = Timestamp::from_millis(0);

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: SessionStore> SessionStore for TimelessStore<S> {
    fn capability(&self) -> Capability {
        self.0.capability()
    }

    fn deadline(&self) -> Option<Duration> {
        self.0.deadline()
    }

    fn durability(&self) -> Durability {
        self.0.durability()
    }

    async fn load(&self, key: &Key, _: Timestamp) -> Result<Option<Arc<Record>>, StoreError> {
        self.0.load(key, LONG_AGO).await
    }

    async fn create(&self, record: &Arc<Record>, _: Timestamp) -> Result<Key, StoreError> {
        self.0.create(record, LONG_AGO).await
    }

    async fn update(
        &self,
        key: &Key,
        update: Update<'_>,
        _: Timestamp,
    ) -> Result<Updated, StoreError> {
        self.0.update(key, update, LONG_AGO).await
    }

    async fn delete(&self, key: &Key, ended: Ended) -> Result<(), StoreError> {
        self.0.delete(key, ended).await
    }

    async fn list(&self, principal: &str, _: Timestamp) -> Result<Vec<Listed>, StoreError> {
        self.0.list(principal, LONG_AGO).await
    }

    async fn delete_one(
        &self,
        principal: &str,
        id: SessionId,
        ended: Ended,
    ) -> Result<bool, StoreError> {
        self.0.delete_one(principal, id, ended).await
    }

    async fn delete_all(
        &self,
        principal: &str,
        except: Option<SessionId>,
        ended: Ended,
    ) -> Result<u64, StoreError> {
        self.0.delete_all(principal, except, ended).await
    }

    async fn delete_expired(&self, _: Timestamp) -> Result<u64, StoreError> {
        self.0.delete_expired(LONG_AGO).await
    }
}

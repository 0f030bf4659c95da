//! A store that fails on purpose.

use std::sync::Arc;

use session_core::{
    Capability, Ended, Key, Record, SessionStore, StoreError, Timestamp, Update, Updated,
};

/// Is always down.
#[derive(Debug)]
pub(crate) struct FailingStore;

fn down<T>() -> Result<T, StoreError> {
    Err(StoreError::unavailable("this store fails on purpose"))
}

#[async_trait::async_trait]
impl SessionStore for FailingStore {
    fn capability(&self) -> Capability {
        Capability::Server
    }

    async fn load(&self, _: &Key, _: Timestamp) -> Result<Option<Arc<Record>>, StoreError> {
        down()
    }

    async fn create(&self, _: &Arc<Record>, _: Timestamp) -> Result<Key, StoreError> {
        down()
    }

    async fn update(&self, _: &Key, _: Update<'_>, _: Timestamp) -> Result<Updated, StoreError> {
        down()
    }

    async fn delete(&self, _: &Key, _: Ended) -> Result<(), StoreError> {
        down()
    }
}

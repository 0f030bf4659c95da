//! A store that fails on purpose.

use std::sync::Arc;

use session_core::store::{
    Record, RecordKey, RecordLocation, SessionStore, StoreError, Update, Updated,
};
use session_core::{Ended, Timestamp};

/// Is always down.
#[derive(Debug)]
pub(crate) struct FailingStore;

fn down<T>() -> Result<T, StoreError> {
    Err(StoreError::unavailable("this store fails on purpose"))
}

#[async_trait::async_trait]
impl SessionStore for FailingStore {
    fn location(&self) -> RecordLocation {
        RecordLocation::Server
    }

    async fn load(&self, _: &RecordKey, _: Timestamp) -> Result<Option<Arc<Record>>, StoreError> {
        down()
    }

    async fn create(&self, _: &Arc<Record>, _: Timestamp) -> Result<RecordKey, StoreError> {
        down()
    }

    async fn update(&self, _: &RecordKey, _: &Update, _: Timestamp) -> Result<Updated, StoreError> {
        down()
    }

    async fn delete(&self, _: &RecordKey, _: Ended) -> Result<(), StoreError> {
        down()
    }
}

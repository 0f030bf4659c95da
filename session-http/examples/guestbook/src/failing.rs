//! A store that fails on purpose.

use std::sync::Arc;

use session_core::store::{
    Listed, PrincipalIndex, Record, RecordKey, RecordLocation, SessionStore, StoreError, Update,
    Updated, async_trait,
};
use session_core::{Ended, SessionId, Timestamp};

/// A store that is always down.
#[derive(Debug)]
pub(crate) struct FailingStore;

fn down<T>() -> Result<T, StoreError> {
    Err(StoreError::unavailable("this store fails on purpose"))
}

#[async_trait]
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

    fn principals(&self) -> Option<&dyn PrincipalIndex> {
        Some(self)
    }
}

#[async_trait]
impl PrincipalIndex for FailingStore {
    async fn list_of(&self, _: &str, _: Timestamp) -> Result<Vec<Listed>, StoreError> {
        down()
    }

    async fn delete_one_of(&self, _: &str, _: SessionId, _: Ended) -> Result<bool, StoreError> {
        down()
    }

    async fn delete_all_of(
        &self,
        _: &str,
        _: Option<SessionId>,
        _: Ended,
    ) -> Result<u64, StoreError> {
        down()
    }
}

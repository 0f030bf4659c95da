//! What a store says that implements the four methods and nothing more.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use session_core::store::{
    Record, RecordKey, RecordLocation, SessionStore, StoreError, Update, Updated, async_trait,
};
use session_core::{Ended, SessionId, Timestamp};

#[derive(Debug)]
struct Four;

#[async_trait]
impl SessionStore for Four {
    fn location(&self) -> RecordLocation {
        RecordLocation::Server
    }

    async fn load(&self, _: &RecordKey, _: Timestamp) -> Result<Option<Arc<Record>>, StoreError> {
        Ok(None)
    }

    async fn create(&self, record: &Arc<Record>, _: Timestamp) -> Result<RecordKey, StoreError> {
        Ok(RecordKey::Id(record.id()))
    }

    async fn update(&self, _: &RecordKey, _: &Update, _: Timestamp) -> Result<Updated, StoreError> {
        Ok(Updated::Gone)
    }

    async fn delete(&self, _: &RecordKey, _: Ended) -> Result<(), StoreError> {
        Ok(())
    }
}

#[tokio::test]
async fn what_is_not_implemented_is_unsupported() {
    let now = Timestamp::from_millis(0);
    let stores: [Box<dyn SessionStore>; 3] =
        [Box::new(Four), Box::new(Arc::new(Four)), Box::new(&Four)];
    for store in stores {
        let listed = store.list("user:1", now).await.unwrap_err();
        assert_eq!(
            listed.to_string(),
            "this session store does not support listing the sessions of a principal; \
             implement `SessionStore::list`, `delete_one` and `delete_all`"
        );
        let id = SessionId::from_bytes([7; 16]);
        let ended = store
            .delete_one("user:1", id, Ended::default())
            .await
            .unwrap_err();
        assert_eq!(
            ended.to_string(),
            "this session store does not support ending a session of a principal; implement \
             `SessionStore::delete_one`"
        );
        let ended = store
            .delete_all("user:1", None, Ended::default())
            .await
            .unwrap_err();
        assert_eq!(
            ended.to_string(),
            "this session store does not support ending the sessions of a principal; implement \
             `SessionStore::delete_all`"
        );
        assert_eq!(
            store.delete_expired(now).await.unwrap(),
            0,
            "an engine may expire by itself"
        );
    }
}

//! A store that implements what it has to and nothing more, and the manager over it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;

use session_core::store::{
    MigratingStore, Record, RecordKey, RecordLocation, SessionStore, StoreError, Update, Updated,
    async_trait,
};
use session_core::{
    Ended, MemoryStore, OnMaxSessions, SessionError, SessionId, SessionManager, Timestamp,
};

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

fn stores() -> [Arc<dyn SessionStore>; 3] {
    [
        Arc::new(Four),
        Arc::new(Arc::new(Four)),
        Arc::new(Box::new(Four)),
    ]
}

#[tokio::test]
async fn what_is_not_implemented_is_unsupported() {
    for store in stores() {
        assert!(store.principals().is_none());
        let manager = SessionManager::new(store);
        let id = SessionId::from_bytes([7; 16]);
        let errors = [
            manager.sessions_of("user:1").await.map(drop).unwrap_err(),
            manager.end("user:1", id).await.map(drop).unwrap_err(),
            manager
                .sign_out_everywhere("user:1")
                .await
                .map(drop)
                .unwrap_err(),
        ];
        for error in errors {
            let SessionError::Store(error @ StoreError::Unsupported(_)) = error else {
                panic!("{error:?}")
            };
            assert_eq!(
                error.to_string(),
                "this session store does not support listing or ending the sessions of a \
                 principal; implement `PrincipalIndex` for the store, and return it from \
                 `SessionStore::principals`"
            );
        }
    }
}

#[tokio::test]
async fn nothing_is_swept() {
    for store in stores() {
        let now = Timestamp::from_millis(0);
        let swept = store.delete_expired(now).await.unwrap();
        assert_eq!(swept, 0, "an engine may expire by itself");
    }
}

#[test]
fn sessions_that_cannot_be_listed_have_no_limit() {
    let limited = |store| {
        SessionManager::builder(store)
            .max_sessions(3, OnMaxSessions::Refuse)
            .build()
    };
    for store in stores() {
        assert_eq!(
            limited(store).unwrap_err().to_string(),
            "`max_sessions` over a store that cannot list the sessions of a principal; take \
             another store, or implement `PrincipalIndex` for yours and return it from \
             `SessionStore::principals`"
        );
    }
    assert!(limited(Arc::new(MemoryStore::new())).is_ok());
}

/// An index that only one of two stores has would show half of the sessions.
#[test]
fn a_site_that_moves_has_an_index_if_both_stores_have_one() {
    let memory = || Arc::new(MemoryStore::new()) as Arc<dyn SessionStore>;
    let four = || Arc::new(Four) as Arc<dyn SessionStore>;
    for (new, old, has) in [
        (memory(), memory(), true),
        (memory(), four(), false),
        (four(), memory(), false),
    ] {
        let store = MigratingStore::new(new, old).unwrap();
        assert_eq!(store.principals().is_some(), has);
    }
}

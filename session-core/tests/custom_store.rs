//! The store that the guide shows, under the suite.
#![cfg(feature = "conformance")]
#![allow(
    unreachable_pub,
    reason = "it shows what a crate of one's own would have"
)]

// guide: begin
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use session_core::store::{
    Record, RecordKey, RecordLocation, SessionStore, StoreError, Update, Updated, async_trait,
};
use session_core::{Ended, SessionId, Timestamp};

type Result<T> = std::result::Result<T, StoreError>;

/// Sessions in a map, under one lock.
#[derive(Debug, Default)]
pub struct MapStore(Mutex<HashMap<SessionId, Arc<Record>>>);

impl MapStore {
    fn records(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<Record>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl SessionStore for MapStore {
    fn location(&self) -> RecordLocation {
        RecordLocation::Server
    }

    async fn load(&self, key: &RecordKey, _: Timestamp) -> Result<Option<Arc<Record>>> {
        Ok(key.id().and_then(|id| self.records().get(&id).cloned()))
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<RecordKey> {
        let (id, mut records) = (record.id(), self.records());
        if records.get(&id).is_some_and(|taken| taken.is_live(now)) {
            return Err(StoreError::IdTaken);
        }
        records.insert(id, Arc::clone(record));
        Ok(id.into())
    }

    async fn update(&self, key: &RecordKey, update: &Update, now: Timestamp) -> Result<Updated> {
        let mut records = self.records();
        let found = key.id().and_then(|id| records.get_mut(&id));
        found.map_or(Ok(Updated::Gone), |current| update.replace_in(current, now))
    }

    async fn delete(&self, key: &RecordKey, ended: Ended) -> Result<()> {
        if let Some(id) = key.id() {
            let mark = |record: &mut Arc<Record>| *record = Arc::new(ended.mark(id));
            self.records().entry(id).and_modify(mark);
        }
        Ok(())
    }

    async fn delete_expired(&self, now: Timestamp) -> Result<u64> {
        let mut records = self.records();
        Ok(records.extract_if(|_, old| !old.is_live(now)).count() as u64)
    }
}
// guide: end

#[tokio::test]
async fn keeps_the_contract() {
    session_core::store::conformance::check(|| async { MapStore::default() }).await;
}

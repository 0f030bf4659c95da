//! The store that README shows, under the suite.
#![cfg(feature = "conformance")]
#![allow(
    unreachable_pub,
    reason = "it shows what a crate of one's own would have"
)]

// README: begin
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use session_core::store::{
    Applied, Record, RecordKey, RecordLocation, SessionStore, StoreError, Update, Updated,
    async_trait,
};
use session_core::{Ended, SessionId, Timestamp};

/// Sessions in a map, under one lock.
#[derive(Debug, Default)]
pub struct MapStore {
    records: Mutex<HashMap<SessionId, Arc<Record>>>,
}

impl MapStore {
    fn records(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<Record>>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl SessionStore for MapStore {
    fn location(&self) -> RecordLocation {
        RecordLocation::Server
    }

    async fn load(
        &self,
        key: &RecordKey,
        now: Timestamp,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        let Some(id) = key.id() else { return Ok(None) };
        Ok(self
            .records()
            .get(&id)
            .filter(|record| record.is_live(now))
            .cloned())
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<RecordKey, StoreError> {
        let mut records = self.records();
        if records
            .get(&record.id())
            .is_some_and(|taken| taken.is_live(now))
        {
            return Err(StoreError::IdTaken);
        }
        records.insert(record.id(), Arc::clone(record));
        Ok(RecordKey::Id(record.id()))
    }

    async fn update(
        &self,
        key: &RecordKey,
        update: Update<'_>,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        let mut records = self.records();
        let Some(current) = key.id().and_then(|id| records.get_mut(&id)) else {
            return Ok(Updated::Gone);
        };
        match update.apply_to(current, now)? {
            Applied::Gone => Ok(Updated::Gone),
            Applied::Conflict => Ok(Updated::Conflict(Some(Arc::clone(current)))),
            Applied::Record(after) => {
                let version = after.version();
                *current = after;
                Ok(Updated::Saved {
                    key: key.clone(),
                    version,
                })
            }
        }
    }

    async fn delete(&self, key: &RecordKey, ended: Ended) -> Result<(), StoreError> {
        if let Some(id) = key.id() {
            let mark = |record: &mut Arc<Record>| *record = Arc::new(ended.mark(id));
            self.records().entry(id).and_modify(mark);
        }
        Ok(())
    }

    async fn delete_expired(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut records = self.records();
        let before = records.len();
        records.retain(|_, record| record.is_live(now));
        Ok((before - records.len()) as u64)
    }
}
// README: end

#[tokio::test]
async fn keeps_the_contract() {
    session_core::store::conformance::check(|| async { MapStore::default() }).await;
}

//! The simplest store on a server.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use session_core::{
    Capability, Durability, Ended, Key, Listed, Record, SessionId, SessionStore, StoreError,
    Timestamp, Update, Updated,
};

/// A map that can only replace a record whose version is the loaded one: whoever comes second
/// meets a conflict.
#[derive(Debug, Default)]
pub struct ReplaceStore {
    records: Mutex<HashMap<SessionId, Arc<Record>>>,
    hands_back: bool,
}

impl ReplaceStore {
    /// A conflict comes without the stored record, so that it has to be loaded.
    pub fn new() -> Self {
        Self::default()
    }

    /// A conflict comes with the stored record.
    pub fn that_hands_back() -> Self {
        Self {
            hands_back: true,
            ..Self::default()
        }
    }

    fn records(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<Record>>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SessionStore for ReplaceStore {
    fn capability(&self) -> Capability {
        Capability::Server
    }

    fn deadline(&self) -> Option<Duration> {
        None
    }

    fn durability(&self) -> Durability {
        Durability::Durable
    }

    async fn load(&self, key: &Key, _: Timestamp) -> Result<Option<Arc<Record>>, StoreError> {
        let Some(id) = key.id() else { return Ok(None) };
        // An expired one too, so that its expiry can be told.
        Ok(self.records().get(&id).cloned())
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<Key, StoreError> {
        let mut records = self.records();
        if records
            .get(&record.id())
            .is_some_and(|taken| taken.is_live(now))
        {
            return Err(StoreError::IdTaken);
        }
        records.insert(record.id(), Arc::clone(record));
        Ok(Key::Id(record.id()))
    }

    async fn update(
        &self,
        key: &Key,
        update: Update<'_>,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        let Some(id) = key.id() else {
            return Ok(Updated::Gone);
        };
        let mut records = self.records();
        let Some(current) = records.get_mut(&id) else {
            return Ok(Updated::Gone);
        };
        if !current.is_live(now) || current.epoch() != update.epoch {
            return Ok(Updated::Gone);
        }
        if current.version() != update.base_version() {
            let fresh = self.hands_back.then(|| Arc::clone(current));
            return Ok(Updated::Conflict(fresh));
        }
        *current = Arc::clone(update.record);
        Ok(Updated::Saved {
            key: key.clone(),
            version: current.version(),
        })
    }

    async fn delete(&self, key: &Key, ended: Ended) -> Result<(), StoreError> {
        if let Some(id) = key.id() {
            let mark = |record: &mut Arc<Record>| *record = Arc::new(ended.mark(id));
            self.records().entry(id).and_modify(mark);
        }
        Ok(())
    }

    async fn list(&self, principal: &str, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
        let records = self.records();
        let theirs = records
            .values()
            .filter(|record| record.principal() == Some(principal) && record.is_live(now));
        Ok(theirs.cloned().map(Listed::from).collect())
    }

    async fn delete_one(
        &self,
        principal: &str,
        id: SessionId,
        ended: Ended,
    ) -> Result<bool, StoreError> {
        let mut records = self.records();
        let found = records.get_mut(&id);
        let theirs = found.filter(|record| record.principal() == Some(principal));
        Ok(theirs
            .map(|record| *record = Arc::new(ended.mark(id)))
            .is_some())
    }

    async fn delete_all(
        &self,
        principal: &str,
        except: Option<SessionId>,
        ended: Ended,
    ) -> Result<u64, StoreError> {
        let mut records = self.records();
        let theirs = records
            .iter_mut()
            .filter(|(id, record)| record.principal() == Some(principal) && Some(**id) != except);
        let ended = theirs.map(|(id, record)| *record = Arc::new(ended.mark(*id)));
        Ok(ended.count() as u64)
    }

    async fn delete_expired(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut records = self.records();
        let before = records.len();
        records.retain(|_, record| record.is_live(now));
        Ok((before - records.len()) as u64)
    }
}

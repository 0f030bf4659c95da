//! The simplest store on a server.

use std::sync::Arc;

use session_core::Timestamp;
use session_core::store::{Record, StoreError, Update};

use crate::map::{Entry, MapStore};

/// A map that can only replace a record whose version is the loaded one: whoever comes second
/// meets a conflict.
pub type ReplaceStore = MapStore<Arc<Record>>;

impl Entry for Arc<Record> {
    fn new(record: &Self) -> Self {
        Self::clone(record)
    }

    fn is_live(&self, now: Timestamp) -> bool {
        Record::is_live(self, now)
    }

    fn epoch(&self) -> u64 {
        Record::epoch(self)
    }

    fn principal(&self) -> Option<&str> {
        Record::principal(self)
    }

    fn record(&self) -> Result<Arc<Record>, StoreError> {
        Ok(Self::clone(self))
    }

    fn update(&mut self, update: &Update) -> Result<Option<u64>, StoreError> {
        if self.version() != update.base_version() {
            return Ok(None);
        }
        *self = Self::clone(update.record());
        Ok(Some(self.version()))
    }
}

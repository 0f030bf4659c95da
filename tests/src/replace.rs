//! The simplest store on a server.

use std::sync::Arc;

use session_core::Timestamp;
use session_core::store::{Record, StoreError, Tag, Update};

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

    fn written(&self) -> (u64, Option<Tag>) {
        (self.version(), self.tag())
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

    fn update(&mut self, update: &Update, is_base: bool) -> Result<bool, StoreError> {
        if is_base {
            *self = Self::clone(update.record());
        }
        Ok(is_base)
    }
}

//! The ids of each principal's sessions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use bytestring::ByteString;

use crate::record::{Record, SessionId};
use crate::store::lock::lock;

/// In order, so that it can be read in pages. Its lock is taken after that of a shard, never
/// before.
#[derive(Default)]
pub(super) struct IdsByPrincipal(pub(super) Mutex<BTreeMap<ByteString, BTreeSet<SessionId>>>);

impl IdsByPrincipal {
    pub(super) fn add(&self, record: &Record) {
        if let Some(principal) = &record.principal {
            let mut principals = lock(&self.0);
            principals
                .entry(principal.clone())
                .or_default()
                .insert(record.id);
        }
    }

    pub(super) fn remove(&self, record: &Record) {
        if let Some(principal) = &record.principal {
            let mut principals = lock(&self.0);
            if let Some(ids) = principals.get_mut(principal) {
                ids.remove(&record.id);
                if ids.is_empty() {
                    principals.remove(principal);
                }
            }
        }
    }

    pub(super) fn ids(&self, principal: &str) -> Vec<SessionId> {
        let principals = lock(&self.0);
        let ids = principals.get(principal);
        ids.into_iter().flatten().copied().collect()
    }
}

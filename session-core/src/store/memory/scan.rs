//! Reading the whole store in pages.
//!
//! A map has no order that lasts. So a page has the smallest ids of a shard that are greater than
//! the last one of the page before: a look at each id of the shard, and no state between two pages.

use std::ops::Bound;
use std::sync::Arc;

use async_trait::async_trait;
use bytestring::ByteString;

use super::shard::Shard;
use super::{MemoryStore, SHARDS, shard_of};
use crate::error::StoreError;
use crate::record::{Ended, SessionId};
use crate::store::lock::lock;
use crate::store::{IndexPage, Listed, RecordScan, ScanCursor, ScanPage};

impl Shard {
    /// The first records and marks behind this id, in the order of their ids.
    fn page(&self, after: Option<SessionId>, most: usize) -> Vec<Listed> {
        let all = self.records.keys().chain(self.marks.keys()).copied();
        let mut ids: Vec<_> = all.filter(|id| Some(*id) > after).collect();
        if most < ids.len() {
            ids.select_nth_unstable(most);
            ids.truncate(most);
        }
        ids.sort_unstable();
        ids.dedup();
        let found = |id| match self.records.get(&id) {
            Some(record) => Some(Arc::clone(record)),
            None => Some(Arc::new(self.marks.get(&id)?.mark(id))),
        };
        ids.into_iter()
            .filter_map(found)
            .map(Listed::from)
            .collect()
    }
}

/// The index changes together with the records, so there is nothing to mend.
#[async_trait]
impl RecordScan for MemoryStore {
    async fn scan_records(
        &self,
        from: Option<&ScanCursor>,
        most: usize,
    ) -> Result<ScanPage, StoreError> {
        let most = most.max(1);
        let mut after = from.map(|cursor| id_of(cursor.as_bytes())).transpose()?;
        let mut sessions = Vec::new();
        for number in after.map_or(0, shard_of)..SHARDS {
            let page = lock(&self.shards[number]).page(after.take(), most - sessions.len());
            sessions.extend(page);
            if let Some(last) = sessions.last().filter(|_| sessions.len() >= most) {
                let next = ScanCursor::new(last.id().as_bytes().to_vec());
                return Ok(ScanPage::new(sessions, Some(next)));
            }
        }
        Ok(ScanPage::new(sessions, None))
    }

    async fn scan_index(
        &self,
        from: Option<&ScanCursor>,
        most: usize,
    ) -> Result<IndexPage, StoreError> {
        let last = from.map(|cursor| entry_of(cursor.as_bytes())).transpose()?;
        let entries = self.principals.page(last.as_ref(), most.max(1));
        let next = entries.last().filter(|_| entries.len() >= most.max(1));
        let next = next.map(|(principal, id)| {
            ScanCursor::new([ENTRY, id.as_bytes(), str::as_bytes(principal)].concat())
        });
        Ok(IndexPage::new(entries, next))
    }

    /// There is nothing that it cannot read.
    async fn delete_unreadable(&self, _: SessionId, _: Ended) -> Result<bool, StoreError> {
        Ok(false)
    }
}

impl super::index::IdsByPrincipal {
    /// The first entries behind this one.
    fn page(
        &self,
        after: Option<&(ByteString, SessionId)>,
        most: usize,
    ) -> Vec<(ByteString, SessionId)> {
        let principals = lock(&self.0);
        let from = match after {
            Some((principal, _)) => Bound::Included(&**principal),
            None => Bound::Unbounded,
        };
        let entries = principals
            .range::<str, _>((from, Bound::Unbounded))
            .flat_map(|(principal, ids)| {
                let from = match after {
                    Some((last, id)) if last == principal => Bound::Excluded(*id),
                    _ => Bound::Unbounded,
                };
                let ids = ids.range((from, Bound::Unbounded));
                ids.map(|id| (principal.clone(), *id))
            });
        entries.take(most).collect()
    }
}

fn id_of(bytes: &[u8]) -> Result<SessionId, StoreError> {
    let id = bytes.try_into().map(SessionId::from_bytes);
    id.map_err(|_| ScanCursor::not_of_this_store())
}

/// A cursor of the index: this word, an id, and the principal whose index has it.
const ENTRY: &[u8] = b"entry ";

fn entry_of(bytes: &[u8]) -> Result<(ByteString, SessionId), StoreError> {
    let entry = bytes.strip_prefix(ENTRY);
    let (id, principal) = entry
        .and_then(|entry| entry.split_at_checked(16))
        .ok_or_else(ScanCursor::not_of_this_store)?;
    let principal = ByteString::try_from(principal).map_err(|_| ScanCursor::not_of_this_store())?;
    Ok((principal, id_of(id)?))
}

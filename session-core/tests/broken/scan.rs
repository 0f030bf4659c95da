//! The scan of the store with faults: by the names of its records, in their order.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use session_core::store::{
    ByteString, IndexMend, IndexPage, Listed, Record, RecordScan, ScanCursor, ScanPage, StoreError,
};
use session_core::{Ended, Lifetime, SessionId, Timestamp};

use super::Fault;
use super::map::{MapStore, turn};

impl MapStore {
    /// The cursor that names this: what comes behind it is next.
    fn cursor(at: &str) -> ScanCursor {
        ScanCursor::new(format!("behind {at}"))
    }

    fn read_cursor(&self, from: Option<&ScanCursor>) -> Result<String, StoreError> {
        let Some(from) = from else {
            return Ok(String::new());
        };
        let text = std::str::from_utf8(from.as_bytes()).ok();
        match text.and_then(|text| text.strip_prefix("behind ")) {
            Some(at) => Ok(at.to_owned()),
            None if self.has(Fault::TrustsCursors) => Ok(String::new()),
            None if self.has(Fault::PanicsOnCursors) => panic!("no cursor"),
            None => Err(ScanCursor::not_of_this_store()),
        }
    }

    fn scanned(&self, record: &Arc<Record>) -> Listed {
        match self.has(Fault::ScansFormer) && record.ended().is_some() {
            true => {
                let (id, now) = (record.id(), record.created_at());
                Listed::from(Arc::new(Record::new(id, "id", Lifetime::default(), now)))
            }
            false => Listed::from(Arc::clone(record)),
        }
    }
}

#[async_trait]
impl RecordScan for MapStore {
    async fn scan_records(
        &self,
        from: Option<&ScanCursor>,
        most: usize,
    ) -> Result<ScanPage, StoreError> {
        let from = self.read_cursor(from)?;
        turn().await;
        if most == 0 && self.has(Fault::ScansNothingOfNothing) {
            return Ok(ScanPage::new(Vec::new(), None));
        }
        let most = most.max(1);
        let records = self.lock().await;
        let mut names: Vec<_> = records.keys().cloned().collect();
        names.sort();
        if self.has(Fault::ScansByPosition) {
            names.sort_by_key(|name| Reverse(records[name].version()));
        }
        let begin = match self.has(Fault::ScansByPosition) {
            true => from.parse().unwrap_or(0),
            false => names.partition_point(|name| *name <= from),
        };
        let page: Vec<_> = names.iter().skip(begin).take(most).collect();
        let end = begin + page.len();
        let next = match self.fault {
            Some(Fault::ScansByPosition) => Self::cursor(&end.to_string()),
            Some(Fault::ScanSkipsBetweenPages) => {
                Self::cursor(names.get(end).map_or("", String::as_str))
            }
            _ => Self::cursor(page.last().map_or("", |name| name.as_str())),
        };
        let next = (end < names.len()).then_some(next);
        let mut sessions: Vec<_> = page
            .into_iter()
            .map(|name| self.scanned(&records[name]))
            .collect();
        if self.has(Fault::ScansLive) {
            let newest = records.values().map(|record| record.created_at()).max();
            let soon = newest.unwrap_or_default() + Duration::from_secs(60);
            sessions.retain(|listed| listed.record().is_some_and(|it| it.is_live(soon)));
        }
        Ok(ScanPage::new(sessions, next))
    }

    async fn scan_index(
        &self,
        from: Option<&ScanCursor>,
        most: usize,
    ) -> Result<IndexPage, StoreError> {
        let from = self.read_cursor(from)?;
        let records = self.lock().await;
        let all: Vec<ByteString> = records
            .values()
            .filter_map(|record| record.principal().map(ByteString::from))
            .collect();
        let mut entries = Vec::new();
        for record in records.values().filter(|record| record.ended().is_none()) {
            match record.principal() {
                Some(_) if self.has(Fault::ScansForeignEntries) => {
                    entries.extend(all.iter().map(|other| (other.clone(), record.id())));
                }
                Some(principal) => entries.push((principal.into(), record.id())),
                None => {}
            }
        }
        entries.sort();
        if self.has(Fault::ScansFirstEntries) {
            entries.dedup_by(|one, other| one.0 == other.0);
        }
        let name = |(principal, id): &(ByteString, SessionId)| {
            let id: String = id.as_bytes().iter().map(|b| format!("{b:02x}")).collect();
            format!("{principal} {id}")
        };
        entries.retain(|entry| name(entry) > from);
        entries.sort_by_key(name);
        let more = entries.len() > most;
        entries.truncate(most);
        let next = entries.last().filter(|_| more);
        let next = next.map(|entry| Self::cursor(&name(entry)));
        Ok(IndexPage::new(entries, next))
    }

    async fn mend_index(
        &self,
        principal: &str,
        id: SessionId,
        _: Timestamp,
    ) -> Result<IndexMend, StoreError> {
        let mut records = self.lock().await;
        let found = records.get(&self.name(id)).cloned();
        let theirs = found.is_some_and(|record| record.principal() == Some(principal));
        if self.has(Fault::MendsByEnding) && !theirs {
            self.end(&mut records, id, Ended::default());
        }
        Ok(match self.has(Fault::MendsInSpeech) && theirs {
            true => IndexMend::EntryAdded,
            false => IndexMend::Nothing,
        })
    }

    async fn delete_unreadable(&self, id: SessionId, ended: Ended) -> Result<bool, StoreError> {
        let mut records = self.lock().await;
        if self.has(Fault::DeletesReadable) {
            self.end(&mut records, id, ended);
        }
        Ok(self.has(Fault::DeletesInSpeech))
    }
}

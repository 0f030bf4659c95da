//! The pages of a scan.

use std::sync::Arc;

use session_core::SessionId;
use session_core::store::{ByteString, IndexPage, Listed, ScanCursor, ScanPage, StoreError};
use tokio::task::JoinSet;

use super::cursor::Cursor;
use crate::commands::{Commands, Names, Range};
use crate::connection::Reason;
use crate::layout::{SLOTS, only_slot, slot_of};

/// How many names the server looks at for one page of sessions, at most.
const MOST_NAMES: usize = 1_000;
/// The same for one page of entries: each name that it finds is an index to be read.
const MOST_INDEXES: usize = 100;
/// How many sessions are read at once.
const AT_ONCE: usize = 32;

/// A scan of all that a store has.
pub(crate) struct Scan<'a>(pub(crate) &'a Arc<Commands>);

impl Scan<'_> {
    /// A page of sessions.
    pub(crate) async fn sessions(
        &self,
        from: Option<&ScanCursor>,
        most: usize,
    ) -> Result<ScanPage, StoreError> {
        let cursor = self.begin(Names::Sessions, from).await?;
        let (names, next) = self.names(cursor, most.clamp(1, MOST_NAMES)).await?;
        let ids: Vec<SessionId> = names.iter().filter_map(|name| name.parse().ok()).collect();
        let mut sessions = Vec::with_capacity(ids.len());
        for ids in ids.chunks(AT_ONCE) {
            sessions.extend(self.load(ids).await?);
        }
        let next = self.or_next_slots(next).await?;
        Ok(ScanPage::new(sessions, next))
    }

    /// A page of entries.
    pub(crate) async fn entries(
        &self,
        from: Option<&ScanCursor>,
        most: usize,
    ) -> Result<IndexPage, StoreError> {
        let most = most.clamp(1, MOST_NAMES);
        let mut cursor = self.begin(Names::Indexes, from).await?;
        if cursor.pending.is_empty() && cursor.at.is_some() {
            let (names, next) = self.names(cursor, most.min(MOST_INDEXES)).await?;
            cursor = next;
            let pending = names
                .iter()
                .filter_map(|name| name.strip_prefix("principal:"));
            cursor.pending = pending.map(|name| (0, name.to_owned())).collect();
        }
        let mut entries = Vec::new();
        while entries.len() < most
            && let Some((at, principal)) = cursor.pending.pop()
        {
            let until = self.0.until();
            let found = self.0.scan_entries(&principal, at, most, until).await?;
            let name = ByteString::from(&*principal);
            entries.extend(found.0.into_iter().map(|id| (name.clone(), id)));
            if found.1 != 0 {
                cursor.pending.push((found.1, principal));
            }
        }
        let next = match cursor.pending.is_empty() {
            true => self.or_next_slots(cursor).await?,
            false => Some(cursor.to_public()),
        };
        Ok(IndexPage::new(entries, next))
    }

    async fn begin(&self, names: Names, from: Option<&ScanCursor>) -> Result<Cursor, StoreError> {
        match from {
            Some(from) => Cursor::read(names, from),
            None => self.at_slot(names, 0).await,
        }
    }

    /// At the first of the slots from this one on that are on one server.
    async fn at_slot(&self, names: Names, first: u16) -> Result<Cursor, StoreError> {
        let ranges = self.0.ranges(self.0.until()).await?;
        if ranges.is_empty() {
            return Ok(Cursor::new(names, 0..=SLOTS - 1, None));
        }
        // By its prefix a store may use one slot alone.
        let only = only_slot(&self.0.names.prefix);
        let first = only.unwrap_or(first);
        let Range { slots, node } = range_of(&ranges, first).ok_or_else(|| {
            StoreError::unavailable(format!("no node of the Cluster has the slot {first}"))
        })?;
        let last = only.unwrap_or(*slots.end());
        Ok(Cursor::new(names, first..=last, Some(node)))
    }

    /// A page of names without the prefix, and where the next one begins. After a restart of the
    /// server that is the begin of its slots.
    async fn names(
        &self,
        mut cursor: Cursor,
        count: usize,
    ) -> Result<(Vec<String>, Cursor), StoreError> {
        let Some(at) = cursor.at else {
            return Ok((Vec::new(), cursor));
        };
        let until = self.0.until();
        let page = self
            .0
            .scan_names(cursor.names, &cursor.slots, at, count, until)
            .await?;
        if !cursor.is_of(&page.server) {
            let again = self.at_slot(cursor.names, *cursor.slots.start()).await?;
            return Ok((Vec::new(), again));
        }
        let is_here =
            |name: &Vec<u8>| !cursor.is_of_cluster() || cursor.slots.contains(&slot_of(name));
        let prefix = &self.0.names.prefix;
        let own = page.names.into_iter().filter(is_here).filter_map(|name| {
            let name = String::from_utf8(name).ok()?;
            name.strip_prefix(prefix.as_str()).map(str::to_owned)
        });
        let own = own.collect();
        cursor.server = page.server;
        cursor.at = (page.next != 0).then_some(page.next);
        Ok((own, cursor))
    }

    /// Where the next page begins: after the last page of some slots, at those that follow. If they
    /// are on another server by now, they are read again.
    async fn or_next_slots(&self, cursor: Cursor) -> Result<Option<ScanCursor>, StoreError> {
        if cursor.at.is_some() {
            return Ok(Some(cursor.to_public()));
        }
        let (names, slots) = (cursor.names, cursor.slots.clone());
        let same = self.is_same_server(&cursor).await?;
        let only = only_slot(&self.0.names.prefix).is_some();
        let next = match (same, *slots.end() + 1) {
            (false, _) => *slots.start(),
            (true, SLOTS) => return Ok(None),
            (true, _) if only => return Ok(None),
            (true, next) => next,
        };
        Ok(Some(self.at_slot(names, next).await?.to_public()))
    }

    async fn is_same_server(&self, cursor: &Cursor) -> Result<bool, StoreError> {
        let (slots, until) = (&cursor.slots, self.0.until());
        if cursor.is_of_cluster() {
            let ranges = self.0.ranges(until).await?;
            let range = range_of(&ranges, *slots.start());
            let is_it =
                |range: &Range| range.node == cursor.node && range.slots.contains(slots.end());
            if !range.is_some_and(is_it) {
                return Ok(false);
            }
        }
        // Cursors within indexes are of this server too.
        let page = self.0.scan_names(cursor.names, slots, 0, 1, until).await?;
        Ok(cursor.is_of(&page.server))
    }

    /// What is stored under these ids. What is gone by now is left out.
    async fn load(&self, ids: &[SessionId]) -> Result<Vec<Listed>, StoreError> {
        let (mut loaded, until) = (Vec::with_capacity(ids.len()), self.0.until());
        let mut tasks = JoinSet::new();
        for &id in ids {
            let commands = Arc::clone(self.0);
            tasks.spawn(async move { (id, commands.load(id, until).await) });
        }
        while let Some(task) = tasks.join_next().await {
            match task.map_err(|_| StoreError::Unavailable(Arc::new(Reason::Stopped)))? {
                (_, Ok(Some(record))) => loaded.push(Listed::Record(record)),
                (_, Ok(None)) => {}
                (id, Err(error @ StoreError::Corrupt(_))) => {
                    loaded.push(Listed::unreadable(id, error));
                }
                (_, Err(error)) => return Err(error),
            }
        }
        Ok(loaded)
    }
}

fn range_of(ranges: &[Range], slot: u16) -> Option<&Range> {
    ranges.iter().find(|range| range.slots.contains(&slot))
}

//! The pages of a scan.

use std::sync::Arc;

use session_core::SessionId;
use session_core::store::{ByteString, IndexPage, Listed, ScanCursor, ScanPage, StoreError};
use tokio::task::JoinSet;

use super::cursor::Cursor;
use crate::commands::{Commands, Names, NamesPage, Server, moving};
use crate::connection::Reason;
use crate::layout::{name_in, only_slot, slot_of};

/// How many names the server looks at for one page of sessions, at most.
const MOST_NAMES: usize = 1_000;
/// The same for one page of entries: each name that it finds is an index to be read.
const MOST_INDEXES: usize = 100;
/// How many sessions are read at once.
const AT_ONCE: usize = 32;
/// What the names of indexes begin with, after the prefix.
const INDEX: &str = "principal:";

/// A scan of all that a store has.
pub(crate) struct Scan<'a>(pub(crate) &'a Arc<Commands>);

impl Scan<'_> {
    /// A page of sessions.
    pub(crate) async fn sessions(
        &self,
        from: Option<&ScanCursor>,
        most: usize,
    ) -> Result<ScanPage, StoreError> {
        let cursor = begin(Names::Sessions, from)?;
        let (names, mut cursor) = self.names(cursor, most.clamp(1, MOST_NAMES)).await?;
        let (mut ids, mut foreign) = (Vec::<SessionId>::new(), 0);
        for name in &names {
            match name.as_deref().map(str::parse) {
                Some(Ok(id)) => ids.push(id),
                // An index whose name is as long as an id.
                Some(Err(_)) if name.as_ref().is_some_and(|it| it.starts_with(INDEX)) => {}
                _ => foreign += 1,
            }
        }
        let mut sessions = Vec::with_capacity(ids.len());
        for ids in ids.chunks(AT_ONCE) {
            sessions.extend(self.load(ids).await?);
        }
        let next = match cursor.at {
            Some(_) => Some(cursor.to_public()),
            // The last page has said itself what the server was.
            None => self.next_server(&mut cursor),
        };
        Ok(ScanPage::new(sessions, next).with_foreign(foreign))
    }

    /// A page of entries.
    pub(crate) async fn entries(
        &self,
        from: Option<&ScanCursor>,
        most: usize,
    ) -> Result<IndexPage, StoreError> {
        let most = most.clamp(1, MOST_NAMES);
        let mut cursor = begin(Names::Indexes, from)?;
        if cursor.pending.is_empty() && cursor.at.is_some() {
            let (names, next) = self.names(cursor, most.min(MOST_INDEXES)).await?;
            cursor = next;
            let names = names.into_iter().flatten();
            let pending = names.filter_map(|name| Some((0, name.strip_prefix(INDEX)?.to_owned())));
            cursor.pending = pending.collect();
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
        let next = match (cursor.pending.is_empty(), cursor.at) {
            (true, None) => {
                let server = self.page(&cursor, 0, 1).await?.server;
                match cursor.server.as_ref() == Some(&server) {
                    true => self.next_server(&mut cursor),
                    false => {
                        cursor.begin_server();
                        Some(cursor.to_public())
                    }
                }
            }
            _ => Some(cursor.to_public()),
        };
        Ok(IndexPage::new(entries, next))
    }

    /// A page of names without the prefix, and where the next one begins. A name that is no text is
    /// `None`. If the server is not what it was, that is the begin of one that is not known yet.
    async fn names(
        &self,
        mut cursor: Cursor,
        count: usize,
    ) -> Result<(Vec<Option<String>>, Cursor), StoreError> {
        let Some(at) = cursor.at else {
            return Ok((Vec::new(), cursor));
        };
        let page = self.page(&cursor, at, count).await?;
        if cursor.server.as_ref().is_some_and(|it| *it != page.server) {
            cursor.begin_server();
            return Ok((Vec::new(), cursor));
        }
        let Server { slots, .. } = &page.server;
        // The node to which a slot is being moved answers for it before the slot is its own.
        let asked = self.next_slot(&cursor).filter(|_| cursor.server.is_none());
        if asked.is_some_and(|asked| !slots.is_empty() && !slots.contains(asked)) {
            return Err(moving());
        }
        let is_new = |name: &Vec<u8>| {
            let slot = slot_of(name);
            slots.is_empty() || (slots.contains(slot) && !cursor.done.contains(slot))
        };
        let prefix = &self.0.names.prefix;
        let own = page.names.into_iter().filter(is_new).map(|name| {
            let name = String::from_utf8(name).ok()?;
            name.strip_prefix(prefix.as_str()).map(str::to_owned)
        });
        let own = own.collect();
        cursor.at = (page.next != 0).then_some(page.next);
        cursor.server = Some(page.server);
        Ok((own, cursor))
    }

    /// A page of the server on which the cursor is.
    async fn page(&self, cursor: &Cursor, at: u64, count: usize) -> Result<NamesPage, StoreError> {
        let (prefix, until) = (&self.0.names.prefix, self.0.until());
        let next = self.next_slot(cursor);
        let place = match &cursor.server {
            // Any slot will do for which this server is read. It is quicker to find than one.
            Some(server) if server.slots.is_empty() => String::new(),
            Some(server) => name_in(prefix, |slot| server.slots.contains(slot)),
            None => name_in(prefix, |slot| next.is_none_or(|next| next == slot)),
        };
        self.0
            .scan_names(cursor.names, &place, at, count, until)
            .await
    }

    /// The lowest slot that was not read.
    fn next_slot(&self, cursor: &Cursor) -> Option<u16> {
        // By its prefix a store may use one slot alone.
        match only_slot(&self.0.names.prefix) {
            Some(only) => (!cursor.done.contains(only)).then_some(only),
            None => cursor.done.first_missing(),
        }
    }

    /// After the last page of a server: where the next one begins.
    fn next_server(&self, cursor: &mut Cursor) -> Option<ScanCursor> {
        let server = cursor.server.take()?;
        if server.slots.is_empty() {
            return None;
        }
        cursor.done.add(&server.slots);
        cursor.begin_server();
        self.next_slot(cursor).map(|_| cursor.to_public())
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

fn begin(names: Names, from: Option<&ScanCursor>) -> Result<Cursor, StoreError> {
    match from {
        Some(from) => Cursor::read(names, from),
        None => Ok(Cursor::new(names)),
    }
}

//! An index, page by page: no answer of the server is long, however many entries there are.

use std::collections::HashSet;

use session_core::SessionId;
use session_core::store::StoreError;

use super::index::Index;
use crate::commands::{Entry, RawEntry, session_entries};

/// How many entries a page has.
const PAGE: usize = 500;

/// Where a reader of an index is. Entries are in the order of their scores, then of their names.
#[derive(Debug, Default)]
pub(super) struct Pages {
    /// How many entries before the next page were read and are, as far as is known, still there.
    first: usize,
    /// The last entry that was read.
    last: Option<RawEntry>,
    done: bool,
    /// What was returned. A page may be read again in part.
    seen: HashSet<SessionId>,
}

impl Pages {
    /// The sessions of the next page that were in no page before, or `None` after the last page.
    /// Reading a page has a deadline of its own, and so has what follows.
    ///
    /// Others remove entries meanwhile, and then those that follow move forward. So each page
    /// begins with the last entry of the page before. If it does not, it is read again from further
    /// ahead. An entry may be read twice, but none that stays in its place is passed over.
    pub(super) async fn next(
        &mut self,
        index: &mut Index,
    ) -> Result<Option<Vec<Entry>>, StoreError> {
        if self.done {
            return Ok(None);
        }
        index.until = index.commands.until();
        let mut back = 1;
        loop {
            let from = self.first.saturating_sub(back);
            let Index {
                commands,
                principal,
                until,
            } = &*index;
            let entries = commands
                .entries_by_rank(principal, from, PAGE, *until)
                .await?;
            let gap = match (&self.last, entries.first()) {
                (Some(last), Some(first)) => from > 0 && is_before(last, first),
                (Some(_), None) => from > 0,
                (None, _) => false,
            };
            if gap {
                back *= 8;
                continue;
            }
            self.done = entries.len() < PAGE;
            self.first = from + entries.len();
            if let Some(last) = entries.last() {
                self.last = Some(last.clone());
            }
            let mut entries = session_entries(entries);
            entries.retain(|entry| self.seen.insert(entry.id));
            index.until = index.commands.until();
            return Ok(Some(entries));
        }
    }

    /// This many of the entries that were read are not there any more.
    pub(super) fn removed(&mut self, number: usize) {
        self.first = self.first.saturating_sub(number);
    }
}

/// Whether an entry is before another one in the index.
fn is_before(one: &RawEntry, other: &RawEntry) -> bool {
    (one.1, &one.0) < (other.1, &other.0)
}

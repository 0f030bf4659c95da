//! All sessions of a principal.

use std::collections::HashSet;

use session_core::{Listed, StoreError, Timestamp};

use super::index::Index;
use super::pages::Pages;
use super::score::repairs_of_missing;

impl Index {
    /// Page by page, each with a deadline of its own: somebody may have very many. What has no
    /// session leaves the index on the way, so the next call has less to read.
    pub(crate) async fn list(&self, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
        let (mut listed, mut seen) = (Vec::new(), HashSet::new());
        let mut pages = Pages::default();
        while let Some(mut entries) = pages.next(self, self.commands.until()).await? {
            let until = self.commands.until();
            entries.retain(|entry| seen.insert(entry.id));
            let found = self.each(
                &entries,
                |index, id| async move { index.find(id, until).await },
            );
            let mut missing = HashSet::new();
            for (id, found) in found.await? {
                match found? {
                    // The server removes it before long.
                    Some(Listed::Record(record)) if !record.is_live(now) => {}
                    Some(found) => listed.push(found),
                    None => drop(missing.insert(id)),
                }
            }
            entries.retain(|entry| missing.contains(&entry.id));
            match self.repair(&repairs_of_missing(&entries, now), until).await {
                Ok(removed) => pages.removed(removed),
                Err(error) => {
                    tracing::debug!(
                        target: "session::redis", ?error, "an index could not be healed"
                    );
                }
            }
        }
        listed.sort_by_key(|listed| (listed.record().map(|record| record.created()), listed.id()));
        Ok(listed)
    }
}

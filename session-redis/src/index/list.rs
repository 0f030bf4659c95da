//! All sessions of a principal.

use session_core::Timestamp;
use session_core::store::{Listed, StoreError};

use super::index::Index;
use super::pages::Pages;
use super::score::repairs_of_missing;

impl Index {
    /// Page by page, each with a deadline of its own: somebody may have very many. What has no
    /// session leaves the index on the way, so the next call has less to read.
    pub(crate) async fn list(mut self, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
        let mut listed = Vec::new();
        let mut pages = Pages::default();
        while let Some(entries) = pages.next(&mut self).await? {
            let found = self.each(entries, |index, id| async move { index.find(id).await });
            let mut missing = Vec::new();
            for (entry, found) in found.await? {
                match found? {
                    // The server removes it before long.
                    Some(Listed::Record(record)) if !record.is_live(now) => {}
                    Some(found) => listed.push(found),
                    None => missing.push(entry),
                }
            }
            match self.repair(&repairs_of_missing(&missing, now)).await {
                Ok(removed) => pages.removed(removed),
                Err(error) => {
                    tracing::debug!(
                        target: "session::redis", ?error, "an index could not be healed"
                    );
                }
            }
        }
        listed.sort_by_key(|listed| {
            (
                listed.record().map(|record| record.created_at()),
                listed.id(),
            )
        });
        Ok(listed)
    }
}

//! A token that was rotated away came back.
//!
//! **Reuse needs no hash.** With keys the MAC shows that a token was issued in this epoch, so the
//! record need not remember each of them.

use std::sync::Arc;

use crate::error::SessionError;
use crate::event::{AfterReuse, Who};
use crate::manager::SessionManager;
use crate::record::{EndReason, Record};
use crate::store::{Changes, Metadata, RecordKey, Update, Updated};
use crate::time::Timestamp;

/// Attempts to end a session that others write to.
const MOST_CLOSINGS: u32 = 16;

impl SessionManager {
    /// A rotated token came back, and no other one: somebody has a copy. Whether the session ends
    /// for it, by the policy.
    pub(crate) async fn reused(
        &self,
        record: &Arc<Record>,
        now: Timestamp,
    ) -> Result<bool, SessionError> {
        let revokes = self.settings().on_reuse.revokes();
        let then = match revokes {
            true => AfterReuse::SessionEnds,
            false => AfterReuse::SessionStays,
        };
        self.events().reused(record, then, now);
        if revokes && self.end_epoch(record, now).await? {
            let principal = record.principal();
            let reason = "a rotated token came back";
            self.events().revoked(record.id, principal, reason, now);
        }
        Ok(revokes)
    }

    /// Ends the session of `record` if it is still of the epoch in which it was judged: a sign-in
    /// that was faster has begun an epoch of its own, and stays. So the mark is put in the place of
    /// the record by an update, which meets a version. Whether there was anything to end.
    async fn end_epoch(&self, record: &Arc<Record>, now: Timestamp) -> Result<bool, SessionError> {
        let changes = Changes::new().clear().with_metadata(Metadata::Replaced);
        let ended = self.calls().ended(EndReason::Reused);
        let mut current = Arc::clone(record);
        for _ in 0..MOST_CLOSINGS {
            let mark = ended
                .mark(record.id)
                .with_version(current.version.saturating_add(1));
            let update = Update::new(Arc::new(mark), changes.clone(), current.epoch)
                .with_base_tag(current.tag)
                .with_expected_version(current.version);
            let key = RecordKey::Id(record.id);
            let updated = self.calls().mark(&key, &update, now).await?;
            let fresh = match updated {
                Updated::Saved { .. } => {
                    self.calls().watches().changed(&key);
                    return Ok(true);
                }
                Updated::Gone => return Ok(false),
                Updated::Conflict {
                    current: Some(fresh),
                } => Some(fresh),
                Updated::Conflict { current: None } => self.calls().look(&key, now).await?,
            };
            match fresh {
                Some(fresh) if fresh.epoch == record.epoch => current = fresh,
                _ => return Ok(false),
            }
        }
        let who = Who::of(record);
        let waited = self.now().duration_since(now);
        self.events()
            .contended(Some(&who), MOST_CLOSINGS, waited, self.now());
        Err(SessionError::Contended)
    }
}

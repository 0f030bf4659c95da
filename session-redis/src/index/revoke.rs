//! Ending one session of a principal, or all of them.

use session_core::store::StoreError;
use session_core::{Ended, SessionId};

use super::index::Index;
use super::pages::Pages;
use super::score::Score;
use crate::commands::{Deletion, Entry, Repair};
use crate::connection::Fault;

impl Index {
    /// Deletes a session if it is this principal's. One that is damaged and names no principal is
    /// theirs if it is in their index.
    pub(crate) async fn delete_one(&self, id: SessionId, ended: Ended) -> Result<bool, StoreError> {
        let count = match self.delete_own(id, ended).await? {
            Deletion::Unowned
                if self
                    .commands
                    .has_entry(&self.principal, id, self.until)
                    .await? =>
            {
                self.delete_damaged(id, ended).await?
            }
            deleted => deleted.count(),
        };
        if count > 0 {
            self.remove_deleted(id).await;
        }
        Ok(count > 0)
    }

    /// Page by page, each with a deadline of its own. What was done stays done, and the next call
    /// goes on from there.
    pub(crate) async fn delete_all(
        mut self,
        except: Option<SessionId>,
        ended: Ended,
    ) -> Result<u64, StoreError> {
        let mut total = 0;
        let mut pages = Pages::default();
        while let Some(mut entries) = pages.next(&mut self).await? {
            entries.retain(|entry| Some(entry.id) != except);
            if entries.is_empty() {
                continue;
            }
            self.mark_revoked(&mut entries).await?;
            let deleted = self.each(entries, |index, id| async move {
                index.delete_indexed(id, ended).await
            });
            let (mut failure, mut repairs) = (None, Vec::new());
            for (entry, deleted) in deleted.await? {
                match deleted {
                    Ok(count) => {
                        total += count;
                        repairs.push(Repair::Remove(entry));
                    }
                    // The others are deleted all the same.
                    Err(error) => failure = Some(error),
                }
            }
            match self.repair(&repairs).await {
                Ok(removed) => pages.removed(removed),
                // Somebody has to change a setting, and must learn that.
                Err(fault) if fault.is_lasting() => return Err(fault.into_read_error()),
                // The sessions were deleted, which is what was asked for.
                Err(error) => {
                    tracing::debug!(
                        target: "session::redis", ?error,
                        "an index keeps entries of sessions that are gone"
                    );
                }
            }
            if let Some(error) = failure {
                return Err(error);
            }
        }
        Ok(total)
    }

    /// Marks entries as those of sessions that are about to be deleted. If the server has no room
    /// for that they keep their scores: to delete a session makes room, and nobody signs in on a
    /// server that is full.
    async fn mark_revoked(&self, entries: &mut [Entry]) -> Result<(), StoreError> {
        let mark = Score::revoked()?;
        match self.mark(entries, mark).await {
            Ok(()) => entries
                .iter_mut()
                .for_each(|entry| entry.score = mark as f64),
            Err(fault) if fault.is_out_of_memory() => {}
            Err(fault) => return Err(fault.into_read_error()),
        }
        Ok(())
    }

    async fn delete_own(&self, id: SessionId, ended: Ended) -> Result<Deletion, StoreError> {
        let deleted = self
            .commands
            .delete(id, Some(&self.principal), ended, self.until)
            .await;
        deleted.map_err(Fault::into_write_error)
    }

    /// Deletes the session of an entry of this index; a damaged one whatever principal it names.
    async fn delete_indexed(&self, id: SessionId, ended: Ended) -> Result<u64, StoreError> {
        match self.delete_own(id, ended).await? {
            Deletion::Unowned | Deletion::OfAnother => self.delete_damaged(id, ended).await,
            deleted => Ok(deleted.count()),
        }
    }

    async fn delete_damaged(&self, id: SessionId, ended: Ended) -> Result<u64, StoreError> {
        match self.commands.load(id, self.until).await {
            Err(StoreError::Corrupt(_)) => {
                let deleted = self.commands.delete(id, None, ended, self.until).await;
                deleted
                    .map(|deleted| deleted.count())
                    .map_err(Fault::into_write_error)
            }
            Ok(_) => Ok(0),
            Err(error) => Err(error),
        }
    }
}

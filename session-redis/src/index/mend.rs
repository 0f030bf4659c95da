//! Making an index agree with one session, alongside sign-ins and sign-outs.
//!
//! **To add an entry** is to let step 3 of a sign-in pass, and that must not happen after all
//! sessions of the principal were ended. So the entry is added with the mark of one that is
//! revoked, which confirms nothing. Then the session is looked at again. If it is there and not on
//! probation, no sign-in waits for this entry, and the mark gives way to the deadline. A sign-in
//! that begins meanwhile writes over the mark in its step 1. If this ends half-way, the entry of a
//! session that is there keeps its mark, which changes nothing for the session.
//!
//! **To remove an entry** takes the two rounds that `list` and `tidy` take.

use session_core::store::{IndexMend, StoreError};
use session_core::{SessionId, Timestamp};

use super::index::Index;
use super::score::{Score, repairs_of_missing};
use crate::commands::{Entry, Repair, Standing};
use crate::connection::Fault;

impl Index {
    pub(crate) async fn mend(self, id: SessionId, now: Timestamp) -> Result<IndexMend, StoreError> {
        let (commands, until) = (&self.commands, self.until);
        let score = commands.entry_score(&self.principal, id, until).await?;
        match score {
            None => self.add_missing(id, now).await,
            Some(score) => self.remove_missing(Entry { id, score }, now).await,
        }
    }

    async fn add_missing(&self, id: SessionId, now: Timestamp) -> Result<IndexMend, StoreError> {
        let Some(deadline) = self.settled_until(id, now).await? else {
            return Ok(IndexMend::Nothing);
        };
        let mark = Score::revoked()?;
        let added = self
            .commands
            .adopt_entry(&self.principal, id, mark, (deadline, now), self.until)
            .await;
        if !added.map_err(Fault::into_read_error)? {
            return Ok(IndexMend::Nothing);
        }
        let entry = Entry {
            id,
            score: mark as f64,
        };
        let (repair, mend) = match self.settled_until(id, now).await? {
            Some(deadline) => {
                let deadline = i64::try_from(deadline.as_millis()).unwrap_or(i64::MAX);
                (Repair::Mark(entry, deadline), IndexMend::EntryAdded)
            }
            None => (Repair::Remove(entry), IndexMend::Nothing),
        };
        let repaired = self.repair(&[repair]).await;
        repaired.map(|_| mend).map_err(Fault::into_read_error)
    }

    /// The deadline of a live session of this principal that is not on probation.
    async fn settled_until(
        &self,
        id: SessionId,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let Standing {
            principal,
            on_probation,
            expires,
            deadline,
        } = self.commands.standing(id, self.until).await?;
        let theirs = principal.as_deref() == Some(&*self.principal);
        let live = expires.is_some_and(|expires| now < expires);
        Ok(deadline.filter(|_| theirs && live && !on_probation))
    }

    async fn remove_missing(&self, entry: Entry, now: Timestamp) -> Result<IndexMend, StoreError> {
        if self.is_theirs(entry.id).await? {
            return Ok(IndexMend::Nothing);
        }
        let repairs = repairs_of_missing(&[entry], now);
        let removed = self.repair(&repairs).await;
        Ok(
            match (removed.map_err(Fault::into_read_error)?, repairs.first()) {
                (1.., _) => IndexMend::EntryRemoved,
                // A sign-in has written it again meanwhile.
                (0, Some(Repair::Remove(_))) => IndexMend::Nothing,
                (0, _) => IndexMend::EntryWaits,
            },
        )
    }
}

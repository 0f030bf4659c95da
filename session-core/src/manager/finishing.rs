//! Before a response says what became of a session: what was ended is deleted, and what is sent is
//! looked at once more.

use std::time::Duration;

use crate::error::{SessionError, StoreError};
use crate::manager::SessionManager;
use crate::state::{Basis, Cell, SaveKind, SaveTurn};
use crate::store::RecordKey;
use crate::time::{Elapsed, within};

impl SessionManager {
    /// The turn of a save or a commit, which fails without it.
    pub(crate) async fn turn_to_write<'c>(
        &self,
        cell: &'c Cell,
    ) -> Result<SaveTurn<'c>, SessionError> {
        let limit = self.settings().timeouts.commit;
        let turn = self.turn(cell, limit).await;
        turn.inspect_err(|_| {
            let who = cell.state().who();
            self.events().contended(who.as_ref(), 0, limit, self.now());
        })
    }

    /// Saves of one handle take turns. One that nobody polls any more must not hold up the
    /// others for ever.
    pub(crate) async fn turn<'c>(
        &self,
        cell: &'c Cell,
        limit: Duration,
    ) -> Result<SaveTurn<'c>, SessionError> {
        if let Some(turn) = cell.try_turn() {
            return Ok(turn);
        }
        let turn = Box::pin(cell.next_turn());
        let turn = within(self.calls().clock(), limit, turn).await;
        turn.map_err(|Elapsed| SessionError::Contended)
    }

    /// Deletes the sessions that this request has ended, as far as a save of this kind may; whether
    /// that was anything. A session stays on the list until it is deleted, so that a save that
    /// fails or is cancelled leaves it to the commit, and that one to the abort.
    pub(crate) async fn delete_pending(
        &self,
        cell: &Cell,
        kind: SaveKind,
    ) -> Result<bool, SessionError> {
        if cell.state().next_deletion(kind).is_none() {
            return Ok(false);
        }
        Box::pin(async move {
            loop {
                let Some(deletion) = cell.state().next_deletion(kind).cloned() else {
                    return Ok(true);
                };
                let (key, who) = (&deletion.key, &deletion.who);
                self.calls().delete(key, who, deletion.reason()).await?;
                self.events().destroyed(who, self.now());
                cell.state().deleted(&deletion);
            }
        })
        .await
    }

    /// Makes sure that a token is sent only of a session that is there: one that a handler saved
    /// may have been ended by somebody else since.
    pub(crate) async fn confirm(&self, cell: &Cell) -> Result<(), SessionError> {
        let to_confirm = cell.state().to_confirm();
        match to_confirm {
            Some((key, basis)) => Box::pin(self.confirm_that(cell, key, basis)).await,
            None => Ok(()),
        }
    }

    async fn confirm_that(
        &self,
        cell: &Cell,
        key: RecordKey,
        basis: Basis,
    ) -> Result<(), SessionError> {
        let now = self.now();
        let found = match self.calls().load(&key, now).await {
            Err(error @ StoreError::Corrupt(_)) => {
                // To ask again gets the same answer, and the client gets no token in any case.
                cell.state().withdraw_token();
                return Err(error.into());
            }
            found => found?,
        };
        let is_there =
            found.is_some_and(|record| record.is_live(now) && record.epoch == basis.epoch);
        let gone = {
            let mut state = cell.state();
            let ended = !is_there && state.is_current(basis.mark);
            ended.then(|| state.gone()).flatten()
        };
        self.note_gone(gone, now);
        Ok(())
    }
}

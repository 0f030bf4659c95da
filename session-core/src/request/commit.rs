//! The end of a request: what it changed is written or dropped, and what the client is told.

use crate::error::SessionError;
use crate::manager::SessionManager;
use crate::state::{Cell, Phase, SaveKind, State};
use crate::time::Timestamp;
use crate::token::Directive;

impl SessionManager {
    /// Writes what the request changed, unless it is over.
    pub(super) async fn commit(
        &self,
        cell: &Cell,
        kind: SaveKind,
    ) -> Result<Directive, SessionError> {
        // Held to the end, so that no clone saves between what is written and what is sent.
        let _turn = match cell.try_turn() {
            Some(turn) => turn,
            // A request that is over waits for nobody.
            None if is_over(cell) => return Ok(Directive::Nothing),
            None => self.turn_to_write(cell).await?,
        };
        if is_over(cell) {
            return Ok(Directive::Nothing);
        }
        match self.save_in_turn(cell, kind).await {
            Ok(()) => self.confirm(cell).await?,
            Err(SessionError::Gone) => {}
            Err(error) => return Err(error),
        }
        loop {
            // A clone may have destroyed the session while it was written.
            self.delete_pending(cell, kind).await?;
            let now = self.now();
            let mut state = cell.state();
            if state.next_deletion(kind).is_none() {
                return Ok(self.close_with(&mut state, Phase::Closed, now));
            }
        }
    }

    /// Drops what a failed request changed, but for what it saved and for the sessions that it
    /// destroyed, which are deleted. Says what the client must be told of those.
    pub(super) async fn abort(&self, cell: &Cell) -> Directive {
        if is_over(cell) {
            return Directive::Nothing;
        }
        // Without the turn too, if a save that nobody polls has it.
        let _turn = self.turn(cell, self.settings().timeouts.call).await;
        if is_over(cell) {
            return Directive::Nothing;
        }
        cell.state().begin_save();
        let confirmed = self.confirm(cell).await.is_ok();
        loop {
            // A failure leaves an event; the response is an error already.
            let failed = self.delete_pending(cell, SaveKind::Save).await.is_err();
            let now = self.now();
            let mut state = cell.state();
            if !failed && state.next_deletion(SaveKind::Save).is_some() {
                continue;
            }
            if !confirmed {
                state.withdraw_token();
            }
            state.discard();
            return self.close_with(&mut state, Phase::Abandoned, now);
        }
    }

    /// The request ends in this phase; what the client is told.
    fn close_with(&self, state: &mut State, phase: Phase, now: Timestamp) -> Directive {
        state.phase = phase;
        state.deletions.clear();
        state.announcement(now, &self.settings().rotation, |stored, max_age| {
            self.token(stored, max_age)
        })
    }
}

/// Whether the request has ended before.
fn is_over(cell: &Cell) -> bool {
    cell.state().phase != Phase::Open
}

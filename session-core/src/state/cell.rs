//! What all clones of a session's handle share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::futures::Notified;
use tokio::sync::{Notify, Semaphore};

use crate::state::State;

/// The state of a session in one request, and whose turn it is to save it.
pub(crate) struct Cell {
    state: Mutex<State>,
    /// Saves of one handle follow one another. It has one permit.
    turn: Semaphore,
    /// Wakes those who wait for what becomes of a save, and have nothing to save.
    saved: Notify,
}

/// The turn to save. Its end is told to all who wait for it.
pub(crate) struct SaveTurn<'c> {
    cell: &'c Cell,
}

impl Cell {
    pub(crate) fn new(state: State) -> Self {
        Self {
            state: Mutex::new(state),
            turn: Semaphore::new(1),
            saved: Notify::new(),
        }
    }

    /// The application's code never runs under this lock, so poison means nothing.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, where nobody else can have it.
    pub(crate) fn state_mut(&mut self) -> &mut State {
        self.state.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// The turn, if nobody has it.
    pub(crate) fn try_turn(&self) -> Option<SaveTurn<'_>> {
        let permit = self.turn.try_acquire().ok()?;
        permit.forget();
        Some(SaveTurn { cell: self })
    }

    /// The turn, after those who asked before. It is held up by whoever got it and is not polled.
    pub(crate) async fn next_turn(&self) -> SaveTurn<'_> {
        // It is never closed.
        if let Ok(permit) = self.turn.acquire().await {
            permit.forget();
        }
        SaveTurn { cell: self }
    }

    /// Whether somebody has the turn.
    pub(crate) fn is_saving(&self) -> bool {
        self.turn.available_permits() == 0
    }

    /// Ready once a save has ended that had the turn. Unlike [`next_turn`](Self::next_turn) it
    /// holds up nobody, polled or not.
    pub(crate) fn saved(&self) -> Notified<'_> {
        self.saved.notified()
    }
}

impl Drop for SaveTurn<'_> {
    fn drop(&mut self) {
        self.cell.turn.add_permits(1);
        self.cell.saved.notify_waiters();
    }
}

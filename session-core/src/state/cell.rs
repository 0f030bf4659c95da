//! What all clones of a session's handle share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::state::State;

/// The state of a session in one request, and whose turn it is to save it.
pub(crate) struct Cell {
    state: Mutex<State>,
    /// Saves of one handle follow one another.
    pub(crate) turn: tokio::sync::Mutex<()>,
    /// Wakes those who wait for the session to be stored.
    pub(crate) created: tokio::sync::Notify,
}

impl Cell {
    pub(crate) fn new(state: State) -> Self {
        Self {
            state: Mutex::new(state),
            turn: tokio::sync::Mutex::new(()),
            created: tokio::sync::Notify::new(),
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
}

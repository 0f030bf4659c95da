//! How often one commit tries, and what is known of a write whose answer never came.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Elapsed, within};
use crate::id::random_bytes;
use crate::manager::SessionManager;
use crate::queue::Turn;
use crate::session::Inner;
use crate::{Error, Record, SessionId, StoreError, Timestamp};

/// Attempts of one commit at a contended session.
const MOST_ATTEMPTS: u32 = 256;
/// The longest pause between two attempts, and the shortest cap of it.
const PAUSE_CAP: Duration = Duration::from_millis(32);
const PAUSE_FIRST: Duration = Duration::from_millis(1);

/// While a write is under way nobody knows its outcome; if the future is dropped then, that stays so.
pub(crate) struct InDoubt<'a> {
    inner: Option<&'a Inner>,
}

impl<'a> InDoubt<'a> {
    pub(crate) fn new(inner: &'a Inner) -> Self {
        Self { inner: Some(inner) }
    }

    /// The outcome, where there is one.
    pub(crate) fn resolve<T>(mut self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        if let (Some(inner), Err(error @ StoreError::OutcomeUnknown(_))) = (self.inner, &outcome) {
            inner.state().unknown = Some(error.clone());
        }
        self.inner = None;
        outcome
    }
}

impl Drop for InDoubt<'_> {
    fn drop(&mut self) {
        if let Some(inner) = self.inner {
            inner.state().unknown = Some(StoreError::outcome_unknown("the save was cancelled"));
        }
    }
}

/// The attempts of one commit: the first one at once, after a conflict in the queue of the session.
pub(crate) struct Attempts<'m> {
    manager: &'m SessionManager,
    until: Timestamp,
    pub(crate) count: u32,
    pub(crate) draws: u32,
    turn: Option<Turn>,
}

impl<'m> Attempts<'m> {
    pub(crate) fn new(manager: &'m SessionManager, now: Timestamp) -> Self {
        Self {
            manager,
            until: now.plus(manager.shared.deadlines.commit),
            count: 0,
            draws: 0,
            turn: None,
        }
    }

    /// Waits until another attempt makes sense; what the one before in the queue saved.
    pub(crate) async fn wait(&mut self, id: SessionId) -> Result<Option<Arc<Record>>, Error> {
        self.count += 1;
        let clock = &*self.manager.shared.clock;
        let left = self.until.since(clock.now());
        if left.is_zero() || self.count >= MOST_ATTEMPTS {
            return Err(Error::Contended);
        }
        if self.turn.is_none() {
            let join = Box::pin(self.manager.shared.queues.join(id));
            let turn = within(clock, left, join)
                .await
                .map_err(|Elapsed| Error::Contended)?;
            return Ok(self.turn.insert(turn).handed_over());
        }
        // Whoever still interferes is in another process, or came without a conflict.
        let cap = (PAUSE_FIRST * 2u32.saturating_pow(self.count)).min(PAUSE_CAP);
        let share = u32::from_le_bytes(random_bytes()?);
        clock.pause((cap.min(left) / 1024) * (share % 1024)).await;
        Ok(None)
    }

    /// Leaves the saved record to the next one, if nothing else was merged into it.
    pub(crate) fn hand_over(&mut self, record: &Arc<Record>, version: u64) {
        if let Some(turn) = &mut self.turn {
            if record.version() == version {
                turn.hand_over(Arc::clone(record));
            }
        }
    }
}

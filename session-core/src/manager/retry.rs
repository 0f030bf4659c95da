//! How often one commit tries, and what is known of a write whose answer never came.

use std::sync::Arc;
use std::time::Duration;

use crate::crypto::random_bytes;
use crate::error::{SessionError, StoreError};
use crate::event::Who;
use crate::manager::{SessionManager, Turn};
use crate::record::{Record, SessionId};
use crate::state::Cell;
use crate::time::{Timestamp, within};

/// Attempts of one commit in which no time passes: a clock that stands still ends no commit.
const MOST_AT_ONCE: u32 = 256;
/// The longest pause between two attempts, and the shortest one.
const PAUSE_CAP: Duration = Duration::from_millis(32);
const PAUSE_FIRST: Duration = Duration::from_millis(1);
/// How long a queue rests: longer than the pause of whoever waits in another process, so that it
/// gets its turn.
const REST: Duration = Duration::from_millis(40);

/// While a write is under way nobody knows its outcome; if the future is dropped then, that stays
/// so.
pub(crate) struct UnknownOnDrop<'a> {
    cell: Option<&'a Cell>,
}

impl<'a> UnknownOnDrop<'a> {
    pub(crate) fn new(cell: &'a Cell) -> Self {
        Self { cell: Some(cell) }
    }

    /// For a write that may be sent again.
    pub(crate) const fn unneeded() -> Self {
        Self { cell: None }
    }

    /// The outcome, where there is one.
    pub(crate) fn resolve<T>(mut self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        if let (Some(cell), Err(error @ StoreError::OutcomeUnknown(_))) = (self.cell, &outcome) {
            cell.state().unknown = Some(error.clone());
        }
        self.cell = None;
        outcome
    }
}

impl Drop for UnknownOnDrop<'_> {
    fn drop(&mut self) {
        if let Some(cell) = self.cell {
            cell.state().unknown = Some(StoreError::outcome_unknown("the save was cancelled"));
        }
    }
}

/// The attempts of one commit: the first one at once where nobody queues for the session, the
/// others in its queue.
pub(crate) struct Retry {
    since: Timestamp,
    /// How many attempts were in vain.
    pub(crate) count: u32,
    pub(crate) draws: u32,
    /// How many writes were sent to the store.
    pub(crate) attempts: u32,
    /// Few commits need one.
    turn: Option<Box<OwnTurn>>,
}

/// The session's turn, once this commit has it.
struct OwnTurn {
    turn: Turn,
    /// The last time that the clock showed, and how many attempts there were since it moved.
    seen: Timestamp,
    at_once: u32,
}

impl Retry {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            since: now,
            count: 0,
            draws: 0,
            attempts: 0,
            turn: None,
        }
    }

    /// Whether an attempt would overtake others of this process that queue for the session.
    pub(crate) fn would_overtake(&self, manager: &SessionManager, id: SessionId) -> bool {
        self.turn.is_none() && manager.shared.queues.has(id)
    }

    /// Waits for its turn in the queue of the session; what the one before saved, if that is the
    /// newest that is known.
    pub(crate) async fn line_up(
        &mut self,
        manager: &SessionManager,
        record: &Record,
    ) -> Result<Option<Arc<Record>>, SessionError> {
        let left = self.left(manager, record)?;
        let clock = manager.calls().clock();
        let join = Box::pin(manager.shared.queues.join(record.id()));
        let Ok(mut turn) = within(clock, left, join).await else {
            return Err(self.give_up(manager, record));
        };
        if turn.rests() {
            clock.pause(REST.min(self.left(manager, record)?)).await;
        }
        let handed_over = turn.handed_over();
        let (seen, at_once) = (manager.now(), 0);
        self.turn = Some(Box::new(OwnTurn {
            turn,
            seen,
            at_once,
        }));
        Ok(handed_over)
    }

    /// After a conflict: waits until another attempt makes sense. What that one should start from,
    /// where it is known: what the store has handed back, or the one before in the queue saved.
    pub(crate) async fn wait(
        &mut self,
        manager: &SessionManager,
        record: &Record,
        fresh: Option<Arc<Record>>,
    ) -> Result<Option<Arc<Record>>, SessionError> {
        self.count += 1;
        let Some(turn) = &mut self.turn else {
            let handed_over = self.line_up(manager, record).await?;
            let known = [fresh, handed_over].into_iter().flatten();
            return Ok(known.max_by_key(|record| record.version()));
        };
        // Those of this process queue, so it was another one.
        turn.turn.met_another();
        let left = self.left(manager, record)?;
        let longest = (PAUSE_FIRST * 2u32.saturating_pow(self.count)).min(PAUSE_CAP);
        let share = u32::from_le_bytes(random_bytes()?);
        let pause = (longest / 1024) * (share % 1024);
        let pause = pause.max(PAUSE_FIRST).min(left);
        manager.calls().clock().pause(pause).await;
        // What was fresh is old by now.
        Ok(None)
    }

    /// Leaves the saved record to the next one, if nothing else was merged into it.
    pub(crate) fn hand_over(&mut self, record: &Arc<Record>, version: u64) {
        if let Some(turn) = &mut self.turn
            && record.version() == version
        {
            turn.turn.hand_over(Arc::clone(record));
        }
    }

    /// How much of the commit's time is left.
    fn left(
        &mut self,
        manager: &SessionManager,
        record: &Record,
    ) -> Result<Duration, SessionError> {
        let now = manager.now();
        // A clock that was set back begins again.
        self.since = self.since.min(now);
        let at_once = self.turn.as_mut().map_or(0, |turn| turn.at_once(now));
        let left = manager
            .settings()
            .timeouts
            .commit
            .saturating_sub(now.duration_since(self.since));
        match left.is_zero() || at_once >= MOST_AT_ONCE {
            true => Err(self.give_up(manager, record)),
            false => Ok(left),
        }
    }

    fn give_up(&self, manager: &SessionManager, record: &Record) -> SessionError {
        let now = manager.now();
        let waited = now.duration_since(self.since);
        let who = Who::of(record);
        let events = manager.events();
        events.contended(Some(&who), self.count, waited, now);
        SessionError::Contended
    }
}

impl OwnTurn {
    /// How many attempts there were at this instant.
    fn at_once(&mut self, now: Timestamp) -> u32 {
        self.at_once = if now == self.seen {
            self.at_once + 1
        } else {
            0
        };
        self.seen = now;
        self.at_once
    }
}

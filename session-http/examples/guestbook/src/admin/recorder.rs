//! The observer that feeds the page.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use session_core::{Clock, Event, EventKind, Observer, Opening, ShortId, StoreCall, Timestamp};

use super::sign_ins::{SignIn, SignIns};
use super::tally::{KINDS, OPENED, Operation, Plotted, Series, Tally};

/// Remembers what happened lately, in memory of fixed size. Clones share it.
///
/// A request holds the lock while it adds to a few counts, and the page while it sums them up.
/// Nobody waits for anything else under it.
#[derive(Clone)]
pub(crate) struct Recorder(Arc<Inner>);

struct Inner {
    /// The manager's clock: only events bring their time with them.
    clock: Box<dyn Clock>,
    since: Timestamp,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tally: Tally,
    sign_ins: SignIns,
}

/// What the page shows, as of one moment.
pub(super) struct Snapshot {
    pub(super) now: Timestamp,
    /// When this process began to watch.
    pub(super) since: Timestamp,
    pub(super) events: [Series; KINDS.len()],
    pub(super) opened: [Series; OPENED.len()],
    pub(super) calls: Series,
    pub(super) failed: Series,
    pub(super) conflicts: Series,
    pub(super) cancelled: Series,
    pub(super) operations: Vec<Operation>,
    pub(super) sign_ins: Vec<SignIn>,
}

impl Recorder {
    pub(crate) fn new(clock: impl Clock) -> Self {
        Self(Arc::new(Inner {
            since: clock.now(),
            clock: Box::new(clock),
            state: Mutex::default(),
        }))
    }

    pub(super) fn snapshot(&self, now: Timestamp) -> Snapshot {
        let State { tally, sign_ins } = &mut *self.state();
        tally.look_at(now);
        Snapshot {
            now,
            since: self.0.since,
            events: tally.events(now),
            opened: tally.openings(now),
            calls: tally.calls(Plotted::Calls, now),
            failed: tally.calls(Plotted::Failed, now),
            conflicts: tally.calls(Plotted::Conflicts, now),
            cancelled: tally.calls(Plotted::Cancelled, now),
            operations: tally.operations(now),
            sign_ins: sign_ins.list(),
        }
    }

    pub(super) fn sign_ins(&self) -> Vec<SignIn> {
        self.state().sign_ins.list()
    }

    pub(super) fn find(&self, session: &str) -> Option<SignIn> {
        self.state().sign_ins.find(session)
    }

    pub(super) fn end(&self, session: ShortId) {
        self.state().sign_ins.end(session);
    }

    pub(super) fn learn(&self, asked: &[ShortId], listed: &[(ShortId, Option<String>)]) {
        self.state().sign_ins.learn(asked, listed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Counts are whole after each step, so a thread that panicked has damaged nothing.
        let state = self.0.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl Observer for Recorder {
    fn observe(&self, event: &Event<'_>) {
        // For `Contended` the count is that of attempts.
        let count = match event.kind {
            EventKind::Revoked => event.count,
            _ => 1,
        };
        let session = match event.kind {
            EventKind::Created
            | EventKind::Renewed
            | EventKind::Destroyed
            | EventKind::Revoked
            | EventKind::Expired => event.session(), // a hash, so outside of the lock
            _ => None,
        };
        let mut state = self.state();
        state.tally.event(event.kind, count, event.at);
        match (event.kind, session, event.principal) {
            // The guestbook renews a token only when somebody signs in.
            (EventKind::Created | EventKind::Renewed, Some(session), Some(principal)) => {
                state.sign_ins.add(session, principal, event.at);
            }
            (EventKind::Destroyed | EventKind::Revoked | EventKind::Expired, Some(session), _) => {
                state.sign_ins.end(session);
            }
            (EventKind::Revoked, None, Some(principal)) => state.sign_ins.doubt(principal),
            _ => {}
        }
    }

    fn opened(&self, opening: &Opening) {
        let now = self.0.clock.now();
        self.state().tally.opened(opening.result, now);
    }

    fn store_call(&self, call: &StoreCall) {
        let now = self.0.clock.now();
        let mut state = self.state();
        state
            .tally
            .call(call.operation, call.outcome, call.elapsed, now);
    }
}

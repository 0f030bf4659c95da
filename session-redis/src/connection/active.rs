//! One connection in use: for how long nothing was heard on it, and whether its runtime lives.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::connection::{Connection, NewConnection, Topology};

/// A connection that calls share.
pub(super) struct ActiveConnection {
    pub(super) connection: Connection,
    /// Where it leads to, if that may change.
    pub(super) address: Option<String>,
    /// No other connection of the store has the same number.
    pub(super) number: u64,
    pub(super) born: Instant,
    /// Milliseconds after `born` at which something was last heard.
    heard: AtomicU64,
    unanswered: Mutex<Unanswered>,
    /// Ends with the runtime that serves the connection.
    runtime: JoinHandle<()>,
}

/// What the calls that gave up have seen of a connection.
#[derive(Default)]
struct Unanswered {
    /// For how long they waited, all together.
    waited: Duration,
    /// When the last of them gave up.
    last: Option<Instant>,
}

impl ActiveConnection {
    /// A connection that was just made, in the runtime that serves it. `serves` runs for as long as
    /// the connection is there. `on_end` is called when that runtime ends, or when the connection
    /// is dropped.
    pub(super) fn new(
        new: NewConnection,
        number: u64,
        serves: impl Future<Output = ()> + Send + 'static,
        on_end: impl FnOnce() + Send + 'static,
    ) -> Self {
        let guard = OnDrop(Some(on_end));
        Self {
            connection: new.connection,
            address: new.address,
            number,
            born: Instant::now(),
            heard: AtomicU64::new(0),
            unanswered: Mutex::default(),
            runtime: tokio::spawn(async move {
                let _guard = guard;
                serves.await;
                std::future::pending::<()>().await;
            }),
        }
    }

    /// There was an answer.
    pub(super) fn hear(&self) {
        let age = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard.store(age, Ordering::Relaxed);
    }

    /// When the silence began, for a call that has waited since `since`.
    pub(super) fn silent_since(&self, since: Instant) -> Instant {
        match self.connection.topology() {
            // Other nodes may answer while one hangs, so the time last heard says nothing.
            Topology::ManyNodes => since,
            Topology::SingleServer => since.max(self.last_heard()),
        }
    }

    fn last_heard(&self) -> Instant {
        self.born + Duration::from_millis(self.heard.load(Ordering::Relaxed))
    }

    /// A call that has waited since `since` gives up. Returns for how long there was no answer by
    /// now, to this call and to those that gave up before it. They are added up, because each of
    /// them may be less patient than `silence`.
    pub(super) fn give_up(&self, since: Instant, silence: Duration) -> Duration {
        let now = Instant::now();
        let mut unanswered = self
            .unanswered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match self.connection.topology() {
            Topology::ManyNodes => {
                // Many calls that are cancelled soon are no sign of a node that hangs.
                if now - since < silence / 8 {
                    return Duration::ZERO;
                }
                if unanswered.last.is_some_and(|last| now - last > silence) {
                    unanswered.waited = Duration::ZERO;
                }
            }
            Topology::SingleServer => {
                let heard = self.last_heard();
                if unanswered.last.is_some_and(|last| last < heard) {
                    unanswered.waited = Duration::ZERO;
                }
            }
        }
        let silent_since = self.silent_since(since);
        // Time during which two of them waited counts once.
        let from = unanswered
            .last
            .map_or(silent_since, |last| silent_since.max(last));
        unanswered.waited += now.saturating_duration_since(from);
        // This one may have begun to wait before all of them.
        let alone = now.saturating_duration_since(silent_since);
        unanswered.waited = unanswered.waited.max(alone);
        unanswered.last = Some(now);
        unanswered.waited
    }
}

impl Drop for ActiveConnection {
    fn drop(&mut self) {
        self.runtime.abort();
    }
}

struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(act) = self.0.take() {
            act();
        }
    }
}

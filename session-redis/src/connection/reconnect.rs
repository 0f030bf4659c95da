//! Making a connection, and making another one when it is dead.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::active::ActiveConnection;
use super::common::Common;
use super::connection::Topology;
#[cfg(feature = "sentinel")]
use super::connector::Connector;
use super::fault::Reason;
use super::redacted::RedactedError;
use super::state::{Installed, State};
#[cfg(feature = "sentinel")]
use super::watch::Follower;

/// A connection of many nodes that fails is replaced no more often. Nor is one to a replica.
pub(super) const REST: Duration = Duration::from_secs(1);
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(20);
pub(super) const LAST_PAUSE: Duration = Duration::from_millis(250);
/// Between attempts that will fail until somebody changes a setting.
const LONG_PAUSE: Duration = Duration::from_secs(3);
/// The same failure is logged no more often.
const SAME_FAILURE: Duration = Duration::from_secs(10);

/// What calls, the task that connects and the driver's hooks share of one of a store's connections.
///
/// The hooks are held by the connection, and the connection by this: a circle, which
/// [`close`](Self::close) opens.
pub(super) struct Reconnecting {
    pub(super) common: Arc<Common>,
    state: Mutex<State>,
    /// There is another state, or an attempt has failed.
    changed: Notify,
}

impl Reconnecting {
    pub(super) fn new(common: &Arc<Common>) -> Arc<Self> {
        Arc::new(Self {
            common: Arc::clone(common),
            state: Mutex::default(),
            changed: Notify::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to connect, unless there is a connection or a task that makes one.
    pub(super) fn begin(self: &Arc<Self>) {
        let task = {
            let mut state = self.state();
            match state.active() {
                Some(_) => None,
                None => self.claim(&mut state),
            }
        };
        start(task, Duration::ZERO);
    }

    /// The connection, once there is one.
    pub(super) async fn active(
        self: &Arc<Self>,
        until: Instant,
    ) -> Result<Arc<ActiveConnection>, Reason> {
        if let Some(active) = self.state().active() {
            return Ok(Arc::clone(active));
        }
        // Rare, so what it needs is no part of each call.
        Box::pin(self.wait(until)).await
    }

    async fn wait(self: &Arc<Self>, until: Instant) -> Result<Arc<ActiveConnection>, Reason> {
        loop {
            let changed = self.changed.notified();
            let (patience, task, failed) = {
                let mut state = self.state();
                if let Some(active) = state.active() {
                    return Ok(Arc::clone(active));
                }
                let task = self.claim(&mut state);
                let now = Instant::now();
                let since = match &*state {
                    State::Connecting { since, .. } => *since,
                    _ => now,
                };
                let patience = until.min(since + self.common.timing.connect);
                let hopeless = state.failure().is_some_and(RedactedError::is_lasting);
                let failed =
                    (hopeless || now >= patience).then(|| self.no_connection(&state, since));
                (patience, task, failed)
            };
            start(task, Duration::ZERO);
            if let Some(reason) = failed {
                return Err(reason);
            }
            // If the time is over, the next round finds out.
            let _ = timeout_at(patience, changed).await;
        }
    }

    fn no_connection(&self, state: &State, since: Instant) -> Reason {
        let none = || RedactedError::plain("no answer yet".to_owned());
        Reason::NoConnection {
            servers: self.common.connector.to_string(),
            after: since.elapsed(),
            last: state.failure().cloned().unwrap_or_else(none),
        }
    }

    /// Replaces a connection that is of no use. One to many nodes stays until there is another.
    pub(super) fn replace(self: &Arc<Self>, active: &ActiveConnection, why: &str) {
        let mut state = self.state();
        if !matches!(&*state, State::Up { active: current } if current.number == active.number) {
            return;
        }
        let young = active.born.elapsed() < REST;
        let former = match active.connection.topology() {
            Topology::ManyNodes if young => return,
            Topology::ManyNodes => None,
            Topology::SingleServer => state.lose(active.number, Instant::now()),
        };
        let task = self.claim(&mut state);
        drop(state);
        tracing::warn!(
            target: "session::redis", servers = %self.common.connector, "connecting anew: {why}"
        );
        start(task, if young { LAST_PAUSE } else { Duration::ZERO });
        // To close it is the driver's business, and must not happen under the lock.
        drop(former);
    }

    /// The driver says that a connection was closed.
    fn closed(self: &Arc<Self>, number: u64) {
        let active = {
            let mut state = self.state();
            match state.active() {
                Some(active) if active.number == number => Arc::clone(active),
                // Nobody has used it yet.
                _ => return drop(state.lose(number, Instant::now())),
            }
        };
        self.replace(&active, "it was closed");
    }

    /// The runtime that serves a connection has ended, or the connection was dropped.
    fn runtime_ended(&self, number: u64) {
        let former = self.state().lose(number, Instant::now());
        drop(former);
    }

    /// Hands a new connection to all calls.
    fn install(
        self: &Arc<Self>,
        new: Arc<ActiveConnection>,
    ) -> (Installed, Option<Arc<ActiveConnection>>) {
        let mut state = self.state();
        let (installed, unused) = state.install(new);
        // Under the lock: a store that was closed does not begin to watch.
        #[cfg(feature = "sentinel")]
        if matches!(installed, Installed::Yes { .. })
            && let Connector::Sentinel(sentinel) = &self.common.connector
        {
            let limit = self.common.timing.connect;
            self.common.watch.begin(sentinel, limit);
        }
        (installed, unused)
    }

    /// Nobody uses the store any more.
    pub(super) fn close(&self) {
        let former = std::mem::take(&mut *self.state());
        drop(former);
        // Another connection that has not been closed yet may begin to watch again. Then that one
        // ends it.
        #[cfg(feature = "sentinel")]
        self.common.watch.end();
    }

    /// The one task that connects, unless there is one. To be started without the lock.
    fn claim(self: &Arc<Self>, state: &mut State) -> Option<ConnectTask> {
        let longest = self.common.connector.limit(self.common.timing.connect) + LONG_PAUSE;
        let now = Instant::now();
        // Outside of a runtime nobody waits, and the next call begins the task.
        if !state.needs_task(longest, now) || Handle::try_current().is_err() {
            return None;
        }
        let number = self.common.next_number();
        state.begin(number, now);
        Some(ConnectTask {
            shared: Arc::clone(self),
            number,
        })
    }
}

#[cfg(feature = "sentinel")]
impl Follower for Reconnecting {
    fn primary_is_at(self: Arc<Self>, address: &str) {
        let active = {
            let mut state = self.state();
            state.expect_address(address);
            state.active().cloned()
        };
        if let Some(active) = active.filter(|active| active.address.as_deref() != Some(address)) {
            self.replace(&active, "there is another primary");
        }
    }
}

/// A runtime that is ending drops the task at once, and to drop it takes the lock.
fn start(task: Option<ConnectTask>, pause: Duration) {
    if let (Some(task), Ok(runtime)) = (task, Handle::try_current()) {
        runtime.spawn(task.run(pause));
    }
}

/// The one task that connects. If its runtime ends before it has connected, another task may begin.
struct ConnectTask {
    shared: Arc<Reconnecting>,
    /// Of the connection that it is making.
    number: u64,
}

impl Drop for ConnectTask {
    fn drop(&mut self) {
        self.shared.state().abandon(self.number);
        self.shared.changed.notify_waiters();
    }
}

impl ConnectTask {
    async fn run(mut self, mut pause: Duration) {
        let mut logged: Option<(RedactedError, Instant)> = None;
        loop {
            sleep(jitter(pause)).await;
            let Err(failure) = self.connect().await else {
                return;
            };
            pause = match failure.is_lasting() {
                true => LONG_PAUSE,
                false => (pause * 2).clamp(FIRST_PAUSE, LAST_PAUSE),
            };
            let known =
                |(last, when): &(_, Instant)| *last == failure && when.elapsed() < SAME_FAILURE;
            if !logged.as_ref().is_some_and(known) {
                let servers = &self.shared.common.connector;
                tracing::warn!(target: "session::redis", %servers, %failure, "cannot connect");
                logged = Some((failure.clone(), Instant::now()));
            }
            self.shared.state().fail(self.number, failure);
            // Calls that wait in vain learn it.
            self.shared.changed.notify_waiters();
        }
    }

    /// One attempt. It is over too if this task has been superseded.
    async fn connect(&mut self) -> Result<(), RedactedError> {
        let shared = &self.shared;
        let (former, number) = (self.number, shared.common.next_number());
        if !shared.state().attempt_again(former, number, Instant::now()) {
            return Ok(());
        }
        self.number = number;
        let hook = Arc::clone(shared);
        let on_drop = move || hook.closed(number);
        let limit = shared.common.connector.limit(shared.common.timing.connect);
        let connecting = shared
            .common
            .connector
            .connect(shared.common.timing.connect, on_drop);
        let new = match timeout(limit, connecting).await {
            Ok(Ok(new)) => new,
            Ok(Err(error)) => return Err(RedactedError::of(&error)),
            Err(_) => return Err(RedactedError::silence(limit)),
        };
        let hook = Arc::clone(shared);
        let new = Arc::new(ActiveConnection::new(new, number, move || {
            hook.runtime_ended(number);
        }));
        let address = new.address.clone();
        let (installed, unused) = shared.install(new);
        drop(unused);
        match installed {
            Installed::Superseded => Ok(()),
            Installed::Outdated(why) => Err(why),
            Installed::Yes { down_since } => {
                if let Some(since) = down_since {
                    let (servers, millis) = (&shared.common.connector, since.elapsed().as_millis());
                    tracing::info!(
                        target: "session::redis", %servers, address, millis, "connected"
                    );
                }
                Ok(())
            }
        }
    }
}

/// Between half of a pause and all of it, so that many clients do not come at once.
pub(super) fn jitter(pause: Duration) -> Duration {
    let part = getrandom::u32().map_or(1.0, |n| f64::from(n) / f64::from(u32::MAX));
    pause.mul_f64(0.5 + part / 2.0)
}

#[cfg(test)]
mod tests;

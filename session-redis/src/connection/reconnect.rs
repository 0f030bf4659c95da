//! Making a connection, and making another one when it is dead.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::active::ActiveConnection;
use super::common::{Common, Peer};
use super::connection::{Connection, Hooks, Topology};
use super::fault::Reason;
use super::jitter::jitter;
use super::meters;
use super::near::keep_asking;
use super::redacted::RedactedError;
use super::state::{Installed, State};

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
    /// Which of the connections of the store this is.
    place: usize,
    state: Mutex<State>,
    /// There is another state, or an attempt has failed.
    changed: Notify,
}

impl Reconnecting {
    pub(super) fn new(common: &Arc<Common>, place: usize) -> Arc<Self> {
        Arc::new(Self {
            common: Arc::clone(common),
            place,
            state: Mutex::default(),
            changed: Notify::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// Whether calls still take this connection.
    pub(super) fn uses(&self, active: &ActiveConnection) -> bool {
        let state = self.state();
        state
            .active()
            .is_some_and(|current| current.number == active.number)
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
            Topology::SingleServer => self.lose(&mut state, active.number),
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
                _ => return drop(self.lose(&mut state, number)),
            }
        };
        self.replace(&active, "it was closed");
    }

    /// The runtime that serves a connection has ended, or the connection was dropped.
    fn runtime_ended(&self, number: u64) {
        let former = self.lose(&mut self.state(), number);
        drop(former);
    }

    /// A connection is dead: nobody takes it from here on, and what it told counts no more.
    fn lose(&self, state: &mut State, number: u64) -> Option<Arc<ActiveConnection>> {
        let former = state.lose(number, Instant::now())?;
        if let Some(near) = self.common.near_of_calls() {
            near.lost(self.place, number);
        }
        Some(former)
    }

    /// Asks the server on a connection whether it is there, for the leases of the cache.
    fn asks(
        self: &Arc<Self>,
        connection: &Connection,
        number: u64,
    ) -> impl Future<Output = ()> + Send + 'static {
        let asks = match (self.common.near_of_calls(), connection) {
            (Some(near), Connection::Single(connection)) => {
                Some((Arc::clone(near), connection.clone()))
            }
            _ => None,
        };
        let shared = Arc::clone(self);
        async move {
            if let Some((near, connection)) = asks {
                let question = shared.common.connector.question();
                let silence = shared.common.timing.silence();
                let place = (shared.place, number);
                let report = |why: &str| shared.asked_in_vain(number, why);
                keep_asking(connection, question, near, place, silence, report).await;
            }
        }
    }

    /// What asks the server tells of a connection.
    fn asked_in_vain(self: &Arc<Self>, number: u64, why: &str) {
        let active = self.state().active().cloned();
        if let Some(active) = active.filter(|active| active.number == number) {
            self.replace(&active, why);
        }
    }

    /// Hands a new connection to all calls.
    fn install(
        self: &Arc<Self>,
        new: Arc<ActiveConnection>,
    ) -> (Installed, Option<Arc<ActiveConnection>>) {
        let number = new.number;
        let mut state = self.state();
        let (installed, unused) = state.install(new);
        // Under the lock: a store that was closed does not begin to watch.
        if matches!(installed, Installed::Yes { .. }) {
            if let Some(near) = self.common.near_of_calls() {
                near.tracks(self.place, number);
            }
            self.common.begin_task();
        }
        (installed, unused)
    }

    /// Nobody uses the store any more.
    pub(super) fn close(&self) {
        let former = std::mem::take(&mut *self.state());
        if let (Some(near), Some(active)) = (self.common.near_of_calls(), former.active()) {
            near.lost(self.place, active.number);
        }
        drop(former);
        // A connection that has not been closed yet may begin it again. Then that one ends it.
        self.common.close();
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

impl Peer for Reconnecting {
    fn begin(self: Arc<Self>) {
        let task = {
            let mut state = self.state();
            match state.active() {
                Some(_) => None,
                None => self.claim(&mut state),
            }
        };
        start(task, Duration::ZERO);
    }

    #[cfg(feature = "sentinel")]
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
            meters::cannot_connect();
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
        let hooks = Hooks {
            on_drop: Box::new(move || hook.closed(number)),
            near: shared.common.near_of_calls().cloned(),
        };
        let limit = shared.common.connector.limit(shared.common.timing.connect);
        let connecting = shared
            .common
            .connector
            .connect(shared.common.timing.connect, hooks);
        let new = match timeout(limit, connecting).await {
            Ok(Ok(new)) => new,
            Ok(Err(error)) => return Err(RedactedError::of(&error)),
            Err(_) => return Err(RedactedError::silence(limit)),
        };
        let (hook, asks) = (Arc::clone(shared), shared.asks(&new.connection, number));
        let (in_use, go) = oneshot::channel();
        let serves = async move {
            if go.await.is_ok() {
                asks.await;
            }
        };
        let on_end = move || hook.runtime_ended(number);
        let new = Arc::new(ActiveConnection::new(new, number, serves, on_end));
        let address = new.address.clone();
        let (installed, unused) = shared.install(new);
        drop(unused);
        match installed {
            Installed::Superseded => Ok(()),
            Installed::Outdated(why) => Err(why),
            Installed::Yes { down_since } => {
                meters::connected();
                // If the runtime has ended, nobody asks.
                let _ = in_use.send(());
                shared.common.begin_others();
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

#[cfg(test)]
mod tests;

//! The connection that all calls share, and how it is made anew.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind, Value};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::connector::{Connection, Connector, Made};
use crate::fault::{Fault, Reason};

/// Whether a command may be sent again if its answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Twice {
    /// Twice is the same as once: reads, deletions.
    Harmless,
    /// It would be applied twice.
    Never,
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// An operation of the store, with all that it waits for.
    pub(crate) deadline: Duration,
    /// An attempt to connect; and how long calls wait for a connection once there is none.
    pub(crate) connect: Duration,
}

impl Timing {
    /// How long a connection may leave a command unanswered, and all others too, before another one is made.
    fn silence(&self) -> Duration {
        self.deadline * 2 / 3
    }
}

/// A connection of many nodes that fails is not made anew more often.
const REST: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LAST_PAUSE: Duration = Duration::from_millis(250);

/// One connection for all, behind a swap. What is dead or hangs is taken away and made anew by
/// one task; calls wait for it, within their deadline and [`Timing::connect`].
pub(crate) struct Link {
    connector: Connector,
    timing: Timing,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    current: Option<Arc<Live>>,
    generations: u64,
    building: bool,
    /// Since when there is no connection.
    since: Option<Instant>,
    /// Why the last attempt failed.
    failure: Option<String>,
    /// Tells of a new primary.
    watch: Option<JoinHandle<()>>,
}

struct Live {
    connection: Connection,
    /// Where it leads to, if that may change.
    address: Option<String>,
    generation: u64,
    born: Instant,
    /// Milliseconds after `born` at which something was last heard.
    heard: AtomicU64,
}

impl Live {
    fn age(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn hears(&self) {
        self.heard.store(self.age(), Ordering::Relaxed);
    }

    fn silent_for(&self) -> Duration {
        Duration::from_millis(self.age().saturating_sub(self.heard.load(Ordering::Relaxed)))
    }
}

/// A command that waits for its answer. Whoever gives up, by a deadline or because the caller has gone,
/// looks whether the connection hangs.
struct Waiting<'a> {
    link: &'a Arc<Link>,
    live: &'a Live,
    since: Instant,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let silence = self.link.timing.silence();
        let waited = self.since.elapsed();
        // Other nodes may answer while one hangs.
        let quiet = self.live.connection.many_nodes() || self.live.silent_for() >= waited;
        if waited >= silence && quiet {
            self.link.replace(self.live, "it does not answer");
        }
    }
}

impl Link {
    pub(crate) fn new(connector: Connector, timing: Timing) -> Arc<Self> {
        Arc::new(Self {
            connector,
            timing,
            state: Mutex::default(),
            changed: Notify::new(),
        })
    }

    pub(crate) fn timing(&self) -> Timing {
        self.timing
    }

    /// When an operation that begins now has to be over.
    pub(crate) fn until(&self) -> Instant {
        Instant::now() + self.timing.deadline
    }

    /// Sends a command, again where that is safe and may help, and waits for the answer.
    pub(crate) async fn call(
        self: &Arc<Self>,
        command: &Cmd,
        twice: Twice,
        until: Instant,
    ) -> Result<Value, Fault> {
        let mut pause = FIRST_PAUSE;
        let mut lost = None;
        loop {
            let fault = match self.attempt(command, twice, until).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            let again = match &fault {
                Fault::Lost(_) => twice == Twice::Harmless,
                Fault::Refused { again, .. } => *again,
                #[cfg(feature = "cluster")]
                Fault::Ask { .. } => true,
                Fault::Unsent(_) | Fault::NoScript | Fault::WrongType => false,
            };
            if matches!(fault, Fault::Lost(_)) {
                lost = Some(fault.clone());
            }
            let wake = Instant::now() + jitter(pause);
            if !again || wake >= until {
                // It may have been applied, whatever became of the last attempt.
                return Err(lost.unwrap_or(fault));
            }
            tokio::time::sleep_until(wake).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    async fn attempt(self: &Arc<Self>, command: &Cmd, twice: Twice, until: Instant) -> Result<Value, Fault> {
        let live = self
            .live(until)
            .await
            .map_err(|reason| Fault::Unsent(Arc::new(reason)))?;
        let began = Instant::now();
        // What may be sent twice leaves time for that, on another connection.
        let until = match twice {
            Twice::Harmless => until.min(began + self.timing.silence() + FIRST_PAUSE),
            Twice::Never => until,
        };
        let waiting = Waiting {
            link: self,
            live: &live,
            since: began,
        };
        let answer = timeout_at(until, live.connection.send(command)).await;
        let fault = match answer {
            Err(_) => return Err(Fault::Lost(Arc::new(Reason::Silent(began.elapsed())))),
            Ok(answer) => match answer.and_then(Value::extract_error) {
                Ok(answer) => {
                    live.hears();
                    drop(waiting);
                    return Ok(answer);
                }
                Err(error) => {
                    self.notice(&live, &error);
                    Fault::of(error, live.connection.many_nodes())
                }
            },
        };
        #[cfg(feature = "cluster")]
        if let Fault::Ask { node, .. } = &fault {
            let answer = timeout_at(until, live.connection.send_asking(command, node)).await;
            return match answer {
                Err(_) => Err(Fault::Lost(Arc::new(Reason::Silent(began.elapsed())))),
                Ok(answer) => answer
                    .and_then(Value::extract_error)
                    .map_err(|error| Fault::of(error, true)),
            };
        }
        Err(fault)
    }

    /// What an error says about the connection.
    fn notice(self: &Arc<Self>, live: &Live, error: &RedisError) {
        match error.kind() {
            ErrorKind::Io
            | ErrorKind::Parse
            | ErrorKind::AuthenticationFailed
            | ErrorKind::ClusterConnectionNotFound => {
                self.replace(live, "it failed");
            }
            // The primary that it led to is one no more.
            ErrorKind::Server(ServerErrorKind::ReadOnly) if live.born.elapsed() >= REST => {
                live.hears();
                self.replace(live, "it leads to a replica");
            }
            _ => live.hears(),
        }
    }

    /// The connection, once there is one.
    async fn live(self: &Arc<Self>, until: Instant) -> Result<Arc<Live>, Reason> {
        loop {
            let changed = self.changed.notified();
            let patience = {
                let mut state = self.state();
                if let Some(live) = &state.current {
                    return Ok(Arc::clone(live));
                }
                self.build(&mut state, Duration::ZERO);
                let since = *state.since.get_or_insert_with(Instant::now);
                let patience = until.min(since + self.timing.connect);
                if Instant::now() >= patience {
                    return Err(self.no_connection(&state, since));
                }
                patience
            };
            // Over time it goes round once more, and finds out.
            let _ = timeout_at(patience, changed).await;
        }
    }

    fn no_connection(&self, state: &State, since: Instant) -> Reason {
        Reason::NoConnection {
            servers: self.connector.to_string(),
            after: since.elapsed(),
            last: state
                .failure
                .clone()
                .unwrap_or_else(|| "no answer yet".to_owned()),
        }
    }

    /// Makes the first connection.
    pub(crate) async fn connect(self: &Arc<Self>) -> Result<(), Reason> {
        let until = Instant::now() + self.timing.connect + LAST_PAUSE;
        self.live(until).await.map(drop)
    }

    /// Puts another connection into the place of one that is no good. One to many nodes stays until
    /// there is another: most of its nodes may be well.
    fn replace(self: &Arc<Self>, live: &Live, why: &str) {
        let mut state = self.state();
        if state
            .current
            .as_ref()
            .is_none_or(|current| current.generation != live.generation)
            || state.building
        {
            return;
        }
        let young = live.born.elapsed() < REST;
        let mut former = None;
        if live.connection.many_nodes() {
            if young {
                return;
            }
        } else {
            former = state.current.take();
            state.since = Some(Instant::now());
        }
        tracing::warn!(target: "session::redis", servers = %self.connector, "connecting anew: {why}");
        self.build(&mut state, if young { LAST_PAUSE } else { Duration::ZERO });
        drop(state);
        // Closing it is the driver's business, and not to be done under a lock.
        drop(former);
    }

    /// The driver says that a connection is dead.
    fn dropped(self: &Arc<Self>, generation: u64) {
        let current = self.state().current.clone();
        if let Some(live) = current.filter(|live| live.generation == generation) {
            self.replace(&live, "it was closed");
        }
    }

    /// The primary is at `address` now.
    #[cfg(feature = "sentinel")]
    pub(crate) fn moved(self: &Arc<Self>, address: &str) {
        let current = self.state().current.clone();
        if let Some(live) = current.filter(|live| live.address.as_deref() != Some(address)) {
            self.replace(&live, "there is another primary");
        }
    }

    /// Starts the one task that connects, unless it runs.
    fn build(self: &Arc<Self>, state: &mut State, pause: Duration) {
        // Outside of a runtime nobody waits; the next call begins it.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if !state.building {
            state.building = true;
            runtime.spawn(build(Building(Arc::downgrade(self)), pause));
        }
    }

    async fn make(self: &Arc<Self>) -> Result<Arc<Live>, String> {
        let generation = {
            let mut state = self.state();
            state.generations += 1;
            state.generations
        };
        let link = Arc::downgrade(self);
        let on_drop = move || {
            if let Some(link) = link.upgrade() {
                link.dropped(generation);
            }
        };
        let limit = self.connector.limit(self.timing.connect);
        let connecting = self.connector.connect(self.timing.connect, on_drop);
        let made = timeout(limit, connecting).await;
        let Made { connection, address } = match made {
            Ok(Ok(made)) => made,
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err(format!("no answer within {limit:?}")),
        };
        Ok(Arc::new(Live {
            connection,
            address,
            generation,
            born: Instant::now(),
            heard: AtomicU64::new(0),
        }))
    }

    fn install(self: &Arc<Self>, live: Arc<Live>) {
        let mut state = self.state();
        if let Some(since) = state.since.take() {
            let (servers, address, after) = (&self.connector, live.address.as_deref(), since.elapsed());
            tracing::info!(target: "session::redis", %servers, address, ?after, "connected");
        }
        state.current = Some(live);
        state.failure = None;
        if state.watch.as_ref().is_none_or(JoinHandle::is_finished) {
            state.watch = self.connector.watch(Arc::downgrade(self));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one task that connects. With its runtime it may end early; then another one may begin.
struct Building(Weak<Link>);

impl Drop for Building {
    fn drop(&mut self) {
        if let Some(link) = self.0.upgrade() {
            let mut state = link.state();
            state.building = false;
            if state.current.is_none() {
                state.since = None;
            }
            drop(state);
            link.changed.notify_waiters();
        }
    }
}

async fn build(task: Building, mut pause: Duration) {
    loop {
        sleep(jitter(pause)).await;
        let Some(link) = task.0.upgrade() else { return };
        match link.make().await {
            Ok(live) => return link.install(live),
            Err(failure) => {
                tracing::debug!(target: "session::redis", servers = %link.connector, failure, "cannot connect");
                link.state().failure = Some(failure);
            }
        }
        pause = (pause * 2).clamp(FIRST_PAUSE, LAST_PAUSE);
    }
}

/// Between half of a pause and all of it, so that many clients do not come at once.
fn jitter(pause: Duration) -> Duration {
    let part = getrandom::u32().map_or(1.0, |n| f64::from(n) / f64::from(u32::MAX));
    pause.mul_f64(0.5 + part / 2.0)
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(watch) = self.state().watch.take() {
            watch.abort();
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("servers", &format_args!("{}", self.connector))
            .field("timing", &self.timing)
            .finish_non_exhaustive()
    }
}

//! The connection that all calls share, and when another one takes its place.

mod building;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::{Cmd, ErrorKind, RedisError, RedisResult, Value};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use self::building::start;
use crate::connector::Connector;
use crate::fault::{Fault, Reason};
use crate::live::Live;
use crate::said::Said;

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
    /// How long a connection may leave a command unanswered, and all others too, before another one
    /// is made.
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
    /// The task that connects.
    building: Option<Attempt>,
    builders: u64,
    /// A connection that was dead before it was there for anybody.
    stillborn: u64,
    /// Where the primary is, as somebody told while a connection was being made.
    #[cfg(feature = "sentinel")]
    told: Option<String>,
    /// Since when there is no connection.
    since: Option<Instant>,
    /// Why the last attempt failed.
    failure: Option<Said>,
    /// Tells of a new primary.
    watch: Option<JoinHandle<()>>,
}

/// What the task that connects is at.
struct Attempt {
    builder: u64,
    /// When it began to connect, or to wait before it does, last.
    since: Instant,
}

impl State {
    /// A connection is dead, perhaps before it was handed to anybody.
    fn bury(&mut self, generation: u64) {
        if self.building.is_some() && self.generations == generation {
            self.stillborn = generation;
        }
    }
}

/// A command that waits for its answer. Whoever gives up, by a deadline or because the caller has
/// gone, looks whether the connection hangs.
struct Waiting<'a> {
    link: &'a Arc<Link>,
    live: &'a Live,
    since: Instant,
    answered: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let silence = self.link.timing.silence();
        if !self.answered && self.live.silent(self.since, silence) >= silence {
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
        let (mut pause, mut lost, mut refusal) = (FIRST_PAUSE, None, None);
        loop {
            let fault = match self.attempt(command, twice, until).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            let again = match &fault {
                Fault::Lost(_) => twice == Twice::Harmless,
                // It has waited for a connection already.
                Fault::Unsent(_) => false,
                other => other.may_pass(),
            };
            match fault {
                // The call is made again, with the code.
                Fault::NoScript => return Err(fault),
                Fault::Lost(_) => lost = Some(fault.clone()),
                Fault::Refused { ref reason, .. } => refusal = Some(Arc::clone(reason)),
                _ => {}
            }
            let wake = Instant::now() + jitter(pause);
            if !again || wake >= until {
                // It may have been applied, whatever became of the last attempt.
                return Err(lost.unwrap_or(fault).for_which(refusal));
            }
            tokio::time::sleep_until(wake).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    async fn attempt(
        self: &Arc<Self>,
        command: &Cmd,
        twice: Twice,
        until: Instant,
    ) -> Result<Value, Fault> {
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
        let mut waiting = Waiting {
            link: self,
            live: &live,
            since: began,
            answered: false,
        };
        let answer = timeout_at(until, live.connection.send(command)).await;
        let fault = match answer {
            Err(_) => return Err(Fault::Lost(Arc::new(Reason::Silent(began.elapsed())))),
            Ok(answer) => match answer.and_then(refusal) {
                Ok(answer) => {
                    live.hears();
                    waiting.answered = true;
                    return Ok(answer);
                }
                Err(error) => {
                    self.notice(&live, &error);
                    match Fault::of(&error, live.connection.many_nodes()) {
                        // It was connected anew a moment ago, and that did not help.
                        Fault::Refused { reason, .. }
                            if is_read_only(&error) && live.born.elapsed() < REST =>
                        {
                            Fault::Refused {
                                again: false,
                                reason,
                            }
                        }
                        fault => fault,
                    }
                }
            },
        };
        #[cfg(feature = "cluster")]
        if let Fault::Ask { node, .. } = &fault {
            let answer = timeout_at(until, live.connection.send_asking(command, node)).await;
            waiting.answered = answer.is_ok();
            return match answer {
                Err(_) => Err(Fault::Lost(Arc::new(Reason::Silent(began.elapsed())))),
                // Once it has taken over, the driver knows it.
                Ok(Err(error)) if crate::cluster::is_unknown_node(&error) => Err(fault),
                Ok(answer) => answer
                    .and_then(refusal)
                    .map_err(|error| Fault::of(&error, true)),
            };
        }
        waiting.answered = true;
        Err(fault)
    }

    /// What an error says about the connection.
    fn notice(self: &Arc<Self>, live: &Live, error: &RedisError) {
        match error.kind() {
            ErrorKind::Io
            | ErrorKind::Parse
            | ErrorKind::AuthenticationFailed
            | ErrorKind::ClusterConnectionNotFound => {
                self.replace(live, &format!("it failed: {}", Said::of(error)));
            }
            // The primary that it led to is one no more.
            _ if is_read_only(error) && live.born.elapsed() >= REST => {
                live.hears();
                self.replace(live, "it leads to a replica");
            }
            _ => live.hears(),
        }
    }

    /// The connection, once there is one.
    async fn live(self: &Arc<Self>, until: Instant) -> Result<Arc<Live>, Reason> {
        if let Some(live) = &self.state().current {
            return Ok(Arc::clone(live));
        }
        // Rare, so what it needs is no part of each call.
        Box::pin(self.awaited(until)).await
    }

    async fn awaited(self: &Arc<Self>, until: Instant) -> Result<Arc<Live>, Reason> {
        loop {
            let changed = self.changed.notified();
            let (patience, task) = {
                let mut state = self.state();
                if let Some(live) = &state.current {
                    return Ok(Arc::clone(live));
                }
                let task = self.claim(&mut state);
                let since = *state.since.get_or_insert_with(Instant::now);
                let patience = until.min(since + self.timing.connect);
                let hopeless = state.failure.as_ref().is_some_and(Said::is_lasting);
                if hopeless || Instant::now() >= patience {
                    let reason = self.no_connection(&state, since);
                    drop(state);
                    start(task, Duration::ZERO);
                    return Err(reason);
                }
                (patience, task)
            };
            start(task, Duration::ZERO);
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
                .unwrap_or_else(|| Said::plain("no answer yet".to_owned())),
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
            || state.building.is_some()
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
        let task = self.claim(&mut state);
        drop(state);
        tracing::warn!(target: "session::redis", servers = %self.connector, "connecting anew: {why}");
        start(task, if young { LAST_PAUSE } else { Duration::ZERO });
        // Closing it is the driver's business, and not to be done under a lock.
        drop(former);
    }

    /// The driver says that a connection is dead.
    fn dropped(self: &Arc<Self>, generation: u64) {
        let current = {
            let mut state = self.state();
            state.bury(generation);
            state.current.clone()
        };
        if let Some(live) = current.filter(|live| live.generation == generation) {
            self.replace(&live, "it was closed");
        }
    }

    /// The runtime that serves a connection has ended, or the connection has.
    pub(crate) fn homeless(&self, generation: u64) {
        let mut state = self.state();
        state.bury(generation);
        let former = state.current.take_if(|live| live.generation == generation);
        drop(state);
        drop(former);
    }

    /// The primary is at `address` now.
    #[cfg(feature = "sentinel")]
    pub(crate) fn moved(self: &Arc<Self>, address: &str) {
        let current = {
            let mut state = self.state();
            if state.building.is_some() {
                state.told = Some(address.to_owned());
            }
            state.current.clone()
        };
        if let Some(live) = current.filter(|live| live.address.as_deref() != Some(address)) {
            self.replace(&live, "there is another primary");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A refusal is the whole answer: there is none inside of what our commands and scripts answer
/// with.
fn refusal(answer: Value) -> RedisResult<Value> {
    match answer {
        Value::ServerError(error) => Err(error.into()),
        answer => Ok(answer),
    }
}

fn is_read_only(error: &RedisError) -> bool {
    Said::of(error).code() == "READONLY"
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

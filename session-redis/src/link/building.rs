//! The one task that makes a connection anew.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::{Attempt, FIRST_PAUSE, LAST_PAUSE, Link, State, jitter};
use crate::live::Live;
use crate::said::Said;

/// Before it is tried again what only another setting will mend.
const LONG_PAUSE: Duration = Duration::from_secs(3);
/// While it cannot connect it says so, but no more often.
const SILENCE: Duration = Duration::from_secs(10);

/// The one task that connects. With its runtime it may end early; then another one may begin.
pub(super) struct Building {
    link: Weak<Link>,
    number: u64,
}

impl Drop for Building {
    fn drop(&mut self) {
        let Some(link) = self.link.upgrade() else {
            return;
        };
        let mut state = link.state();
        if state.is_built_by(self.number) {
            state.building = None;
            if state.current.is_none() {
                state.since = None;
            }
        }
        drop(state);
        link.changed.notify_waiters();
    }
}

impl State {
    fn is_built_by(&self, number: u64) -> bool {
        self.building
            .as_ref()
            .is_some_and(|attempt| attempt.builder == number)
    }
}

/// A runtime that is ending drops the task at once, and that needs the lock.
pub(super) fn start(task: Option<Building>, pause: Duration) {
    if let (Some(task), Ok(runtime)) = (task, Handle::try_current()) {
        runtime.spawn(build(task, pause));
    }
}

async fn build(task: Building, mut pause: Duration) {
    let mut told: Option<(Said, Instant)> = None;
    loop {
        sleep(jitter(pause)).await;
        let Some(link) = task.link.upgrade() else {
            return;
        };
        if !link.state().is_built_by(task.number) {
            return;
        }
        let made = link.make(task.number).await;
        let failure = match made.and_then(|live| link.install(live, task.number)) {
            Ok(()) => return,
            Err(failure) => failure,
        };
        pause = match failure.is_lasting() {
            true => LONG_PAUSE,
            false => (pause * 2).clamp(FIRST_PAUSE, LAST_PAUSE),
        };
        // The first failure passes as a rule; who waits is told by an error.
        let news = told
            .as_ref()
            .is_none_or(|(last, when)| *last != failure || when.elapsed() >= SILENCE);
        if news {
            tracing::warn!(target: "session::redis", servers = %link.connector, %failure, "cannot connect");
            told = Some((failure.clone(), Instant::now()));
        }
        let mut state = link.state();
        // What the server has said tells more than an attempt without an answer.
        if !failure.is_silence() || state.failure.is_none() {
            state.failure = Some(failure);
        }
        drop(state);
        // Who waits for nothing is to know.
        link.changed.notify_waiters();
    }
}

impl Link {
    /// The one task that connects, to be started without the lock, unless there is one. One that
    /// has not moved for long is in a runtime that nobody drives.
    pub(super) fn claim(self: &Arc<Self>, state: &mut State) -> Option<Building> {
        let longest = self.connector.limit(self.timing.connect) + LONG_PAUSE;
        let stuck = |attempt: &Attempt| attempt.since.elapsed() > longest;
        // Outside of a runtime nobody waits; the next call begins it.
        let possible = state.building.as_ref().is_none_or(stuck) && Handle::try_current().is_ok();
        possible.then(|| {
            state.builders += 1;
            state.building = Some(Attempt {
                builder: state.builders,
                since: Instant::now(),
            });
            Building {
                link: Arc::downgrade(self),
                number: state.builders,
            }
        })
    }

    async fn make(self: &Arc<Self>, builder: u64) -> Result<Arc<Live>, Said> {
        let generation = {
            let mut state = self.state();
            state.building = Some(Attempt {
                builder,
                since: Instant::now(),
            });
            state.generations += 1;
            // What was told before, those will know who are asked now.
            #[cfg(feature = "sentinel")]
            {
                state.told = None;
            }
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
        match made {
            Ok(Ok(made)) => Ok(Arc::new(Live::new(made, generation, Arc::downgrade(self)))),
            Ok(Err(error)) => Err(Said::of(&error)),
            Err(_) => Err(Said::silence(limit)),
        }
    }

    /// Hands a new connection to all calls, unless it is out of date already.
    fn install(self: &Arc<Self>, live: Arc<Live>, builder: u64) -> Result<(), Said> {
        let mut state = self.state();
        if !state.is_built_by(builder) {
            // Another one was faster.
            return Ok(());
        }
        if state.stillborn == live.generation {
            return Err(Said::plain("it was closed at once".to_owned()));
        }
        #[cfg(feature = "sentinel")]
        if let Some(told) = state
            .told
            .take_if(|told| live.address.as_deref() != Some(told))
        {
            return Err(Said::plain(format!("the primary is at {told} now")));
        }
        // From here on it can be replaced.
        state.building = None;
        let since = state.since.take();
        let address = live.address.clone();
        let former = state.current.replace(live);
        state.failure = None;
        if state.watch.as_ref().is_none_or(JoinHandle::is_finished) {
            state.watch = self.connector.watch(Arc::downgrade(self));
        }
        drop(state);
        drop(former);
        if let Some(since) = since {
            let (servers, millis) = (&self.connector, since.elapsed().as_millis());
            tracing::info!(target: "session::redis", %servers, address, millis, "connected");
        }
        Ok(())
    }
}

//! The one task that makes a connection anew.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::{FIRST_PAUSE, LAST_PAUSE, Link, State, jitter};
use crate::live::Live;

/// The one task that connects. With its runtime it may end early; then another one may begin.
pub(super) struct Building {
    link: Weak<Link>,
    done: bool,
}

impl Drop for Building {
    fn drop(&mut self) {
        let Some(link) = self.link.upgrade() else { return };
        if !self.done {
            let mut state = link.state();
            state.building = false;
            if state.current.is_none() {
                state.since = None;
            }
        }
        link.changed.notify_waiters();
    }
}

/// A runtime that is ending drops the task at once, and that needs the lock.
pub(super) fn start(task: Option<Building>, pause: Duration) {
    if let (Some(task), Ok(runtime)) = (task, Handle::try_current()) {
        runtime.spawn(build(task, pause));
    }
}

async fn build(mut task: Building, mut pause: Duration) {
    loop {
        sleep(jitter(pause)).await;
        let Some(link) = task.link.upgrade() else { return };
        match link.make().await.and_then(|live| link.install(live)) {
            Ok(()) => {
                task.done = true;
                return;
            }
            Err(failure) => {
                tracing::debug!(target: "session::redis", servers = %link.connector, failure, "cannot connect");
                link.state().failure = Some(failure);
            }
        }
        pause = (pause * 2).clamp(FIRST_PAUSE, LAST_PAUSE);
    }
}

impl Link {
    /// The one task that connects, to be started without the lock, unless there is one.
    pub(super) fn claim(self: &Arc<Self>, state: &mut State) -> Option<Building> {
        // Outside of a runtime nobody waits; the next call begins it.
        let possible = !state.building && Handle::try_current().is_ok();
        possible.then(|| {
            state.building = true;
            Building {
                link: Arc::downgrade(self),
                done: false,
            }
        })
    }

    async fn make(self: &Arc<Self>) -> Result<Arc<Live>, String> {
        let generation = {
            let mut state = self.state();
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
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {limit:?}")),
        }
    }

    /// Hands a new connection to all calls, unless it is out of date already.
    fn install(self: &Arc<Self>, live: Arc<Live>) -> Result<(), String> {
        let mut state = self.state();
        if state.stillborn == live.generation {
            return Err("it was closed at once".to_owned());
        }
        #[cfg(feature = "sentinel")]
        if let Some(told) = state.told.take_if(|told| live.address.as_deref() != Some(told)) {
            return Err(format!("the primary is at {told} now"));
        }
        // From here on it can be replaced.
        state.building = false;
        if let Some(since) = state.since.take() {
            let (servers, address, after) = (&self.connector, live.address.as_deref(), since.elapsed());
            tracing::info!(target: "session::redis", %servers, address, ?after, "connected");
        }
        let former = state.current.replace(live);
        state.failure = None;
        if state.watch.as_ref().is_none_or(JoinHandle::is_finished) {
            state.watch = self.connector.watch(Arc::downgrade(self));
        }
        drop(state);
        drop(former);
        Ok(())
    }
}

//! One connection in use: since when nothing was heard on it, and where it is at home.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::connector::{Connection, Made};
use crate::link::Link;

/// A connection that calls share.
pub(crate) struct Live {
    pub(crate) connection: Connection,
    /// Where it leads to, if that may change.
    pub(crate) address: Option<String>,
    pub(crate) generation: u64,
    pub(crate) born: Instant,
    /// Milliseconds after `born` at which something was last heard.
    heard: AtomicU64,
    doubt: Mutex<Doubt>,
    home: JoinHandle<()>,
}

/// What those have seen of a connection who did not get an answer.
#[derive(Default)]
struct Doubt {
    /// For how long they waited, all together.
    waited: Duration,
    /// When the last of them gave up.
    last: Option<Instant>,
}

impl Live {
    /// A connection that was just made, in the runtime that serves it.
    pub(crate) fn new(made: Made, generation: u64, link: Weak<Link>) -> Self {
        let home = Home { link, generation };
        Self {
            connection: made.connection,
            address: made.address,
            generation,
            born: Instant::now(),
            heard: AtomicU64::new(0),
            doubt: Mutex::default(),
            home: tokio::spawn(async move {
                let _home = home;
                std::future::pending::<()>().await;
            }),
        }
    }

    /// There was an answer.
    pub(crate) fn hears(&self) {
        let age = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard.store(age, Ordering::Relaxed);
    }

    /// Somebody who has waited since `since` gives up. Says for how long there was no answer by
    /// now, to this one and to those who gave up before: each of them may have been less
    /// patient than `silence`.
    pub(crate) fn silent(&self, since: Instant, silence: Duration) -> Duration {
        let now = Instant::now();
        let mut doubt = self.doubt.lock().unwrap_or_else(PoisonError::into_inner);
        let mut from = since;
        if self.connection.many_nodes() {
            // Other nodes may answer while one hangs, so what was heard says nothing; but many
            // who go away soon are no sign either.
            if now - since < silence / 8 {
                return Duration::ZERO;
            }
            if doubt.last.is_some_and(|last| now - last > silence) {
                doubt.waited = Duration::ZERO;
            }
        } else {
            let heard = self.born + Duration::from_millis(self.heard.load(Ordering::Relaxed));
            if doubt.last.is_some_and(|last| last < heard) {
                doubt.waited = Duration::ZERO;
            }
            from = from.max(heard);
        }
        // What two of them waited at the same time counts once.
        from = doubt.last.map_or(from, |last| from.max(last));
        doubt.waited += now.saturating_duration_since(from);
        doubt.last = Some(now);
        doubt.waited
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.home.abort();
    }
}

/// Waits in the runtime that serves a connection, and ends with it: then nobody serves it any more.
struct Home {
    link: Weak<Link>,
    generation: u64,
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Some(link) = self.link.upgrade() {
            link.homeless(self.generation);
        }
    }
}

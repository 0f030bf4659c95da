//! What was done to the site, and when.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::options::Kind;

/// Disturbances that visitors should not notice.
pub(crate) const GENTLE: [&str; 2] = ["rolling restart", "rotation of keys"];
/// What faults are put down to if a process of ours waited for a processor.
pub(crate) const STARVED: &str = "a busy machine";

/// Faults so long after a disturbance still belong to it.
const AFTERMATH: Duration = Duration::from_secs(2);
/// Writes that Redis acknowledged so long before a primary dies may be lost, and a little later
/// too, because an answer takes its time to be read.
const UNSURE: Duration = Duration::from_secs(3);
const READ: Duration = Duration::from_secs(1);

/// One disturbance. While it lasts, it has no end.
#[derive(Clone, Debug)]
pub(crate) struct Disturbance {
    pub(crate) what: &'static str,
    pub(crate) from: Instant,
    pub(crate) to: Option<Instant>,
}

impl Disturbance {
    fn meets(&self, from: Instant, to: Instant) -> bool {
        self.from <= to && self.to.is_none_or(|end| from <= end + AFTERMATH)
    }
}

#[derive(Debug, Default)]
struct Known {
    all: Vec<Disturbance>,
    losing: Vec<(Instant, Instant)>,
    starved: Vec<(Instant, Instant)>,
}

#[derive(Debug)]
pub(crate) struct Disturbances {
    store: Kind,
    known: Mutex<Known>,
}

impl Disturbances {
    pub(crate) fn of(store: Kind) -> Self {
        Self {
            store,
            known: Mutex::default(),
        }
    }

    pub(crate) fn begin(&self, what: &'static str) {
        let from = Instant::now();
        let new = Disturbance {
            what,
            from,
            to: None,
        };
        self.known().all.push(new);
    }

    /// Ends the one that began last.
    pub(crate) fn end(&self) {
        if let Some(last) = self.known().all.last_mut() {
            last.to = Some(Instant::now());
        }
    }

    /// A primary that failed at this time loses its place. Redis replicates asynchronously, so it
    /// may lose what it has just acknowledged. MongoDB loses nothing that a majority has.
    pub(crate) fn primary_is_lost(&self, failed: Instant) {
        if self.store == Kind::Redis {
            let until = Instant::now() + READ;
            self.known().losing.push((failed - UNSURE, until));
        }
    }

    /// A process of ours waited for a processor in this time.
    pub(crate) fn starved(&self, from: Instant, to: Instant) {
        self.known().starved.push((from, to));
    }

    /// In how many intervals that was so.
    pub(crate) fn starvations(&self) -> usize {
        self.known().starved.len()
    }

    /// When the store first may have lost what it acknowledged.
    pub(crate) fn first_loss(&self) -> Option<Instant> {
        let known = self.known();
        known.losing.first().map(|(from, _)| *from)
    }

    /// What disturbed the site between these times, if anything did: the last of several. Where
    /// servers restart in turn, nothing may fail, unless a process had no processor.
    pub(crate) fn between(&self, from: Instant, to: Instant) -> Option<&'static str> {
        let known = self.known();
        let mut meeting = known.all.iter().rev().filter(|one| one.meets(from, to));
        let act = meeting.next().map(|one| one.what);
        let starved = |(begin, end): &(Instant, Instant)| *begin <= to && from <= *end + AFTERMATH;
        match act {
            Some(act) if !GENTLE.contains(&act) => Some(act),
            _ if known.starved.iter().any(starved) => Some(STARVED),
            act => act,
        }
    }

    /// Whether the store may have lost what it acknowledged at this time.
    pub(crate) fn may_lose(&self, at: Instant) -> bool {
        let known = self.known();
        known
            .losing
            .iter()
            .any(|(from, to)| (*from..=*to).contains(&at))
    }

    pub(crate) fn all(&self) -> Vec<Disturbance> {
        self.known().all.clone()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

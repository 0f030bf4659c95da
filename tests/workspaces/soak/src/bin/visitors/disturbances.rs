//! What was done to the site, and what that excuses.

use std::ops::RangeInclusive;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use session_http::SessionId;

use crate::options::Kind;
use crate::slot::slot_of;

pub(crate) const RESTART: &str = "rolling restart";
pub(crate) const KEYS: &str = "rotation of keys";
pub(crate) const KILLED_SERVER: &str = "a server killed";
/// Disturbances that visitors should not notice.
pub(crate) const GENTLE: [&str; 2] = [RESTART, KEYS];

/// Faults so long after a disturbance still belong to it.
const AFTERMATH: Duration = Duration::from_secs(2);
/// A lag that ended so long before a request can still be felt by it.
const AFTERMATH_OF_LAG: Duration = Duration::from_millis(500);
/// A busy machine excuses a request only if lags of at least this length meet it,
const LEAST_LAG: Duration = Duration::from_millis(500);
/// and if they last at least this part of the time that it waited.
const PART_OF_WAIT: u32 = 4;
/// The site must have answered by then, however busy the machine is: a commit has 10 s.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

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

/// What a fail-over of Redis may lose: writes to these slots that their primary acknowledged after
/// its replica was last known to have everything, and before it died.
#[derive(Clone, Debug)]
pub(crate) struct Loss {
    pub(crate) confirmed: Instant,
    pub(crate) dead: Instant,
    pub(crate) slots: Vec<RangeInclusive<u16>>,
}

/// A write of a session, by a request that began and was answered at these times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Write {
    pub(crate) session: SessionId,
    pub(crate) began: Instant,
    pub(crate) at: Instant,
}

impl Loss {
    /// Whether a request that lasted from `began` to `acked` may have written at such a time.
    fn may_have(&self, session: SessionId, began: Instant, acked: Instant) -> bool {
        let slot = slot_of(session);
        let meets = began <= self.dead && acked >= self.confirmed;
        meets && self.slots.iter().any(|slots| slots.contains(&slot))
    }
}

/// How a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A 4xx. Here no request deserves one, except for one whose session is lost.
    Refused,
    /// A 503 or 504.
    TimedOut,
    /// Another 5xx, or a cut connection.
    Broken,
    /// No answer at all in a minute. Nothing excuses that.
    Hung,
}

/// A request that failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure {
    pub(crate) fault: Fault,
    pub(crate) from: Instant,
    pub(crate) to: Instant,
    /// How long it took by itself, as the body of an upload does.
    pub(crate) body: Duration,
    /// The store may have lost a write of this visitor.
    pub(crate) lost_write: bool,
}

impl Failure {
    /// Since when only the answer of the site was missing.
    fn waits_since(&self) -> Instant {
        let sent = self.from + self.body;
        if sent < self.to { sent } else { self.from }
    }
}

/// What a fault is put down to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Disturbance(&'static str),
    /// The machine was busy: this process was held up itself for a good part of that time.
    HeldUp,
    /// The store had lost a write of this visitor.
    LostWrite,
    Unexplained,
}

impl Cause {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Disturbance(what) => what,
            Self::HeldUp => "a busy machine",
            Self::LostWrite => "a lost write of the visitor",
            Self::Unexplained => "no disturbance",
        }
    }
}

#[derive(Debug, Default)]
struct Known {
    all: Vec<Disturbance>,
    losses: Vec<Loss>,
    held_up: Vec<(Instant, Instant)>,
}

impl Known {
    /// How long the lags were altogether that a request between these times may have felt.
    fn lag(&self, from: Instant, to: Instant) -> Duration {
        let felt = |(a, b): &&(Instant, Instant)| *a <= to && from <= *b + AFTERMATH_OF_LAG;
        let lags = self.held_up.iter().filter(felt);
        lags.map(|(a, b)| (*b).min(to) - *a).sum()
    }

    /// Whether a failure is one of a machine that had no time for the site.
    fn was_too_busy(&self, failure: &Failure) -> bool {
        let (from, to) = (failure.waits_since(), failure.to);
        let waited = to - from;
        let least = LEAST_LAG.max(waited / PART_OF_WAIT);
        failure.fault == Fault::TimedOut && waited <= LONGEST_WAIT && self.lag(from, to) >= least
    }
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

    /// A primary of Redis has died, which replicates asynchronously. MongoDB loses nothing that a
    /// majority has, so nothing excuses a loss there.
    pub(crate) fn lost(&self, loss: Loss) {
        if self.store == Kind::Redis {
            self.known().losses.push(loss);
        }
    }

    /// This process was held up in this time.
    pub(crate) fn held_up(&self, from: Instant, to: Instant) {
        self.known().held_up.push((from, to));
    }

    /// How often that was so, and how long it was altogether.
    pub(crate) fn lags(&self) -> (usize, Duration) {
        let known = self.known();
        let all = known.held_up.iter().map(|(from, to)| *to - *from).sum();
        (known.held_up.len(), all)
    }

    /// What a failure is put down to.
    pub(crate) fn cause(&self, failure: &Failure) -> Cause {
        match failure.fault {
            Fault::Refused if failure.lost_write => return Cause::LostWrite,
            Fault::Refused | Fault::Hung => return Cause::Unexplained,
            Fault::TimedOut | Fault::Broken => {}
        }
        let known = self.known();
        let meeting = |gentle: bool| {
            let meets = |one: &&Disturbance| one.meets(failure.from, failure.to);
            let mut all = known.all.iter().rev().filter(meets);
            all.find(|one| GENTLE.contains(&one.what) == gentle)
        };
        if let Some(act) = meeting(false) {
            Cause::Disturbance(act.what)
        } else if known.was_too_busy(failure) {
            Cause::HeldUp
        } else if let Some(act) = meeting(true) {
            Cause::Disturbance(act.what)
        } else {
            Cause::Unexplained
        }
    }

    /// Whether this process was held up between these times.
    pub(crate) fn was_held_up(&self, from: Instant, to: Instant) -> bool {
        self.known().lag(from, to) > Duration::ZERO
    }

    /// Whether something between these times may have kept the site from its work.
    pub(crate) fn is_disturbed(&self, from: Instant, to: Instant) -> bool {
        let known = self.known();
        let mut hard = known.all.iter().filter(|one| !GENTLE.contains(&one.what));
        hard.any(|one| one.meets(from, to))
    }

    /// Whether a server of the site was killed at this time.
    pub(crate) fn server_was_killed(&self, at: Instant) -> bool {
        let known = self.known();
        let mut killed = known.all.iter().filter(|one| one.what == KILLED_SERVER);
        killed.any(|one| one.meets(at, at))
    }

    /// Whether the store may have lost what a request for this session wrote.
    pub(crate) fn may_lose(&self, session: SessionId, began: Instant, acked: Instant) -> bool {
        let known = self.known();
        let mut losses = known.losses.iter();
        losses.any(|loss| loss.may_have(session, began, acked))
    }

    pub(crate) fn may_lose_any(&self, writes: &[Write]) -> bool {
        let mut writes = writes.iter();
        writes.any(|write| self.may_lose(write.session, write.began, write.at))
    }

    pub(crate) fn all(&self) -> Vec<Disturbance> {
        self.known().all.clone()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;

//! What all visitors share: where the site is, what was done to it, and what they have seen.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::watch;

use crate::disturbances::Disturbances;

/// At most so many faults are described.
const MOST_NOTES: usize = 200;

/// What came of one request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) page: &'static str,
    /// None if the connection was cut.
    pub(crate) status: Option<u16>,
    pub(crate) took: Duration,
    /// A fault, and the disturbance that it fell into.
    pub(crate) fault: Option<Option<&'static str>>,
}

/// What visitors count.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Tally {
    pub(crate) acknowledged: u64,
    pub(crate) unknown: u64,
    pub(crate) compared: u64,
    pub(crate) lost: u64,
    pub(crate) lost_by_fail_over: u64,
    pub(crate) came_back: u64,
    pub(crate) not_written: u64,
    pub(crate) twice: u64,
    pub(crate) failed_on_purpose: u64,
    pub(crate) sign_ins: u64,
    pub(crate) sign_outs: u64,
    pub(crate) signed_out: u64,
    pub(crate) signed_out_by_fail_over: u64,
    pub(crate) strangers: u64,
    pub(crate) cookies_kept: u64,
    pub(crate) old_cookies: u64,
    pub(crate) old_cookies_open: u64,
    pub(crate) old_cookies_open_by_fail_over: u64,
    pub(crate) uploads: u64,
    pub(crate) hung_up: u64,
    pub(crate) sockets: u64,
    pub(crate) sockets_closed_by_sign_out: u64,
    pub(crate) sockets_closed_by_restart: u64,
    pub(crate) sockets_cut_in_disturbances: u64,
    pub(crate) sockets_closed_by_fail_over: u64,
    pub(crate) sockets_without_reason: u64,
    pub(crate) sockets_outlived: u64,
    pub(crate) sockets_outlived_by_fail_over: u64,
}

/// A cookie of a session that its owner has signed out of.
#[derive(Clone, Debug)]
pub(crate) struct OldCookie {
    pub(crate) cookie: String,
    pub(crate) signed_out: Instant,
    /// The store may have lost the sign-out, or before it a rotation. In that case the site does
    /// not know the token that signs out, and the session of the token before lives on.
    pub(crate) may_be_lost: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) requests: Vec<Request>,
    pub(crate) tally: Tally,
    pub(crate) notes: Vec<String>,
    pub(crate) old_cookies: Vec<OldCookie>,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) base: String,
    pub(crate) seed: u64,
    pub(crate) began: Instant,
    pub(crate) disturbances: Disturbances,
    pub(crate) over: watch::Sender<bool>,
    seen: Mutex<Seen>,
}

impl World {
    pub(crate) fn new(base: String, seed: u64, disturbances: Disturbances) -> Self {
        Self {
            base,
            seed,
            began: Instant::now(),
            disturbances,
            over: watch::Sender::new(false),
            seen: Mutex::default(),
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn count(&self, count: impl FnOnce(&mut Tally)) {
        count(&mut self.seen().tally);
    }

    /// Describes a fault, for the report.
    pub(crate) fn note(&self, what: &str) {
        let at = self.began.elapsed().as_secs_f64();
        let mut seen = self.seen();
        if seen.notes.len() < MOST_NOTES {
            seen.notes.push(format!("{at:.2} s: {what}"));
        }
    }
}

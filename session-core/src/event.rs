//! What is worth telling an operator: one `tracing` event for each turn in a session's life.
//!
//! All have the target `session`. Sessions appear by the short hash of their id, and no
//! event holds a token, key, principal or value.

use std::sync::atomic::{AtomicU64, Ordering};

use tracing::{debug, info, warn};

use crate::{Error, SessionId, StoreError, Timestamp};

const TARGET: &str = "session";

pub(crate) fn created(id: SessionId) {
    info!(target: TARGET, session = %id.short(), "created");
}

pub(crate) fn renewed(id: SessionId, signed_in: bool) {
    info!(target: TARGET, session = %id.short(), signed_in, "renewed");
}

pub(crate) fn destroyed(id: SessionId) {
    info!(target: TARGET, session = %id.short(), "destroyed");
}

pub(crate) fn expired(id: SessionId) {
    info!(target: TARGET, session = %id.short(), "expired");
}

/// The session ended while a request was changing it; what the request wrote is dropped.
pub(crate) fn gone(id: Option<SessionId>) {
    if let Some(id) = id {
        info!(target: TARGET, session = %id.short(), "gone: it ended while a request was changing it");
    }
}

pub(crate) fn conflict(id: SessionId, attempt: u32) {
    debug!(target: TARGET, session = %id.short(), attempt, "conflict: another request changed it first");
}

/// Events that a client, or a store that is down, could fill the log with.
#[derive(Debug, Default)]
pub(crate) struct Provoked {
    refused: Throttle,
    retired: Throttle,
    ambiguous: Throttle,
    corrupt: Throttle,
    unsaved: Throttle,
    store_failed: Throttle,
    touch_failed: Throttle,
    delete_failed: Throttle,
}

/// Why a token was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Not of the form of our tokens, or its MAC is wrong, or it is of another store.
    Malformed,
    /// No live session has it.
    Unknown,
    /// Of another scope.
    Scope,
    /// More tokens in one request than are looked at.
    TooMany,
}

impl Provoked {
    pub(crate) fn refused(&self, reason: Refusal, now: Timestamp) {
        if let Some(suppressed) = self.refused.admit(now) {
            warn!(target: TARGET, ?reason, suppressed, "refused a token; the request goes on without a session");
        }
    }

    pub(crate) fn retired(&self, id: SessionId, now: Timestamp) {
        if let Some(suppressed) = self.retired.admit(now) {
            info!(target: TARGET, session = %id.short(), suppressed, "a token that was just renewed came once more");
        }
    }

    pub(crate) fn ambiguous(&self, now: Timestamp) {
        if let Some(suppressed) = self.ambiguous.admit(now) {
            warn!(target: TARGET, suppressed, "one request holds tokens of several sessions; it goes on without any");
        }
    }

    /// Changes that nobody will save: a client that hangs up is enough.
    pub(crate) fn unsaved(&self, id: Option<SessionId>, reason: &'static str, now: Timestamp) {
        if let Some(suppressed) = self.unsaved.admit(now) {
            let session = id.map(|id| id.short());
            warn!(target: TARGET, ?session, reason, suppressed, "changes were not saved");
        }
    }

    /// The store could not do what it was asked, or did not say whether it has.
    pub(crate) fn store_failed(&self, error: &StoreError, now: Timestamp) {
        let failed = matches!(
            error,
            StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_) | StoreError::Full { .. }
        );
        if !failed {
            return;
        }
        if let Some(suppressed) = self.store_failed.admit(now) {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            warn!(target: TARGET, suppressed, %error, cause, "the store failed");
        }
    }

    /// Activity could not be written; the response passes all the same.
    pub(crate) fn touch_failed(&self, id: SessionId, error: &Error, now: Timestamp) {
        if let Some(suppressed) = self.touch_failed.admit(now) {
            warn!(target: TARGET, session = %id.short(), %error, suppressed, "activity could not be written");
        }
    }

    pub(crate) fn delete_failed(&self, id: SessionId, error: &StoreError, now: Timestamp) {
        if let Some(suppressed) = self.delete_failed.admit(now) {
            warn!(target: TARGET, session = %id.short(), %error, suppressed, "a destroyed session could not be deleted");
        }
    }

    pub(crate) fn corrupt(&self, error: &StoreError, now: Timestamp) {
        if let Some(suppressed) = self.corrupt.admit(now) {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            warn!(target: TARGET, suppressed, cause, "a stored record cannot be read");
        }
    }
}

const WINDOW_MILLIS: u64 = 60_000;
const PER_WINDOW: u64 = 60;

/// Admits 60 events a minute and counts the rest.
#[derive(Debug, Default)]
struct Throttle {
    window: AtomicU64,
    count: AtomicU64,
}

impl Throttle {
    /// `None` to stay silent; otherwise how many were silenced in the window before.
    /// Two threads at the turn of a window may admit one more or miscount by one.
    fn admit(&self, now: Timestamp) -> Option<u64> {
        let window = now.as_millis() / WINDOW_MILLIS;
        if self.window.swap(window, Ordering::Relaxed) != window {
            let before = self.count.swap(1, Ordering::Relaxed);
            return Some(before.saturating_sub(PER_WINDOW));
        }
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        (count < PER_WINDOW).then_some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted() {
        let throttle = Throttle::default();
        let at = |minute: u64| Timestamp::from_millis(minute * WINDOW_MILLIS + 5);
        let admitted = (0..1_000).filter(|_| throttle.admit(at(3)).is_some()).count();
        assert_eq!(admitted, 60);
        assert_eq!(throttle.admit(at(4)), Some(940));
        assert_eq!(throttle.admit(at(4)), Some(0));
        assert_eq!(throttle.admit(at(5)), Some(0));
    }
}

//! What is worth telling: one event for each turn in a session's life, to an observer and to the
//! log.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytestring::ByteString;
use tracing::{debug, info, trace, warn};

use crate::error::{Error, StoreError};
use crate::event::Audience;
use crate::event::Recent;
use crate::event::Throttles;
use crate::event::{Event, EventKind};
use crate::record::{EndReason, Record, SessionId, ShortId};
use crate::time::Timestamp;

const TARGET: &str = "session";

/// Whom an event is about, kept beyond the record.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    pub(crate) id: SessionId,
    pub(crate) principal: Option<ByteString>,
}

impl Who {
    pub(crate) fn of(record: &Record) -> Self {
        Self {
            id: record.id,
            principal: record.principal.clone(),
        }
    }

    fn short(&self) -> ShortId {
        self.id.short()
    }
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
    /// A renewal has just put another in its place.
    Renewed,
    /// Just rotated away, like many others since.
    Surplus,
    /// Of an earlier epoch.
    Former,
    /// Several tokens open different sessions.
    Ambiguous,
    /// Its session ended a moment ago.
    Ended(EndReason),
    /// It is not known, and the request arrived long ago: its session may have ended meanwhile.
    Late,
}

impl Refusal {
    const fn text(self) -> &'static str {
        match self {
            Self::Malformed => "malformed: not a token of ours",
            Self::Unknown => "unknown: no live session has it",
            Self::Scope => "it belongs to sessions of another name",
            Self::TooMany => "too many tokens in one request",
            Self::Renewed => "renewed a moment ago; the request is answered as anonymous",
            Self::Surplus => {
                "rotated away a moment ago, like many others since; the request is answered as anonymous"
            }
            Self::Former => "a renewal retired it",
            Self::Ended(reason) => reason.text(),
            Self::Late => {
                "not known any more, and the request arrived long ago; it is answered as anonymous"
            }
            Self::Ambiguous => "one request holds tokens of several sessions",
        }
    }
}

/// Notifies the observer of every event, and writes the log. Whatever the log has at `INFO` and
/// above can be provoked by a client or by a store that is down, so it gets few lines a minute of
/// each kind and reason, and how many were left out.
#[derive(Debug, Default)]
pub(crate) struct Events {
    audience: Audience,
    expiries: Mutex<Recent>,
    throttles: Throttles,
}

impl Events {
    pub(crate) fn new(audience: Audience) -> Self {
        Self {
            audience,
            ..Self::default()
        }
    }

    fn observe(
        &self,
        kind: EventKind,
        id: Option<SessionId>,
        principal: Option<&str>,
        reason: &str,
        now: Timestamp,
    ) {
        self.observe_many(kind, id, principal, reason, 1, now);
    }

    fn observe_many(
        &self,
        kind: EventKind,
        id: Option<SessionId>,
        principal: Option<&str>,
        reason: &str,
        count: u64,
        now: Timestamp,
    ) {
        self.tell(|| Event {
            kind,
            session: id.map(|id| id.short()),
            principal,
            reason,
            count,
            waited: Duration::ZERO,
            at: now,
        });
    }

    /// The event is made only for somebody: the short form of an id is a hash.
    fn tell<'a>(&self, event: impl FnOnce() -> Event<'a>) {
        // To panic twice would end the process, and some events are told while a request that
        // panicked is dropped.
        if let Some(observer) = self
            .audience
            .0
            .as_ref()
            .filter(|_| !std::thread::panicking())
        {
            observer.observe(&event());
        }
    }

    /// Whether the log gets a line of this kind and reason, and how many it did not get before.
    fn admit(&self, kind: EventKind, reason: &'static str, now: Timestamp) -> Option<u64> {
        self.throttles.admit(kind, reason, now)
    }

    fn about(&self, kind: EventKind, record: &Record, reason: &str, now: Timestamp) {
        self.observe(kind, Some(record.id), record.principal(), reason, now);
    }

    fn of(&self, kind: EventKind, who: &Who, reason: &str, now: Timestamp) {
        self.observe(kind, Some(who.id), who.principal.as_deref(), reason, now);
    }

    pub(crate) fn loaded(&self, record: &Record, now: Timestamp) {
        trace!(target: TARGET, session = %record.id.short(), "loaded");
        self.about(EventKind::Loaded, record, "", now);
    }

    pub(crate) fn created(&self, record: &Record, now: Timestamp) {
        if let Some(suppressed) = self.admit(EventKind::Created, "", now) {
            info!(target: TARGET, session = %record.id.short(), suppressed, "created");
        }
        self.about(EventKind::Created, record, "", now);
    }

    pub(crate) fn sign_in_refused(
        &self,
        id: Option<SessionId>,
        principal: &str,
        reason: &'static str,
        now: Timestamp,
    ) {
        if let Some(suppressed) = self.admit(EventKind::Refused, reason, now) {
            let session = id.map(|id| id.short());
            warn!(target: TARGET, ?session, reason, suppressed, "refused a sign-in");
        }
        self.observe(EventKind::Refused, id, Some(principal), reason, now);
    }

    pub(crate) fn renewed(&self, record: &Record, signed_in: bool, now: Timestamp) {
        let reason = if signed_in { "signed in" } else { "renewed" };
        if let Some(suppressed) = self.admit(EventKind::Renewed, reason, now) {
            info!(target: TARGET, session = %record.id.short(), signed_in, suppressed, "renewed");
        }
        self.about(EventKind::Renewed, record, reason, now);
    }

    pub(crate) fn rotated(&self, record: &Record, now: Timestamp) {
        debug!(target: TARGET, session = %record.id.short(), "rotated");
        self.about(EventKind::Rotated, record, "", now);
    }

    pub(crate) fn reused(&self, record: &Record, revokes: bool, now: Timestamp) {
        let reason = if revokes {
            "the session ends"
        } else {
            "the session stays"
        };
        if let Some(suppressed) = self.admit(EventKind::Reused, reason, now) {
            warn!(target: TARGET, session = %record.id.short(), revokes, suppressed,
                "a token that was rotated away came back: somebody has a copy");
        }
        self.about(EventKind::Reused, record, reason, now);
    }

    /// Refused before a record was found.
    pub(crate) fn refused(&self, reason: Refusal, now: Timestamp) {
        self.log_refused(None, reason, now);
        self.observe(EventKind::Refused, None, None, reason.text(), now);
    }

    /// Refused by what its record says.
    pub(crate) fn refused_by(&self, record: &Record, reason: Refusal, now: Timestamp) {
        self.log_refused(Some(record.id), reason, now);
        self.about(EventKind::Refused, record, reason.text(), now);
    }

    fn log_refused(&self, id: Option<SessionId>, reason: Refusal, now: Timestamp) {
        if let Some(suppressed) = self.admit(EventKind::Refused, reason.text(), now) {
            let session = id.map(|id| id.short());
            warn!(target: TARGET, ?session, ?reason, suppressed, "refused a token; the request goes on without a session");
        }
    }

    pub(crate) fn destroyed(&self, who: &Who, now: Timestamp) {
        if let Some(suppressed) = self.admit(EventKind::Destroyed, "", now) {
            info!(target: TARGET, session = %who.short(), suppressed, "destroyed");
        }
        self.of(EventKind::Destroyed, who, "", now);
    }

    pub(crate) fn expired(&self, record: &Record, now: Timestamp) {
        let first = self
            .expiries
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .add(record.id);
        if first {
            if let Some(suppressed) = self.admit(EventKind::Expired, "", now) {
                info!(target: TARGET, session = %record.id.short(), suppressed, "expired");
            }
            self.about(EventKind::Expired, record, "", now);
        }
    }

    pub(crate) fn revoked(
        &self,
        id: SessionId,
        principal: Option<&str>,
        reason: &'static str,
        now: Timestamp,
    ) {
        if let Some(suppressed) = self.admit(EventKind::Revoked, reason, now) {
            info!(target: TARGET, session = %id.short(), reason, suppressed, "revoked");
        }
        self.observe(EventKind::Revoked, Some(id), principal, reason, now);
    }

    pub(crate) fn revoked_many(
        &self,
        principal: &str,
        count: u64,
        reason: &'static str,
        now: Timestamp,
    ) {
        if let Some(suppressed) = self.admit(EventKind::Revoked, reason, now) {
            info!(target: TARGET, count, reason, suppressed, "revoked the sessions of a principal");
        }
        self.observe_many(
            EventKind::Revoked,
            None,
            Some(principal),
            reason,
            count,
            now,
        );
    }

    pub(crate) fn gone(&self, who: &Who, now: Timestamp) {
        if let Some(suppressed) = self.admit(EventKind::Gone, "", now) {
            info!(target: TARGET, session = %who.short(), suppressed, "gone: it ended while a request was changing it");
        }
        self.of(EventKind::Gone, who, "", now);
    }

    pub(crate) fn conflict(&self, record: &Record, attempt: u32, now: Timestamp) {
        debug!(target: TARGET, session = %record.id.short(), attempt, "conflict: another request changed it first");
        self.about(EventKind::Conflict, record, "", now);
    }

    /// A commit gave up: others wrote the session all the time.
    pub(crate) fn contended(
        &self,
        who: Option<&Who>,
        attempts: u32,
        waited: Duration,
        now: Timestamp,
    ) {
        if let Some(suppressed) = self.admit(EventKind::Contended, "", now) {
            let session = who.map(Who::short);
            warn!(target: TARGET, ?session, attempts, ?waited, suppressed, "too many requests change this session at once; one gave up");
        }
        self.tell(|| Event {
            kind: EventKind::Contended,
            session: who.map(Who::short),
            principal: who.and_then(|who| who.principal.as_deref()),
            reason: "too many requests change this session at once",
            count: u64::from(attempts),
            waited,
            at: now,
        });
    }

    /// Changes that nobody will save: a client that hangs up is enough.
    pub(crate) fn unsaved(&self, who: Option<&Who>, reason: &'static str, now: Timestamp) {
        if let Some(suppressed) = self.admit(EventKind::Unsaved, reason, now) {
            let session = who.map(Who::short);
            warn!(target: TARGET, ?session, reason, suppressed, "changes were not saved");
        }
        let principal = who.and_then(|who| who.principal.as_deref());
        self.observe(
            EventKind::Unsaved,
            who.map(|who| who.id),
            principal,
            reason,
            now,
        );
    }

    /// The store could not do what it was asked, or did not say whether it has.
    pub(crate) fn store_failed(&self, error: &StoreError, now: Timestamp) {
        let how = match error {
            StoreError::Unavailable(_) => "unavailable",
            StoreError::OutcomeUnknown(_) => "outcome unknown",
            StoreError::Full { .. } => "full",
            _ => return,
        };
        if let Some(suppressed) = self.admit(EventKind::StoreFailed, how, now) {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            warn!(target: TARGET, suppressed, %error, cause, "the store failed");
        }
        self.observe(EventKind::StoreFailed, None, None, &error.to_string(), now);
    }

    /// Activity, or a rotation, could not be written; the response passes all the same.
    pub(crate) fn unwritten(&self, who: &Who, error: &Error, now: Timestamp) {
        let reason = "activity could not be written";
        if let Some(suppressed) = self.admit(EventKind::Unsaved, reason, now) {
            warn!(target: TARGET, session = %who.short(), %error, suppressed, "{reason}");
        }
        self.of(EventKind::Unsaved, who, reason, now);
    }

    pub(crate) fn delete_failed(&self, who: &Who, error: &StoreError, now: Timestamp) {
        let reason = "a session could not be deleted";
        if let Some(suppressed) = self.admit(EventKind::StoreFailed, reason, now) {
            warn!(target: TARGET, session = %who.short(), %error, suppressed, "{reason}");
        }
        self.of(EventKind::StoreFailed, who, reason, now);
    }

    /// The principal is known where the record was looked for as one of theirs.
    pub(crate) fn corrupt(
        &self,
        id: Option<SessionId>,
        principal: Option<&str>,
        error: &StoreError,
        now: Timestamp,
    ) {
        if let Some(suppressed) = self.admit(EventKind::Corrupt, "", now) {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            let session = id.map(|id| id.short());
            warn!(target: TARGET, ?session, suppressed, cause, "a stored record cannot be read");
        }
        self.observe(
            EventKind::Corrupt,
            id,
            principal,
            "the record cannot be read",
            now,
        );
    }
}

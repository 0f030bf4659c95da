//! One method for each event: what the log says of it, and what the observer is sent.

use std::error::Error as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tracing::{debug, info, trace, warn};

use crate::error::{SessionError, StoreError};
use crate::event::{
    AfterReuse, Commit, Event, EventKind, Observers, Opening, RecentIds, Refusal, Renewal,
    StoreCall, Subject, Throttles, Undecodable, Who,
};
use crate::record::{Record, SessionId};
use crate::time::Timestamp;

const TARGET: &str = "session";

/// Sends every event to the observers and, limited, to the log. A client, or a store that is down,
/// can cause as many events of `INFO` and above as it likes. So the log gets a few lines a minute
/// of each kind and reason, and the number of those that were suppressed.
#[derive(Debug, Default)]
pub(crate) struct Events {
    observers: Observers,
    expired: Mutex<RecentIds>,
    throttles: Throttles,
}

/// What only some events have.
#[derive(Clone, Copy)]
struct Details {
    refusal: Option<Refusal>,
    count: u64,
    waited: Duration,
}

impl Default for Details {
    fn default() -> Self {
        Self {
            refusal: None,
            count: 1,
            waited: Duration::ZERO,
        }
    }
}

impl Events {
    pub(crate) fn new(observers: Observers) -> Self {
        Self {
            observers,
            ..Self::default()
        }
    }

    /// Calls `log` with the number of lines that were suppressed, unless this one has to be, and
    /// notifies the observers.
    fn emit<'a>(
        &self,
        kind: EventKind,
        subject: impl Into<Subject<'a>>,
        reason: &'static str,
        now: Timestamp,
        log: impl FnOnce(u64),
    ) {
        self.limited(kind, reason, now, log);
        self.observe(kind, subject, reason, now);
    }

    fn limited(
        &self,
        kind: EventKind,
        reason: &'static str,
        now: Timestamp,
        log: impl FnOnce(u64),
    ) {
        if let Some(suppressed) = self.throttles.allow(kind, reason, now) {
            log(suppressed);
        }
    }

    fn observe<'a>(
        &self,
        kind: EventKind,
        subject: impl Into<Subject<'a>>,
        reason: &str,
        now: Timestamp,
    ) {
        self.observe_with(kind, subject.into(), reason, Details::default(), now);
    }

    fn observe_with(
        &self,
        kind: EventKind,
        subject: Subject<'_>,
        reason: &str,
        details: Details,
        now: Timestamp,
    ) {
        self.observers.notify(|observer| {
            observer.observe(&Event {
                kind,
                id: subject.session,
                principal: subject.principal,
                reason,
                refusal: details.refusal,
                count: details.count,
                waited: details.waited,
                at: now,
            });
        });
    }

    /// Whether anybody is notified.
    pub(crate) const fn is_observed(&self) -> bool {
        !self.observers.is_empty()
    }

    pub(crate) fn opened(&self, opening: &Opening) {
        self.observers.notify(|observer| observer.opened(opening));
    }

    pub(crate) fn store_call(&self, call: &StoreCall) {
        self.observers.notify(|observer| observer.store_call(call));
    }

    pub(crate) fn committed(&self, commit: &Commit) {
        self.observers.notify(|observer| observer.committed(commit));
    }

    pub(crate) fn loaded(&self, record: &Record, now: Timestamp) {
        trace!(target: TARGET, session = %record.id.short(), "loaded");
        self.observe(EventKind::Loaded, record, "", now);
    }

    pub(crate) fn created(&self, record: &Record, now: Timestamp) {
        self.emit(EventKind::Created, record, "", now, |suppressed| {
            info!(target: TARGET, session = %record.id.short(), suppressed, "created");
        });
    }

    pub(crate) fn sign_in_refused(&self, id: Option<SessionId>, principal: &str, now: Timestamp) {
        let (subject, refusal) = (Subject::new(id, Some(principal)), Refusal::TooManySessions);
        self.refuse(subject, refusal, now, |suppressed| {
            let session = subject.short();
            let reason = refusal.text();
            warn!(target: TARGET, ?session, reason, suppressed, "refused a sign-in");
        });
    }

    pub(crate) fn renewed(&self, record: &Record, renewal: Renewal, now: Timestamp) {
        let signed_in = renewal == Renewal::SignIn;
        let reason = if signed_in { "signed in" } else { "renewed" };
        self.emit(EventKind::Renewed, record, reason, now, |suppressed| {
            let session = record.id.short();
            info!(target: TARGET, %session, signed_in, suppressed, "renewed");
        });
    }

    pub(crate) fn bound(&self, record: &Record, now: Timestamp) {
        self.emit(EventKind::Bound, record, "", now, |suppressed| {
            info!(target: TARGET, session = %record.id.short(), suppressed, "bound to a device");
        });
    }

    /// A token opened a bound session, and no proof of the device came with it.
    pub(crate) fn unproven(&self, record: &Record, served: bool, now: Timestamp) {
        let reason = match served {
            true => "the request is served",
            false => "the request is answered as anonymous",
        };
        self.emit(EventKind::Unproven, record, reason, now, |suppressed| {
            warn!(target: TARGET, session = %record.id.short(), served, suppressed,
                "a token came without proof of the device that its session is bound to");
        });
    }

    /// A device was to sign a challenge, and did not.
    pub(crate) fn challenge_refused(
        &self,
        id: Option<SessionId>,
        reason: &'static str,
        now: Timestamp,
    ) {
        let subject = Subject::new(id, None);
        let kind = EventKind::Refused;
        self.limited(kind, reason, now, |suppressed| {
            let session = subject.short();
            warn!(target: TARGET, ?session, reason, suppressed,
                "refused a signed challenge of a device");
        });
        let details = Details {
            refusal: Some(Refusal::SignedChallenge),
            ..Details::default()
        };
        self.observe_with(kind, subject, reason, details, now);
    }

    pub(crate) fn rotated(&self, record: &Record, now: Timestamp) {
        debug!(target: TARGET, session = %record.id.short(), "rotated");
        self.observe(EventKind::Rotated, record, "", now);
    }

    pub(crate) fn reused(&self, record: &Record, then: AfterReuse, now: Timestamp) {
        let revokes = then == AfterReuse::SessionEnds;
        let reason = match then {
            AfterReuse::SessionEnds => "the session ends",
            AfterReuse::SessionStays => "the session stays",
        };
        self.emit(EventKind::Reused, record, reason, now, |suppressed| {
            warn!(target: TARGET, session = %record.id.short(), revokes, suppressed,
                "a token that was rotated away came back: somebody has a copy");
        });
    }

    /// A token was refused before a record was found.
    pub(crate) fn refused(&self, reason: Refusal, now: Timestamp) {
        self.refused_token(Subject::default(), reason, now);
    }

    /// A token was refused because of what its record says.
    pub(crate) fn refused_by(&self, record: &Record, reason: Refusal, now: Timestamp) {
        self.refused_token(record.into(), reason, now);
    }

    fn refused_token(&self, subject: Subject<'_>, reason: Refusal, now: Timestamp) {
        self.refuse(subject, reason, now, |suppressed| {
            let session = subject.short();
            warn!(target: TARGET, ?session, ?reason, suppressed,
                "refused a token; the request goes on without a session");
        });
    }

    fn refuse(
        &self,
        subject: Subject<'_>,
        refusal: Refusal,
        now: Timestamp,
        log: impl FnOnce(u64),
    ) {
        let (kind, reason) = (EventKind::Refused, refusal.text());
        self.limited(kind, reason, now, log);
        let details = Details {
            refusal: Some(refusal),
            ..Details::default()
        };
        self.observe_with(kind, subject, reason, details, now);
    }

    pub(crate) fn destroyed(&self, who: &Who, now: Timestamp) {
        self.emit(EventKind::Destroyed, who, "", now, |suppressed| {
            info!(target: TARGET, session = %who.id.short(), suppressed, "destroyed");
        });
    }

    /// Each session once in this process, however often its token comes.
    pub(crate) fn expired(&self, record: &Record, now: Timestamp) {
        let mut expired = self.expired.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = expired.insert(record.id);
        drop(expired);
        if is_new {
            self.emit(EventKind::Expired, record, "", now, |suppressed| {
                info!(target: TARGET, session = %record.id.short(), suppressed, "expired");
            });
        }
    }

    pub(crate) fn revoked(
        &self,
        id: SessionId,
        principal: Option<&str>,
        reason: &'static str,
        now: Timestamp,
    ) {
        let subject = Subject::new(Some(id), principal);
        self.emit(EventKind::Revoked, subject, reason, now, |suppressed| {
            info!(target: TARGET, session = %id.short(), reason, suppressed, "revoked");
        });
    }

    /// Several sessions ended in one step of the store, which does not say which.
    pub(crate) fn revoked_many(
        &self,
        principal: &str,
        count: u64,
        reason: &'static str,
        now: Timestamp,
    ) {
        let kind = EventKind::Revoked;
        self.limited(kind, reason, now, |suppressed| {
            info!(target: TARGET, count, reason, suppressed, "revoked the sessions of a principal");
        });
        let subject = Subject::new(None, Some(principal));
        let details = Details {
            count,
            ..Details::default()
        };
        self.observe_with(kind, subject, reason, details, now);
    }

    pub(crate) fn gone(&self, who: &Who, now: Timestamp) {
        self.emit(EventKind::Gone, who, "", now, |suppressed| {
            info!(target: TARGET, session = %who.id.short(), suppressed,
                "gone: it ended while a request was changing it");
        });
    }

    pub(crate) fn conflict(&self, record: &Record, attempt: u32, now: Timestamp) {
        debug!(target: TARGET, session = %record.id.short(), attempt,
            "conflict: another request changed it first");
        self.observe(EventKind::Conflict, record, "", now);
    }

    /// A commit gave up, because other requests wrote the session all the time.
    pub(crate) fn contended(
        &self,
        who: Option<&Who>,
        attempts: u32,
        waited: Duration,
        now: Timestamp,
    ) {
        let (kind, subject) = (EventKind::Contended, Subject::from(who));
        let reason = "too many requests change this session at once";
        self.limited(kind, reason, now, |suppressed| {
            let session = subject.short();
            warn!(target: TARGET, ?session, attempts, ?waited, suppressed, "{reason}; one gave up");
        });
        let details = Details {
            count: attempts.into(),
            waited,
            ..Details::default()
        };
        self.observe_with(kind, subject, reason, details, now);
    }

    /// Changes that will not be saved. A client that hangs up is enough to cause it.
    pub(crate) fn unsaved(&self, who: Option<&Who>, reason: &'static str, now: Timestamp) {
        let subject = Subject::from(who);
        self.emit(EventKind::Unsaved, subject, reason, now, |suppressed| {
            let session = subject.short();
            warn!(target: TARGET, ?session, reason, suppressed, "changes were not saved");
        });
    }

    /// The store could not do what it was asked, or did not say whether it has.
    pub(crate) fn store_failed(&self, error: &StoreError, now: Timestamp) {
        let failure = match error {
            StoreError::Unavailable(_) => "unavailable",
            StoreError::OutcomeUnknown(_) => "outcome unknown",
            StoreError::Full { .. } => "full",
            _ => return,
        };
        let (kind, nobody) = (EventKind::StoreFailed, Subject::default());
        self.limited(kind, failure, now, |suppressed| {
            let cause = error.source().map(ToString::to_string);
            warn!(target: TARGET, suppressed, %error, cause, "the store failed");
        });
        self.observe(kind, nobody, &error.to_string(), now);
    }

    /// Activity, or a rotation, could not be written. The response is sent all the same.
    pub(crate) fn unwritten(&self, who: &Who, error: &SessionError, now: Timestamp) {
        let reason = "activity could not be written";
        self.emit(EventKind::Unsaved, who, reason, now, |suppressed| {
            warn!(target: TARGET, session = %who.id.short(), %error, suppressed, "{reason}");
        });
    }

    pub(crate) fn delete_failed(&self, who: &Who, error: &StoreError, now: Timestamp) {
        let reason = "a session could not be deleted";
        self.emit(EventKind::StoreFailed, who, reason, now, |suppressed| {
            warn!(target: TARGET, session = %who.id.short(), %error, suppressed, "{reason}");
        });
    }

    /// The principal is known where the record was looked for as one of theirs.
    pub(crate) fn corrupt(
        &self,
        id: Option<SessionId>,
        principal: Option<&str>,
        error: &StoreError,
        now: Timestamp,
    ) {
        let subject = Subject::new(id, principal);
        let reason = "the record cannot be read";
        self.emit(EventKind::Corrupt, subject, reason, now, |suppressed| {
            let (session, cause) = (subject.short(), error.source().map(ToString::to_string));
            warn!(target: TARGET, ?session, suppressed, cause, "a stored record cannot be read");
        });
    }

    /// A value that is not of the type asked for reads as absent.
    pub(crate) fn undecodable(&self, who: Option<&Who>, value: &Undecodable, now: Timestamp) {
        let subject = Subject::from(who);
        let Undecodable {
            key,
            type_name,
            fault,
        } = *value;
        self.emit(EventKind::Undecodable, subject, key, now, |suppressed| {
            let session = subject.short();
            warn!(target: TARGET, ?session, key, type_name, %fault, suppressed,
                "a value is not of the type that was asked for; it reads as absent");
        });
    }
}

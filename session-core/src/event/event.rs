//! What can happen to a session.

use std::time::Duration;

use crate::event::Refusal;
use crate::event::labels::labels;
use crate::record::{SessionId, ShortId};
use crate::time::Timestamp;

/// What has happened to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// It was stored for the first time.
    Created,
    /// A token opened it.
    Loaded,
    /// Its token was renewed, by a sign-in or another change of privilege.
    Renewed,
    /// Its token was rotated on [schedule](crate::Rotation).
    Rotated,
    /// A token came back after it was rotated away: somebody has a copy.
    Reused,
    /// It was bound to a device ([`DeviceBinding`](crate::DeviceBinding)).
    Bound,
    /// A token opened it without proof of the device that it is bound to: its client has lost the
    /// proof, or somebody has a copy of the token. [`Event::reason`] says whether the request was
    /// served.
    Unproven,
    /// A token opened no session, a device proved nothing, or a principal had
    /// too many sessions to sign in again: [`Event::refusal`] says which.
    Refused,
    /// The application ended it, in a request of the session itself.
    Destroyed,
    /// A token was presented after its session had expired. Each process reports that once.
    Expired,
    /// It was ended from elsewhere: its owner signed it out, its principal had too many sessions,
    /// or a token was reused. If several sessions ended in one step, there is one event, without a
    /// session.
    Revoked,
    /// Another request changed it first. The commit tries again, or leaves a rotation to the other
    /// request.
    Conflict,
    /// A commit gave up with [`SessionError::Contended`](crate::SessionError::Contended), because
    /// other requests kept writing to the session. [`Event::count`] says how many attempts it made,
    /// [`Event::waited`] for how long.
    Contended,
    /// It ended, or was renewed, while a request was changing it. The changes of that request were
    /// dropped.
    Gone,
    /// Changes were not saved.
    Unsaved,
    /// The store failed.
    StoreFailed,
    /// Its record cannot be read.
    Corrupt,
    /// A value is not of the type that was asked for. It reads as absent, because its key was made
    /// with [`or_discard`](crate::TypedKey::or_discard). [`Event::reason`] is the name of that key.
    Undecodable,
}

/// Something that happened to a session.
///
/// It contains no token, no value and no complete id. It does not contain the name of a key either,
/// except for [`EventKind::Undecodable`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Event<'a> {
    /// What has happened.
    pub kind: EventKind,
    /// Who was signed in.
    pub principal: Option<&'a str>,
    /// Why or how it happened, in a few words for people. Do not match on it.
    pub reason: &'a str,
    /// Why a token or a sign-in was refused, for [`EventKind::Refused`].
    pub refusal: Option<Refusal>,
    /// The number of sessions: 1, or more if several sessions of a principal ended in one step. For
    /// [`EventKind::Contended`], the number of attempts to write that failed.
    pub count: u64,
    /// How long a commit waited before it gave up, for [`EventKind::Contended`]; zero for all other
    /// kinds.
    pub waited: Duration,
    /// When it was noticed.
    pub at: Timestamp,
    pub(super) id: Option<SessionId>,
}

impl Event<'_> {
    /// The short hash of the session's id, if it is known. It is computed by this call.
    pub fn session(&self) -> Option<ShortId> {
        self.id.map(|id| id.short())
    }
}

labels! {
    /// A short name in snake case that stays the same, for the label of a counter.
    ///
    /// ```
    /// use session_core::EventKind;
    ///
    /// assert_eq!(EventKind::StoreFailed.label(), "store_failed");
    /// ```
    EventKind {
        Created => "created",
        Loaded => "loaded",
        Renewed => "renewed",
        Rotated => "rotated",
        Reused => "reused",
        Bound => "bound",
        Unproven => "unproven",
        Refused => "refused",
        Destroyed => "destroyed",
        Expired => "expired",
        Revoked => "revoked",
        Conflict => "conflict",
        Contended => "contended",
        Gone => "gone",
        Unsaved => "unsaved",
        StoreFailed => "store_failed",
        Corrupt => "corrupt",
        Undecodable => "undecodable",
    }
}

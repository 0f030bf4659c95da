//! When a session ended, and why: the mark that it leaves in its store.
//!
//! A request can be under way while its session ends. It must not begin another session, whose
//! cookie would replace the one that the client has been sent since (law 13). So whatever ends a
//! session puts a mark in the place of its record. The mark is a record too: stores keep it as they
//! keep any other, and it expires.

use std::time::Duration;

use crate::record::{Lifetime, REMEMBERED, Record, SessionId};
use crate::time::Timestamp;

/// The epochs of marks begin here; no session is renewed that often. The epoch says why the session
/// ended. It has at most 47 bits, or 15 digits, which every engine keeps exactly, also as a float.
const FIRST: u64 = 1 << 46;

/// Why a session ended.
///
/// The store keeps the first seven, in the [mark](Ended::mark) that the session leaves. Only
/// [`Session::ended`](crate::Session::ended) returns the others, and no mark has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndReason {
    /// Its own client ended it, as a sign-out does: [`Session::destroy`](crate::Session::destroy).
    #[default]
    Destroyed,
    /// Somebody signed in, with a new session in its place: another principal, or its own, if its
    /// values could not be read.
    Exchanged,
    /// Its owner, or the application, ended it from elsewhere, as
    /// [`SessionManager::sign_out_everywhere`](crate::SessionManager::sign_out_everywhere) does.
    Revoked,
    /// Its principal had more sessions than [allowed](crate::SessionManagerBuilder::max_sessions).
    TooMany,
    /// A token that had been rotated away came back ([`OnReuse::Revoke`](crate::OnReuse::Revoke)).
    Reused,
    /// It has not ended: its record has moved to another store
    /// ([`MigratingStore`](crate::store::MigratingStore)). The mark expires at once.
    Moved,
    /// Its own principal signed in anew, because the client had no proof of the device that the
    /// session was bound to ([`DeviceBinding`](crate::DeviceBinding)).
    Unproven,
    /// Another request renewed its token, by a sign-in or by
    /// [`Session::renew`](crate::Session::renew). The session continues, but handles that were
    /// opened before the renewal cannot use it. Never in a mark.
    Renewed,
    /// It expired. Never in a mark.
    Expired,
    /// Neither the session nor a mark is in the store any more: it ended more than a minute ago, or
    /// the store lost it. Never in a mark.
    Unknown,
}

impl EndReason {
    /// Those that marks have. Their positions in this list are stored: a new reason comes last.
    const ALL: [Self; 7] = [
        Self::Destroyed,
        Self::Exchanged,
        Self::Revoked,
        Self::TooMany,
        Self::Reused,
        Self::Moved,
        Self::Unproven,
    ];

    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Destroyed => "its session was destroyed; the request is answered as anonymous",
            Self::Exchanged => {
                "somebody signed in in place of its session; the request is answered as anonymous"
            }
            Self::Revoked => "its session was revoked; the request is answered as anonymous",
            Self::Moved => "its session has moved; the request is answered as anonymous",
            Self::Unproven => {
                "its principal signed in anew without proof of the device; the request is answered \
                 as anonymous"
            }
            Self::TooMany => {
                "its principal had too many sessions, and it was revoked; the request is answered \
                 as anonymous"
            }
            Self::Reused => {
                "its session was revoked because a rotated token came back; the request is \
                 answered as anonymous"
            }
            Self::Renewed => "its token was renewed; the request is answered as anonymous",
            Self::Expired => "its session has expired; the request is answered as anonymous",
            Self::Unknown => "its session is gone; the request is answered as anonymous",
        }
    }

    /// The code of its mark. What no mark has is stored as what an unknown code is read as.
    fn code(self) -> u64 {
        let stored = match self {
            Self::Renewed | Self::Expired | Self::Unknown => Self::Revoked,
            stored => stored,
        };
        let code = Self::ALL.iter().position(|reason| *reason == stored);
        code.unwrap_or_default() as u64
    }
}

/// When and why a session ended.
///
/// Each deletion passes one to the store, which puts its [`mark`](Self::mark) in the record's
/// place. The mark expires a minute after [`at`](Self::at). Until then
/// [`SessionManager::why_ended`](crate::SessionManager::why_ended) returns the reason.
///
/// ```
/// use session_core::{EndReason, Ended, SessionId, Timestamp};
///
/// let now = Timestamp::from_millis(1_000);
/// let ended = Ended::new(EndReason::Revoked, now);
/// let mark = ended.mark(SessionId::from_bytes([7; 16]));
/// assert_eq!(mark.ended(), Some(ended));
/// assert!(mark.principal().is_none() && mark.values().is_empty());
/// assert_eq!(mark.expires_at(), Timestamp::from_millis(61_000));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ended {
    /// Why it ended.
    pub reason: EndReason,
    /// When it ended.
    pub at: Timestamp,
}

impl Ended {
    /// The end of a session, for this reason and at this time.
    ///
    /// [`Ended`] has an example.
    pub const fn new(reason: EndReason, at: Timestamp) -> Self {
        Self { reason, at }
    }

    /// The mark that a store keeps in the place of the record with this id.
    ///
    /// It is a record without principal, values and tokens, which expires a minute after the end.
    /// Nothing can be written to it, because no session has its epoch.
    ///
    /// [`Ended`] has an example.
    pub fn mark(&self, id: SessionId) -> Record {
        let lasts = match self.reason {
            EndReason::Moved => Duration::from_millis(1),
            _ => REMEMBERED,
        };
        Record {
            epoch: FIRST + self.reason.code(),
            ..Record::new(id, "", Lifetime::of_mark(lasts), self.at)
        }
    }

    /// Whether a store still has to keep the mark. A clock that was set back since may have left
    /// one from the future.
    pub(crate) fn is_kept(&self, now: Timestamp) -> bool {
        self.concerns(now) && self.at.duration_since(now) < REMEMBERED
    }

    /// Whether a request that arrived then can have been sent before the end.
    pub(crate) fn concerns(&self, arrived: Timestamp) -> bool {
        self.reason != EndReason::Moved && arrived.duration_since(self.at) < REMEMBERED
    }
}

impl Record {
    /// When and why the session ended, if this is the [mark](Ended::mark) that it left.
    ///
    /// [`Ended`] has an example.
    pub fn ended(&self) -> Option<Ended> {
        let code = self.epoch.checked_sub(FIRST)?;
        // A newer version may know more reasons.
        let reason = usize::try_from(code)
            .ok()
            .and_then(|code| EndReason::ALL.get(code));
        Some(Ended::new(
            reason.copied().unwrap_or(EndReason::Revoked),
            self.created,
        ))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "these are tests")]
mod tests {
    use super::*;

    const AT: u64 = 1_000_000;
    const KEPT: u64 = 60_000;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn an_end_concerns_requests_that_arrived_before_it_and_for_a_minute_after() {
        for reason in EndReason::ALL {
            let ended = Ended::new(reason, at(AT));
            for (arrived, concerned) in [
                (0, true),
                (AT, true),
                (AT + KEPT - 1, true),
                (AT + KEPT, false),
                (u64::MAX, false),
            ] {
                // What has moved has not ended.
                let expected = concerned && reason != EndReason::Moved;
                assert_eq!(
                    ended.concerns(at(arrived)),
                    expected,
                    "{reason:?} {arrived}"
                );
            }
        }
    }

    #[test]
    fn a_mark_is_kept_for_a_minute_and_one_from_the_future_for_no_longer_than_that() {
        let ended = Ended::new(EndReason::Revoked, at(AT));
        for (now, kept) in [
            (AT - KEPT, false),
            (AT - KEPT + 1, true),
            (AT, true),
            (AT + KEPT - 1, true),
            (AT + KEPT, false),
        ] {
            assert_eq!(ended.is_kept(at(now)), kept, "{now}");
        }
    }

    #[test]
    fn a_mark_says_when_and_why_and_expires_after_a_minute() {
        for reason in EndReason::ALL {
            let mark = Ended::new(reason, at(AT)).mark(SessionId::from_bytes([7; 16]));
            assert_eq!(mark.ended(), Some(Ended::new(reason, at(AT))));
            let lasts = if reason == EndReason::Moved { 1 } else { KEPT };
            assert_eq!(mark.expires_at(), at(AT + lasts), "{reason:?}");
        }
    }

    /// No store is told of them. One that makes such a mark for a test gets an end all the same.
    #[test]
    fn no_mark_has_a_reason_that_is_only_found_out() {
        for reason in [EndReason::Renewed, EndReason::Expired, EndReason::Unknown] {
            assert!(!EndReason::ALL.contains(&reason));
            let mark = Ended::new(reason, at(AT)).mark(SessionId::from_bytes([7; 16]));
            assert_eq!(mark.ended(), Some(Ended::new(EndReason::Revoked, at(AT))));
        }
    }

    /// A newer server on the same store.
    #[test]
    fn a_reason_that_is_not_known_is_an_end_all_the_same() {
        let mut mark =
            Ended::new(EndReason::Destroyed, at(AT)).mark(SessionId::from_bytes([7; 16]));
        mark.epoch = FIRST + EndReason::ALL.len() as u64;
        let ended = mark.ended().unwrap();
        assert_eq!(ended.reason, EndReason::Revoked);
        assert!(ended.concerns(at(AT)));
        mark.epoch = FIRST - 1;
        assert_eq!(mark.ended(), None);
    }
}

//! Why a request or a sign-in was refused.

use crate::event::labels::labels;
use crate::record::EndReason;

/// Why a token opened no session, or why a sign-in was refused.
///
/// [`Event::refusal`](crate::Event::refusal) holds it.
///
/// A refused token is never an error of its request, which continues without a session.
/// [`label`](Self::label) is for metrics.
///
/// ```
/// use session_core::Refusal;
///
/// assert_eq!(Refusal::Malformed.label(), "malformed");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// It does not have the form of a token, its MAC is wrong, or it belongs to another kind of
    /// store.
    Malformed,
    /// No live session has it.
    Unknown,
    /// Its session has another scope.
    OtherScope,
    /// The request has more tokens than are tried.
    TooManyTokens,
    /// A renewal replaced it less than a minute ago. The request stores nothing.
    Renewed,
    /// It was rotated away moments ago, and so were many others since. The request stores nothing.
    Superseded,
    /// A renewal replaced it a minute ago or earlier.
    Retired,
    /// Several tokens of one request open different sessions. The request stores nothing.
    Ambiguous,
    /// Its session ended less than a minute ago, for this reason. The request stores nothing.
    Ended(EndReason),
    /// No live session accepts it, but its request arrived so long ago that it may have been valid
    /// at that time. The request stores nothing.
    Late,
    /// The principal has as many sessions as are allowed
    /// ([`OnMaxSessions::Refuse`](crate::OnMaxSessions::Refuse)), so the sign-in was refused.
    TooManySessions,
    /// A device did not sign a challenge with its key, when a session was to be bound to it or to
    /// go on. [`Event::reason`](crate::Event::reason) says what was wrong. The session is not
    /// changed.
    SignedChallenge,
}

labels! {
    /// A short name in snake case that stays the same, for the label of a counter. For
    /// [`Ended`](Self::Ended) it is `ended`, whatever the reason.
    Refusal {
        Malformed => "malformed",
        Unknown => "unknown",
        OtherScope => "other_scope",
        TooManyTokens => "too_many_tokens",
        Renewed => "renewed",
        Superseded => "superseded",
        Retired => "retired",
        Ambiguous => "ambiguous",
        Ended(EndReason::Destroyed) => "ended",
        Late => "late",
        TooManySessions => "too_many_sessions",
        SignedChallenge => "signed_challenge",
    }
}

impl Refusal {
    /// What the log and [`Event::reason`](crate::Event::reason) say.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Malformed => "malformed: not a token of ours",
            Self::Unknown => "unknown: no live session has it",
            Self::OtherScope => "it belongs to sessions of another name",
            Self::TooManyTokens => "too many tokens in one request",
            Self::Renewed => "renewed a moment ago; the request is answered as anonymous",
            Self::Superseded => {
                "rotated away a moment ago, like many others since; the request is answered as \
                 anonymous"
            }
            Self::Retired => "a renewal retired it",
            Self::Ended(reason) => reason.text(),
            Self::Late => {
                "not known any more, and the request arrived long ago; it is answered as anonymous"
            }
            Self::Ambiguous => "one request holds tokens of several sessions",
            Self::TooManySessions => "more sessions than a principal may have",
            Self::SignedChallenge => "no challenge signed with the key of the device",
        }
    }
}

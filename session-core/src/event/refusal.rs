//! Why a token was refused.

use crate::record::EndReason;

/// Why a token was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It has not the form of our tokens, its MAC is wrong, or it is of another store.
    Malformed,
    /// No live session has it.
    Unknown,
    /// Its session has another scope.
    Scope,
    /// The request has more tokens than are tried.
    TooMany,
    /// A renewal has just replaced it.
    Renewed,
    /// It was just rotated away, and so were many others since.
    Surplus,
    /// It is of an earlier epoch.
    Former,
    /// Several tokens open different sessions.
    Ambiguous,
    /// Its session ended a moment ago.
    Ended(EndReason),
    /// It is not known, and the request arrived long ago, so its session may have ended meanwhile.
    Late,
}

impl Refusal {
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Malformed => "malformed: not a token of ours",
            Self::Unknown => "unknown: no live session has it",
            Self::Scope => "it belongs to sessions of another name",
            Self::TooMany => "too many tokens in one request",
            Self::Renewed => "renewed a moment ago; the request is answered as anonymous",
            Self::Surplus => {
                "rotated away a moment ago, like many others since; the request is answered as \
                 anonymous"
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

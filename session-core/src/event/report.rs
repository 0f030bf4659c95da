//! What is reported of each request and each store call, whether or not something happened.

use std::time::Duration;

use crate::error::StoreError;

/// What a store was asked to do: the methods of
/// [`SessionStore`](crate::store::SessionStore) and
/// [`PrincipalIndex`](crate::store::PrincipalIndex).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreOperation {
    /// To load a record.
    Load,
    /// To add a record.
    Create,
    /// To change a record.
    Update,
    /// To end a session.
    Delete,
    /// To list the sessions of a principal.
    ListOf,
    /// To end one session of a principal.
    DeleteOneOf,
    /// To end the sessions of a principal.
    DeleteAllOf,
    /// To remove what has expired.
    DeleteExpired,
}

impl StoreOperation {
    /// How many there are.
    #[cfg(feature = "metrics")]
    pub(super) const COUNT: usize = Self::DeleteExpired as usize + 1;

    /// The name of the method, for the label of a counter.
    ///
    /// ```
    /// use session_core::StoreOperation;
    ///
    /// assert_eq!(StoreOperation::ListOf.label(), "list_of");
    /// ```
    pub const fn label(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::ListOf => "list_of",
            Self::DeleteOneOf => "delete_one_of",
            Self::DeleteAllOf => "delete_all_of",
            Self::DeleteExpired => "delete_expired",
        }
    }
}

/// How a store call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreOutcome {
    /// The store did what it was asked.
    Done,
    /// There is no such record.
    Absent,
    /// Another write was first, so this one was not applied.
    Conflict,
    /// The record to change does not exist any more.
    Gone,
    /// [`StoreError::IdTaken`].
    IdTaken,
    /// [`StoreError::Corrupt`].
    Corrupt,
    /// [`StoreError::Unavailable`]: the store failed or was not reached, or a read was not answered
    /// within its deadline.
    Unavailable,
    /// [`StoreError::OutcomeUnknown`]: a write was not answered.
    OutcomeUnknown,
    /// [`StoreError::Full`].
    Full,
    /// [`StoreError::TooLarge`].
    TooLarge,
    /// [`StoreError::Unsupported`].
    Unsupported,
    /// The request that waited for it was cancelled first, as when a client hangs up.
    Cancelled,
}

impl StoreOutcome {
    /// How many there are.
    #[cfg(feature = "metrics")]
    pub(super) const COUNT: usize = Self::Cancelled as usize + 1;

    pub(crate) const fn of_error(error: &StoreError) -> Self {
        match error {
            StoreError::IdTaken => Self::IdTaken,
            StoreError::Corrupt(_) => Self::Corrupt,
            StoreError::Unavailable(_) => Self::Unavailable,
            StoreError::OutcomeUnknown(_) => Self::OutcomeUnknown,
            StoreError::Full { .. } => Self::Full,
            StoreError::TooLarge(_) => Self::TooLarge,
            StoreError::Unsupported(_) => Self::Unsupported,
        }
    }

    /// A short name in snake case that stays the same, for the label of a counter.
    ///
    /// ```
    /// use session_core::StoreOutcome;
    ///
    /// assert_eq!(StoreOutcome::OutcomeUnknown.label(), "outcome_unknown");
    /// ```
    pub const fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Absent => "absent",
            Self::Conflict => "conflict",
            Self::Gone => "gone",
            Self::IdTaken => "id_taken",
            Self::Corrupt => "corrupt",
            Self::Unavailable => "unavailable",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::Full => "full",
            Self::TooLarge => "too_large",
            Self::Unsupported => "unsupported",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A store call that is over: what [`Observer::store_call`](crate::Observer::store_call) receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreCall {
    /// What the store was asked to do.
    pub operation: StoreOperation,
    /// How it ended.
    pub outcome: StoreOutcome,
    /// How long it took, by [`Clock::monotonic`](crate::Clock::monotonic). `None` for a store that
    /// waits for nothing, because its
    /// [`call_timeout`](crate::store::SessionStore::call_timeout) is zero: to look at a clock twice
    /// would take a noticeable part of such a call.
    pub elapsed: Option<Duration>,
    /// How large the record is that was to be written, in bytes before encoding
    /// ([`Record::limited_size`](crate::store::Record::limited_size)). 0 for calls that write none.
    pub bytes: usize,
}

/// What a request's tokens opened: what [`Observer::opened`](crate::Observer::opened) receives.
///
/// A request that does not ask for its session opens nothing, and is not reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Opened {
    /// A session.
    Session,
    /// The request has no token.
    NoToken,
    /// The session of its token has expired.
    Expired,
    /// Its tokens were refused: an event says [why](crate::Refusal).
    Refused,
    /// The client has a good token, but the session cannot be used: the request has no proof of the
    /// device, or the values do not open.
    Unusable,
    /// The request fails, because the store did, or because a record cannot be read
    /// ([`OnCorrupt::Refuse`](crate::OnCorrupt::Refuse)).
    Failed,
}

impl Opened {
    /// All of them.
    #[cfg(feature = "metrics")]
    pub(super) const ALL: [Self; 6] = [
        Self::Session,
        Self::NoToken,
        Self::Expired,
        Self::Refused,
        Self::Unusable,
        Self::Failed,
    ];

    /// A short name in snake case that stays the same, for the label of a counter.
    ///
    /// ```
    /// use session_core::Opened;
    ///
    /// assert_eq!(Opened::NoToken.label(), "no_token");
    /// ```
    pub const fn label(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::NoToken => "no_token",
            Self::Expired => "expired",
            Self::Refused => "refused",
            Self::Unusable => "unusable",
            Self::Failed => "failed",
        }
    }
}

/// How a commit ended, or a handler's own save.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CommitResult {
    /// The session was written.
    Written,
    /// There was nothing to write, or another request has written it.
    Unneeded,
    /// What was changed was dropped, because no response can carry a token of the session. An event
    /// says so.
    Dropped,
    /// Nothing was written, or nobody knows whether it was. Of activity and rotations only an
    /// event is left; otherwise the request fails.
    Failed,
}

impl CommitResult {
    /// All of them.
    #[cfg(feature = "metrics")]
    pub(super) const ALL: [Self; 4] = [Self::Written, Self::Unneeded, Self::Dropped, Self::Failed];

    /// A short name in snake case that stays the same, for the label of a counter.
    ///
    /// ```
    /// use session_core::CommitResult;
    ///
    /// assert_eq!(CommitResult::Written.label(), "written");
    /// ```
    pub const fn label(self) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Unneeded => "unneeded",
            Self::Dropped => "dropped",
            Self::Failed => "failed",
        }
    }
}

/// A commit that is over, or a handler's own save: what
/// [`Observer::committed`](crate::Observer::committed) receives.
///
/// A request that had nothing to write ends without a commit, and is not reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Commit {
    /// How it ended.
    pub result: CommitResult,
    /// How many writes it sent to the store: 1, or more after a
    /// [conflict](crate::EventKind::Conflict). 0 if it did not come to that.
    pub attempts: u32,
}

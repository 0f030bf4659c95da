//! What is reported of each request and each store call, whether or not something happened.

use std::time::Duration;

use crate::error::StoreError;
use crate::event::labels::labels;

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

labels! {
    /// The name of the method, for the label of a counter.
    ///
    /// ```
    /// use session_core::StoreOperation;
    ///
    /// assert_eq!(StoreOperation::ListOf.label(), "list_of");
    /// ```
    StoreOperation {
        Load => "load",
        Create => "create",
        Update => "update",
        Delete => "delete",
        ListOf => "list_of",
        DeleteOneOf => "delete_one_of",
        DeleteAllOf => "delete_all_of",
        DeleteExpired => "delete_expired",
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
}

labels! {
    /// A short name in snake case that stays the same, for the label of a counter.
    ///
    /// ```
    /// use session_core::StoreOutcome;
    ///
    /// assert_eq!(StoreOutcome::OutcomeUnknown.label(), "outcome_unknown");
    /// ```
    StoreOutcome {
        Done => "done",
        Absent => "absent",
        Conflict => "conflict",
        Gone => "gone",
        IdTaken => "id_taken",
        Corrupt => "corrupt",
        Unavailable => "unavailable",
        OutcomeUnknown => "outcome_unknown",
        Full => "full",
        TooLarge => "too_large",
        Unsupported => "unsupported",
        Cancelled => "cancelled",
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

/// A request that has opened its session, or found that it has none: what
/// [`Observer::opened`](crate::Observer::opened) receives.
///
/// A request that does not ask for its session opens nothing, and is not reported. Nor is one that
/// is cancelled first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Opening {
    /// What its tokens opened.
    pub result: Opened,
}

impl Opening {
    pub(crate) const fn new(result: Opened) -> Self {
        Self { result }
    }
}

/// What the tokens of a request opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Opened {
    /// A session.
    Session,
    /// The request has no token.
    NoToken,
    /// The session of its token has expired.
    Expired,
    /// None of its tokens opens a session. An event says why: `Refused`, `Reused`, or `Expired` if
    /// the session expired while the request was under way.
    Refused,
    /// The client has a good token, but the session cannot be used: the request has no proof of the
    /// device, or the values do not open.
    Unusable,
    /// The request fails, because the store did, or because a record cannot be read
    /// ([`OnCorrupt::Refuse`](crate::OnCorrupt::Refuse)).
    Failed,
}

labels! {
    /// A short name in snake case that stays the same, for the label of a counter.
    ///
    /// ```
    /// use session_core::Opened;
    ///
    /// assert_eq!(Opened::NoToken.label(), "no_token");
    /// ```
    Opened {
        Session => "session",
        NoToken => "no_token",
        Expired => "expired",
        Refused => "refused",
        Unusable => "unusable",
        Failed => "failed",
    }
}

/// How a commit ended, or a handler's own save.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CommitOutcome {
    /// The session was written, or ended.
    Written,
    /// There was nothing to write, or another request has written it.
    Unneeded,
    /// What was changed may not be stored, and was dropped. An event says why.
    Dropped,
    /// The session has ended, or was renewed, since the request opened it: what was changed was
    /// dropped. The request goes on, except for a handler that saves.
    Gone,
    /// It failed. What was written before that stays. If only activity or a rotation failed, the
    /// request goes on, and an event says so.
    Failed,
}

labels! {
    /// A short name in snake case that stays the same, for the label of a counter.
    ///
    /// ```
    /// use session_core::CommitOutcome;
    ///
    /// assert_eq!(CommitOutcome::Written.label(), "written");
    /// ```
    CommitOutcome {
        Written => "written",
        Unneeded => "unneeded",
        Dropped => "dropped",
        Gone => "gone",
        Failed => "failed",
    }
}

/// A commit that is over, or a handler's own save or touch: what
/// [`Observer::committed`](crate::Observer::committed) receives.
///
/// A request that had nothing to write usually ends without a commit, and is not reported. Nor is a
/// commit that was cancelled or did not get its turn, nor what fails after the session was saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Commit {
    /// How it ended.
    pub outcome: CommitOutcome,
    /// How many writes it sent to the store: 1, or more after a
    /// [conflict](crate::EventKind::Conflict). 0 if it did not come to that.
    pub attempts: u32,
}

//! What a save is part of.

/// What a save is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SaveKind {
    /// The handler asked for it.
    Save,
    /// The request has succeeded.
    Commit,
    /// It has succeeded, with a response that must not carry a new token.
    CommitKeepingToken,
}

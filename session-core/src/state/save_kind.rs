//! What a save is part of.

/// What a save is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SaveKind {
    /// The handler asked for it.
    Save,
    /// The handler has seen activity: that is written, and none of its changes.
    Touch,
    /// The request has succeeded.
    Commit,
    /// It has succeeded, with a response that must not carry a new token.
    CommitKeepingToken,
}

impl SaveKind {
    /// Whether a handler waits for it, and is told what went wrong.
    pub(crate) const fn is_explicit(self) -> bool {
        matches!(self, Self::Save | Self::Touch)
    }
}

//! What a request has changed under one key.

use bytestring::ByteString;

use crate::record::Value;
use crate::state::edits::{Mark, Step};

#[derive(Clone)]
pub(super) struct Entry {
    pub(super) key: ByteString,
    pub(super) start: Start,
    pub(super) started: Mark,
    /// Applied in this order to what the entry starts from.
    pub(super) then: Vec<Step>,
    /// How many of those the save that runs has applied.
    pub(super) saving: usize,
    /// What comes out of it on the values as last loaded.
    pub(super) current: Option<Value>,
    pub(super) changed: Mark,
    /// A value that this request gave the key, and that is stored. Where the session turns out to
    /// be gone, a new one begins with it.
    pub(super) kept: Option<Value>,
}

/// What a key's changes begin with.
#[derive(Clone)]
pub(super) enum Start {
    /// Whatever is stored when they are applied.
    Stored,
    /// Nothing, because this request cleared all keys.
    Cleared,
    /// A value that this request gave it, or took away.
    Set,
}

impl Entry {
    pub(super) fn stored(key: ByteString, mark: Mark, kept: Option<Value>) -> Self {
        Self {
            key,
            start: Start::Stored,
            started: mark,
            then: Vec::new(),
            saving: 0,
            current: None,
            changed: mark,
            kept,
        }
    }

    /// Whether it leaves the stored value as it is.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.start, Start::Stored) && self.then.is_empty()
    }
}

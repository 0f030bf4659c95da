//! Points in the changes of a request.

/// A point in the changes of a request: each change has a later one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark(u64);

impl Mark {
    pub(super) const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

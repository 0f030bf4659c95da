//! What a store answers to an update.

use std::sync::Arc;

use crate::record::Record;
use crate::store::RecordKey;

/// The result of an update.
///
/// A store makes one by [`saved`](Self::saved), [`conflict`](Self::conflict) or
/// [`Gone`](Self::Gone).
///
/// ```
/// use session_core::SessionId;
/// use session_core::store::Updated;
///
/// let id = SessionId::from_bytes([7; 16]);
/// assert!(matches!(Updated::saved(id, 2), Updated::Saved { version: 2, .. }));
/// assert!(matches!(Updated::conflict(None), Updated::Conflict { current: None, .. }));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Updated {
    /// The update was applied.
    #[non_exhaustive]
    Saved {
        /// The key of the record from now on.
        key: RecordKey,
        /// The version that it has now.
        version: u64,
        /// Whether the stored record is [`Update::record`](crate::store::Update::record) itself,
        /// with its tag and nothing merged. A store that does not know says `false`.
        exact: bool,
    },
    /// The record does not have the version that the update had to meet. Nothing was written.
    #[non_exhaustive]
    Conflict {
        /// The stored record, if the store has it without another command.
        current: Option<Arc<Record>>,
    },
    /// The record no longer exists. Nothing was written.
    Gone,
}

impl Updated {
    /// The update was applied: the record has this key and this version now. It may hold what
    /// others wrote too.
    ///
    /// [`Updated`] has an example.
    pub fn saved(key: impl Into<RecordKey>, version: u64) -> Self {
        Self::Saved {
            key: key.into(),
            version,
            exact: false,
        }
    }

    /// The update was applied, and the stored record is [`Update::record`] itself, with its tag.
    ///
    /// The store has found the very record that the request loaded, by its version and
    /// [tag](crate::store::Update::base_tag), or has replaced the whole record. A cache keeps such
    /// a record without loading it.
    ///
    /// [`Update::record`]: crate::store::Update::record
    ///
    /// ```
    /// use session_core::SessionId;
    /// use session_core::store::Updated;
    ///
    /// let id = SessionId::from_bytes([7; 16]);
    /// assert!(matches!(Updated::replaced(id, 2), Updated::Saved { exact: true, .. }));
    /// ```
    pub fn replaced(key: impl Into<RecordKey>, version: u64) -> Self {
        Self::Saved {
            key: key.into(),
            version,
            exact: true,
        }
    }

    /// Nothing was written, because the record has another version. The store adds the stored
    /// record, if it has the record without another command.
    ///
    /// [`Updated`] has an example.
    pub fn conflict(current: impl Into<Option<Arc<Record>>>) -> Self {
        Self::Conflict {
            current: current.into(),
        }
    }
}

//! What a store lists: records, and those of them that cannot be read.

use std::sync::Arc;

use crate::error::StoreError;
use crate::record::{Record, SessionId};

/// One of the sessions that an [index](crate::store::PrincipalIndex::list_of) finds for a
/// principal, or that a [scan](crate::store::RecordScan::scan_records) finds in a store.
///
/// A store whose records are always readable wraps each one: `records.map(Listed::from)`.
///
/// ```
/// use session_core::{Lifetime, SessionId, Timestamp};
/// use session_core::store::{Listed, Record, StoreError};
/// use std::sync::Arc;
///
/// let id = SessionId::from_bytes([7; 16]);
/// let record = Record::new(id, "id", Lifetime::default(), Timestamp::from_millis(0));
/// let readable = Listed::from(Arc::new(record));
/// assert_eq!(readable.id(), id);
/// assert!(readable.record().is_some());
///
/// let error = StoreError::corrupt("the checksum differs");
/// let damaged = Listed::unreadable(id, error);
/// assert_eq!(damaged.id(), id);
/// assert!(damaged.record().is_none());
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Listed {
    /// A record. An index returns live ones; a scan also returns expired ones and marks.
    Record(Arc<Record>),
    /// A record that cannot be read. It may have expired. Made by
    /// [`unreadable`](Self::unreadable).
    #[non_exhaustive]
    Unreadable {
        /// The id under which it is stored.
        id: SessionId,
        /// Why it cannot be read: [`StoreError::Corrupt`], as `load` of this id would return it.
        error: StoreError,
    },
}

impl Listed {
    /// A record that is stored under this id and cannot be read, with the error that `load` of this
    /// id would return.
    ///
    /// [`Listed`] has an example.
    pub fn unreadable(id: SessionId, error: StoreError) -> Self {
        Self::Unreadable { id, error }
    }

    /// The id under which the session is stored.
    pub fn id(&self) -> SessionId {
        match self {
            Self::Record(record) => record.id(),
            Self::Unreadable { id, .. } => *id,
        }
    }

    /// The record, if it can be read.
    pub fn record(&self) -> Option<&Arc<Record>> {
        match self {
            Self::Record(record) => Some(record),
            Self::Unreadable { .. } => None,
        }
    }
}

impl From<Arc<Record>> for Listed {
    fn from(record: Arc<Record>) -> Self {
        Self::Record(record)
    }
}

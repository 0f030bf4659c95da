//! The key of a record in its store.

use std::fmt;

use bytestring::ByteString;

use crate::record::SessionId;

/// The key of a record in its store.
///
/// A store on the server uses [`Id`](Self::Id). For a sealed store the key is the sealed record
/// itself, so each write returns a new one.
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecordKey {
    /// The id of the session.
    Id(SessionId),
    /// A sealed record, as the client presented it. It may be hostile input. Made by
    /// [`sealed`](Self::sealed).
    #[non_exhaustive]
    Sealed {
        /// The scope for which it should have been sealed.
        scope: ByteString,
        /// The sealed record.
        token: ByteString,
    },
}

impl RecordKey {
    /// The key of a sealed record.
    ///
    /// [`id`](Self::id) has an example.
    pub fn sealed(scope: impl Into<ByteString>, token: impl Into<ByteString>) -> Self {
        Self::Sealed {
            scope: scope.into(),
            token: token.into(),
        }
    }

    /// The id, if this is a key for a store on the server.
    ///
    /// ```
    /// use session_core::SessionId;
    /// use session_core::store::RecordKey;
    ///
    /// let id = SessionId::from_bytes([7; 16]);
    /// assert_eq!(RecordKey::from(id).id(), Some(id));
    /// let sealed = RecordKey::sealed("__Host-id", "AAAA");
    /// assert_eq!(sealed.id(), None);
    /// ```
    pub const fn id(&self) -> Option<SessionId> {
        match self {
            Self::Id(id) => Some(*id),
            Self::Sealed { .. } => None,
        }
    }
}

impl From<SessionId> for RecordKey {
    fn from(id: SessionId) -> Self {
        Self::Id(id)
    }
}

impl fmt::Debug for RecordKey {
    /// Shows the short hash of an id, and nothing of a sealed record.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "RecordKey({})", id.short()),
            Self::Sealed { .. } => f.write_str("RecordKey(sealed)"),
        }
    }
}

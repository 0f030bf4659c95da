//! The two layouts behind one set of functions.

use std::sync::Arc;

use redis::{Cmd, Value as Reply};
use session_core::SessionId;
use session_core::store::{Record, StoreError};

use super::{fields, packed};

/// How sessions are stored in Redis. [`RedisStoreBuilder::layout`] sets which layout a store
/// writes. All laws hold in both.
///
/// The crate's documentation says [which to choose](crate#which-layout).
///
/// [`RedisStoreBuilder::layout`]: crate::RedisStoreBuilder::layout
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Layout {
    /// A hash with a field for each value. People and other languages can read it. If requests of
    /// one session change different keys, the server merges their changes.
    #[default]
    Fields,
    /// One text of the whole session, which a write replaces if the version matches. It costs the
    /// server less memory and work. If two requests of one session write at once, the second one
    /// writes again, on top of the first.
    Packed,
}

impl Layout {
    /// The command that reads a session of this layout, and is refused for one of the other.
    pub(crate) const fn read_command(self) -> &'static str {
        match self {
            Self::Fields => "HGETALL",
            Self::Packed => "GET",
        }
    }

    /// The argument that tells the scripts which layout to expect.
    pub(crate) const fn hint(self) -> &'static str {
        match self {
            Self::Fields => "",
            Self::Packed => "packed",
        }
    }

    /// About how many arguments and bytes [`put_record`](Self::put_record) adds.
    pub(crate) fn sizes(self, record: &Record) -> (usize, usize) {
        match self {
            Self::Fields => fields::sizes(record),
            Self::Packed => packed::sizes(record),
        }
    }

    /// Adds a session to a command, as the scripts take it.
    pub(crate) fn put_record(self, record: &Record, command: &mut Cmd) {
        match self {
            Self::Fields => fields::put_record(record, command),
            Self::Packed => packed::put_record(record, command),
        }
    }
}

/// The record in the answer to a read, or in a conflict. The form of the answer tells the layout.
pub(crate) fn read_record(id: SessionId, reply: Reply) -> Result<Option<Arc<Record>>, StoreError> {
    match reply {
        Reply::Nil => Ok(None),
        Reply::BulkString(text) => packed::read_record(id, &text.into()).map(Some),
        reply => fields::read_record(id, reply),
    }
}

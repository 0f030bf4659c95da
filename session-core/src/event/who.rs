//! Whom an event is about.

use bytestring::ByteString;

use crate::record::{Record, SessionId, ShortId};

/// The session and the principal of an event, kept longer than the record.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    pub(crate) id: SessionId,
    pub(crate) principal: Option<ByteString>,
}

impl Who {
    pub(crate) fn of(record: &Record) -> Self {
        Self {
            id: record.id,
            principal: record.principal.clone(),
        }
    }
}

/// The same as far as it is known, borrowed.
#[derive(Clone, Copy, Default)]
pub(super) struct Subject<'a> {
    pub(super) session: Option<SessionId>,
    pub(super) principal: Option<&'a str>,
}

impl<'a> Subject<'a> {
    pub(super) const fn new(session: Option<SessionId>, principal: Option<&'a str>) -> Self {
        Self { session, principal }
    }

    /// The form of the session's id for logs and observers.
    pub(super) fn short(self) -> Option<ShortId> {
        self.session.map(|id| id.short())
    }
}

impl<'a> From<&'a Record> for Subject<'a> {
    fn from(record: &'a Record) -> Self {
        Self::new(Some(record.id), record.principal())
    }
}

impl<'a> From<&'a Who> for Subject<'a> {
    fn from(who: &'a Who) -> Self {
        Self::new(Some(who.id), who.principal.as_deref())
    }
}

impl<'a> From<Option<&'a Who>> for Subject<'a> {
    fn from(who: Option<&'a Who>) -> Self {
        who.map_or_else(Self::default, Self::from)
    }
}

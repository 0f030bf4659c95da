//! Sessions that a request has ended and that are still to be deleted.

use crate::event::Who;
use crate::record::EndReason;
use crate::state::SaveKind;
use crate::store::RecordKey;

/// A session to be deleted.
#[derive(Clone)]
pub(crate) struct PendingDeletion {
    pub(crate) key: RecordKey,
    pub(crate) who: Who,
    /// The client presented a token of it, and is told once it is deleted.
    pub(crate) client_knows: bool,
    pub(crate) by: DeletedBy,
}

/// What ended a session in this request, which decides when it is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeletedBy {
    /// The handler's word: any save deletes it, and so does an abort.
    Handler,
    /// Another principal has signed in, or its own, because its values cannot be read. It is
    /// deleted with the commit only, so that whoever signs in keeps the old session until the new
    /// one is there.
    SignIn,
    /// Its own principal has signed in anew, because the client has lost the proof of its device.
    /// It is deleted with the commit only too.
    SignInAnew,
}

impl PendingDeletion {
    pub(crate) const fn reason(&self) -> EndReason {
        match self.by {
            DeletedBy::SignIn => EndReason::Exchanged,
            DeletedBy::SignInAnew => EndReason::Unproven,
            DeletedBy::Handler => EndReason::Destroyed,
        }
    }

    /// Whether it is a session of which the client has no proof.
    pub(crate) fn is_unproven(&self) -> bool {
        self.by == DeletedBy::SignInAnew
    }

    /// Whether it is a session of this principal, and not a guest's.
    pub(crate) fn is_of(&self, principal: Option<&str>) -> bool {
        principal.is_some() && self.who.principal.as_deref() == principal
    }

    /// Whether a save of this kind deletes it.
    pub(crate) fn is_due(&self, kind: SaveKind) -> bool {
        self.by == DeletedBy::Handler || kind == SaveKind::Commit
    }
}

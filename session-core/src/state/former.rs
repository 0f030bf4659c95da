//! The last session that a handle had.

use crate::record::{EndReason, SessionId};
use crate::state::{PendingDeletion, Stored};

/// No session has a later epoch.
pub(super) const ANY_EPOCH: u64 = u64::MAX;

/// A session that a handle had.
#[derive(Clone, Copy)]
pub(crate) struct Former {
    pub(super) id: SessionId,
    pub(super) epoch: u64,
    /// Why this handle ended it; none if somebody else did.
    pub(super) reason: Option<EndReason>,
}

impl Former {
    /// One that this handle has ended.
    pub(super) fn deleted(done: &PendingDeletion) -> Self {
        Self {
            id: done.who.id,
            epoch: ANY_EPOCH,
            reason: Some(done.reason()),
        }
    }

    /// One that ended, or was renewed, under this handle.
    pub(super) fn gone(stored: &Stored) -> Self {
        Self {
            id: stored.record.id,
            epoch: stored.record.epoch,
            reason: None,
        }
    }
}

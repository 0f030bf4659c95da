//! The session of a request as the store has it, and those that the request has ended.

use std::sync::Arc;

use crate::event::Who;
use crate::record::{EndReason, Record, TokenMaintenance};
use crate::store::Key;
use crate::token::{Rotation, Secret};

/// The session as the store has it: loaded, or last saved.
pub(crate) struct Stored {
    pub(crate) key: Key,
    pub(crate) record: Arc<Record>,
    /// What the client's token proves; none with a sealed store.
    pub(crate) secret: Option<Secret>,
    /// The client presented a token of it.
    pub(crate) held: bool,
    /// The token was signed with an older key.
    pub(crate) old_key: bool,
    /// Others wrote too when this was last saved; load it before relying on its version.
    pub(crate) stale: bool,
    /// The client presented the token of this secret; it was not issued in this request.
    pub(crate) presented: bool,
    /// What a presented token asks of the commit.
    pub(crate) upkeep: TokenMaintenance,
}

impl Stored {
    /// Takes note of another record of the session.
    pub(crate) fn replace(&mut self, record: Arc<Record>, rotation: &Rotation) {
        self.record = record;
        self.upkeep = match &self.secret {
            Some(secret) if self.presented => {
                let rules = rotation.rules_for(&self.record);
                self.record.tokens.maintenance(&secret.hash(), &rules)
            }
            _ => TokenMaintenance::default(),
        };
    }

    pub(crate) fn deletions(self, implied: bool) -> PendingDeletion {
        PendingDeletion {
            who: Who::of(&self.record),
            key: self.key,
            held: self.held,
            implied,
        }
    }
}

/// A session that was destroyed.
#[derive(Clone)]
pub(crate) struct PendingDeletion {
    pub(crate) key: Key,
    pub(crate) who: Who,
    pub(crate) held: bool,
    /// Not by the handler's word, but because somebody else signed in: that waits for the commit.
    pub(crate) implied: bool,
}

impl PendingDeletion {
    pub(crate) const fn reason(&self) -> EndReason {
        match self.implied {
            true => EndReason::Exchanged,
            false => EndReason::Destroyed,
        }
    }
}

//! One write, as it was planned.

use std::sync::Arc;

use crate::event::Who;
use crate::record::Record;
use crate::state::Savepoint;
use crate::state::{MetadataEdits, SaveKind};
use crate::store::{Changes, Key, Metadata};
use crate::token::Secret;

/// One write.
pub(crate) struct PlannedWrite {
    /// Whether the record is a new one.
    pub(crate) creates: bool,
    pub(crate) record: Arc<Record>,
    pub(crate) secret: Option<Secret>,
    /// What names the record that is updated.
    pub(crate) key: Key,
    pub(crate) changes: Changes,
    pub(crate) expected: Option<u64>,
    /// The epoch that was loaded.
    pub(crate) epoch: u64,
    /// The record is to be loaded again before it can be relied on.
    pub(crate) reload: bool,
    /// The handler's session that this is for: a destroyed one has another number.
    pub(crate) generation: u32,
    /// The client is to hear of its unchanged token again.
    pub(crate) again: bool,
    pub(crate) savepoint: Savepoint,
    /// The intents that it carries out.
    pub(crate) metadata: MetadataEdits,
}

impl PlannedWrite {
    /// Whether it records activity, rotates, confirms a token, and does nothing that anybody asked
    /// for.
    pub(crate) fn is_upkeep(&self) -> bool {
        self.changes.keeps_values() && self.metadata.is_empty()
    }

    /// Whether nothing is lost if it fails.
    pub(crate) fn may_fail(&self, kind: SaveKind) -> bool {
        !self.creates && kind != SaveKind::Save && self.is_upkeep()
    }

    /// Whether it rotates or confirms a token.
    pub(crate) fn moves_tokens(&self) -> bool {
        self.changes.metadata() == Metadata::Replaced
    }

    /// Who signs in by it.
    pub(crate) fn signed_in(&self) -> Option<Who> {
        let signs_in = self.metadata.sign_in.is_some();
        signs_in.then(|| Who::of(&self.record))
    }

    /// Whether it puts a successor beside the token by the schedule.
    pub(crate) fn rotates(&self) -> bool {
        !self.creates && self.secret.is_some() && self.renews().is_none()
    }

    /// Whether it renews, and whether that is a sign-in.
    pub(crate) fn renews(&self) -> Option<bool> {
        self.metadata
            .renews()
            .then_some(self.metadata.sign_in.is_some())
    }
}

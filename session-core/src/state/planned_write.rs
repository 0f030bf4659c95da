//! One write, as it was planned.

use std::sync::Arc;

use crate::record::Record;
use crate::state::{Basis, MetadataEdits, Savepoint};
use crate::store::{Metadata, RecordKey, Update};
use crate::token::Secret;

/// The session becomes a new record.
pub(crate) struct PlannedCreate {
    pub(crate) record: Arc<Record>,
    /// What its token proves; none with a sealed store.
    pub(crate) secret: Option<Secret>,
    /// What it carries out.
    pub(crate) metadata: MetadataEdits,
    pub(crate) savepoint: Savepoint,
}

/// A stored session changes.
pub(crate) struct PlannedUpdate {
    /// What names the record.
    pub(crate) key: RecordKey,
    /// What is written.
    pub(crate) update: Update,
    pub(crate) token: TokenChange,
    /// What it carries out.
    pub(crate) metadata: MetadataEdits,
    pub(crate) savepoint: Savepoint,
}

/// A stored session has to be loaded again before it is known what to write.
pub(crate) struct PlannedReload {
    pub(crate) key: RecordKey,
    /// What it was planned for.
    pub(crate) basis: Basis,
    /// No handler asked for what is to be written.
    pub(crate) is_maintenance: bool,
}

/// What an update does to the client's token.
pub(crate) enum TokenChange {
    Keep,
    /// The same token is sent once more.
    SendAgain,
    /// The token of this secret takes its place, by a renewal or by rotation.
    Replace(Secret),
}

impl PlannedUpdate {
    /// The record as this request leaves it.
    pub(crate) fn record(&self) -> &Arc<Record> {
        self.update.record()
    }

    /// What it was planned for.
    pub(crate) fn basis(&self) -> Basis {
        Basis {
            epoch: self.update.epoch(),
            mark: self.savepoint.mark,
        }
    }

    /// Whether it records activity, rotates or confirms a token, and does nothing that a handler
    /// asked for.
    pub(crate) fn is_maintenance(&self) -> bool {
        self.update.changes().keeps_values() && self.metadata.is_empty()
    }

    /// Whether it rotates or confirms a token.
    pub(crate) fn moves_tokens(&self) -> bool {
        self.update.changes().metadata() == Metadata::Replaced
    }

    /// Whether it binds the session to a device.
    pub(crate) fn binds(&self) -> bool {
        self.metadata.binds
    }

    /// Whether it puts a successor beside the token by the schedule.
    pub(crate) fn rotates(&self) -> bool {
        matches!(self.token, TokenChange::Replace(_)) && !self.metadata.renews()
    }
}

//! One session in one request: no I/O, no lock, no await.

mod barred;
mod cell;
mod edits;
mod flashes;
mod metadata_edits;
mod plan;
mod planned_write;
mod signing;
mod state;
mod stored;

pub(crate) use barred::Barred;
pub(crate) use cell::Cell;
pub(crate) use edits::{Edits, Removal, Savepoint, UpdateFn};
pub(crate) use flashes::{FLASH_PREFIX, Flashes};
pub(crate) use metadata_edits::{MetadataEdits, Requested, SaveKind};
pub(crate) use plan::Plan;
pub(crate) use planned_write::PlannedWrite;
pub(crate) use signing::Guest;
pub(crate) use state::{Phase, State};
pub(crate) use stored::{PendingDeletion, Stored};

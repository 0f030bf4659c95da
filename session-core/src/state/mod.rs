//! One session in one request: no I/O, no lock, no await.
//!
//! [`Cell`] has the lock around the [`State`]. A handler changes [`Edits`] (values) and
//! [`MetadataEdits`]; `State::plan` decides what a save writes; `outcome` takes in what the store
//! answered and says what the client is told.

mod cell;
mod deletion;
mod edits;
mod flashes;
mod guest;
mod metadata_edits;
mod outcome;
mod plan;
mod planned_write;
mod save_kind;
mod sign_in;
mod size;
mod state;
mod stored;
mod values;

pub(crate) use cell::Cell;
pub(crate) use deletion::{DeletedBy, PendingDeletion};
pub(crate) use edits::{Edits, Mark, OwnValues, Removal, Savepoint, UpdateFn};
pub(crate) use flashes::{FLASH_PREFIX, Flashes};
pub(crate) use guest::Guest;
pub(crate) use metadata_edits::{MetadataEdits, Requested};
pub(crate) use plan::Plan;
pub(crate) use planned_write::{PlannedCreate, PlannedReload, PlannedUpdate, TokenChange};
pub(crate) use save_kind::SaveKind;
pub(crate) use size::Size;
pub(crate) use state::{Basis, Phase, State};
pub(crate) use stored::{Announce, Current, Due, Stored, TokenState};

#[cfg(test)]
mod tests;

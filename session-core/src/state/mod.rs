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
pub(crate) use edits::{Pending, Removal, Taken, UpdateFn};
pub(crate) use flashes::{FLASH_PREFIX, Flashes};
pub(crate) use metadata_edits::{Asked, Intent, Occasion, issued};
pub(crate) use plan::Plan;
pub(crate) use planned_write::Job;
pub(crate) use signing::Guest;
pub(crate) use state::{Phase, State};
pub(crate) use stored::{Base, Doomed};

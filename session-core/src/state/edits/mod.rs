//! What a request has changed of the values and not yet saved.
//!
//! [`Edits`] has an [`Entry`] for each changed key, with the [`Step`]s that are applied to it. A
//! save takes a [`Savepoint`]; what it has written is acknowledged, and what came after it stays.
//! Where another request wrote meanwhile, the steps are replayed on what is stored by then (law 1).

mod edits;
mod entry;
mod mark;
mod removal;
mod steps;
mod take_out;

pub(crate) use edits::{Edits, OwnValues, Savepoint};
use entry::{Entry, Start};
pub(crate) use mark::Mark;
pub(crate) use removal::Removal;
use steps::Step;
pub(crate) use steps::{Replay, UpdateFn};

#[cfg(test)]
mod tests;

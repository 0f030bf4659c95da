//! What the tests of the whole workspace are made of.
//!
//! - [`sim`]: polls any number of tasks in an order drawn by a seed, on a clock that stands still.
//! - Stores that wrap another, each an [`Around`] with a [`Hook`]: [`YieldStore`] gives way at
//!   every call, [`SlowStore`] takes its time, [`CountingStore`] counts calls, [`FaultStore`] fails
//!   on purpose, [`TimelessStore`] lets nothing expire.
//! - [`stage`] and [`patient`]: managers over them.
//! - [`ReplaceStore`]: the simplest store on a server, which can only replace a record by its
//!   version.
//! - [`FieldStore`]: keeps each value by itself and merges updates field by field, as engines with
//!   hashes or documents do.
//! - [`Backend`]: the stores that a law is shown on.
//! - [`load`]: readers and writers that never rest, while the servers below them fail.
//! - [`MigratingSite`]: nodes that move sessions from one store to another.
//! - [`script`]: requests as lists of operations, with what they come to one after the other.
//! - [`sealed`]: what is asked of sealed values on each server.
//! - [`servers`]: real servers as child processes. [`Proxy`]: what happens to them on the way
//!   there.
//! - [`feed`]: a server that tells nodes with caches what has changed, over a network that
//!   fails.
//! - [`story`]: a client and its handlers, step by step.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "what fails in here fails the test"
)]

mod around;
mod backend;
mod cached;
mod cases;
mod client;
mod counting;
mod fault;
pub mod feed;
mod fields;
pub mod load;
mod map;
mod migrating;
mod pausing;
mod proxy;
mod replace;
mod rng;
pub mod script;
pub mod sealed;
pub mod servers;
pub mod sim;
mod stage;
pub mod story;
mod timeless;

pub use around::{Around, Call, Hook};
pub use backend::Backend;
pub use cases::cases;
pub use client::{anonymous, create, numbers, open, sign_in, token_of};
pub use counting::{CountingStore, Counts};
pub use fault::{Fault, FaultStore};
pub use fields::FieldStore;
pub use map::{Entry, MapStore};
pub use migrating::{MigratingSite, Node};
pub use pausing::{SlowStore, YieldStore};
pub use proxy::Proxy;
pub use replace::ReplaceStore;
pub use rng::Rng;
pub use sim::Sim;
pub use stage::{Counted, PATIENCE, patient, patient_timeouts, stage};
pub use timeless::TimelessStore;

/// README's examples compile, and those that end are run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

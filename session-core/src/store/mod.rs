//! The contract of a store, what it is asked for, and the stores that need no server.
//!
//! A store knows records and nothing of requests: everything above this folder reaches it by the
//! trait alone. `contract` is the trait, `forward` implements it for pointers. `key`, `update`,
//! `changes` and `listed` are its arguments and results. `memory` and `migrating` are stores, and
//! `conformance` is the suite that every store has to pass.
//!
//! # Decisions
//!
//! - **[`Update::apply_to`] decides between applied, conflict and gone**, in one function that a
//!   store calls under its lock. So a custom store is some 80 lines, and cannot get the order of
//!   the checks wrong.
//! - **[`Metadata`] has three cases.** Unchanged and touched metadata merge. Everything else is
//!   replaced as a whole, and states the version that it must meet. So a store need not know the
//!   fields.
//! - **The scope is part of [`Key::Sealed`]**, so that one cookie store serves several layers, each
//!   with its own keys.
//! - **The store is passed the mark** ([`Ended`](crate::Ended)) and does not make one by its own
//!   clock: the arguments of `delete` alone decide the time and the reason. `list` and
//!   `delete_expired` are passed the time for the same reason.
//! - **`load` may return an expired record.** Otherwise an expiry could not be told from a token
//!   that was never issued. The manager opens no session by it.
//! - **Principals are of the whole store**, not of a scope: a record has its scope, so whoever
//!   lists the sessions of a principal can tell them apart. `delete_one` ends one of them by its
//!   id.
//! - **There is no conditional delete** (by owner, epoch or version). By owner it would be
//!   `delete_one` with another name. By epoch it would save the rounds in which the manager ends a
//!   session whose token was reused. [`MigratingStore`] would keep its rounds, because a session
//!   that is just moving has to arrive before it can end. Each store would have two more conditions
//!   to keep in its script or filter, and the suite two more cases, for thirty lines less here.

mod changes;
#[cfg(feature = "conformance")]
pub mod conformance;
mod contract;
mod forward;
mod key;
mod listed;
mod memory;
mod migrating;
mod update;

pub use changes::{Changes, Metadata};
pub use contract::{Capability, Durability, SessionStore, Updated};
pub use key::Key;
pub use listed::Listed;
pub use memory::MemoryStore;
pub use migrating::MigratingStore;
pub use update::{Applied, OwnedUpdate, Update};

//! The contract of a store, what a store is asked for, and the stores that need no server.
//!
//! - **`Update::apply_to` decides.** Applied, conflict or gone is one function, which a store calls
//!   under its lock. So a store of your own is some 80 lines, and cannot get the order of checks wrong.
//! - **`Metadata` has three cases.** Unchanged and touched metadata merge. All other metadata is
//!   replaced as a whole, and then the update states the version that it must meet. So a store need
//!   not know the fields.
//! - **Version and time last seen are kept beside the metadata** by a store that keeps fields
//!   (`Record::from_parts`). They are what every update and every touch moves, and a merge must not
//!   write the rest.
//! - **The scope is part of `Key::Sealed`**, so that one sealed store serves several layers, each with
//!   keys of its own.
//! - **The store is handed the mark of an ended session** (`Ended`). It does not make one by its own
//!   clock: a deletion knows the time and the reason by its argument alone.
//! - **`load` may return an expired record.** Otherwise an expiry could not be told from a stranger's
//!   token. The manager decides who is let in.
//! - **Every call is handed the time**, `list` and `delete_expired` too. No store has a clock.
//! - **Principals belong to the whole store**, not to a scope. Records have their scope, so a caller
//!   that lists them can tell.

mod changes;
#[cfg(feature = "conformance")]
pub mod conformance;
mod contract;
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

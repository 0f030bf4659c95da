//! The contract of a store, what a store is asked for, and the stores that need no server.

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

//! The contract of a store, and the types that it uses.
//!
//! This module is for authors of stores: implement [`SessionStore`], and run the suite
//! `conformance` (a feature) over your store. A store knows about records, but nothing about
//! requests. An application needs [`MigratingStore`] while it moves to another store, and
//! [`StoreError`] to tell one failure of a store from another. It needs nothing else of this
//! module.
//!
//! - [`SessionStore`] is the contract. [`RecordLocation`] and [`Durability`] are what a store
//!   states about itself.
//! - [`PrincipalIndex`] is the optional part of the contract: listing and ending the sessions of a
//!   principal.
//! - [`RecordScan`] is another optional part, for the tools of operators: reading a whole store in
//!   pages, and mending its index.
//! - [`RecordKey`], [`Record`], [`Update`] and [`Changes`] are the arguments of its methods;
//!   [`Updated`], [`Listed`] and [`StoreError`] are the results.
//! - [`Value`] and [`Values`] are what a record holds, each value encoded.
//! - [`forward_store!`] writes the methods of a store that passes all calls to another one.
//! - [`MigratingStore`] moves sessions from one store to another while both serve.

// Decisions
//
// - **`Update::replace_in` decides between saved, conflict and gone**, in one function that a
//   store calls under its lock. So a custom store is some 60 lines, and cannot get the order of
//   the checks wrong.
// - **`Update` is owned.** A store that carries updates out in a task of its own clones one, and
//   the manager moves its changes into one, so neither needs a second type that borrows.
// - **`Metadata` has three cases.** Unchanged and touched metadata merge. Everything else is
//   replaced as a whole, and states the version that it must meet. So a store need not know the
//   fields.
// - **The scope is part of `RecordKey::Sealed`**, so that one cookie store serves several layers,
//   each with its own keys.
// - **The store is passed the mark** (`Ended`) and does not make one by its own
//   clock: the arguments of `delete` alone decide the time and the reason. `list_of` and
//   `delete_expired` are passed the time for the same reason.
// - **`load` may return an expired record.** Otherwise an expiry could not be told from a token
//   that was never issued. The manager opens no session by it.
// - **Principals are of the whole store**, not of a scope: a record has its scope, so whoever
//   lists the sessions of a principal can tell them apart. `delete_one_of` ends one by its
//   id.
// - **The index of principals is a trait of its own**, so that the compiler sees to it that a store
//   has all three methods or none, and the builder sees which. A default method for each would let
//   a wrapper forward two of them and forget the third.
// - **The scan is a trait of its own too**, and no request needs it. Only a store that keeps an
//   index apart from its records has something to mend. So both methods about the index have a
//   default.
// - **A cursor is bytes that the store alone understands**, and not a position: a server moves what
//   it keeps while it is read. Its text ends with a check, because people copy it.
// - **There is no conditional delete** (by owner, epoch or version). By owner it would be
//   `delete_one_of` with another name. By epoch it would save the rounds in which the manager ends
//   a session whose token was reused. `MigratingStore` would keep its rounds, because a session
//   that is just moving has to arrive before it can end. Each store would have two more conditions
//   to keep in its script or filter, and the suite two more cases, for thirty lines less here.
//   A tool that ends what cannot be read does need one, `delete_unreadable`: between its look and
//   its deletion a node of a newer version can write.

mod cached;
mod changes;
#[cfg(feature = "conformance")]
pub mod conformance;
mod contract;
mod forward;
mod key;
mod listed;
mod lock;
pub(crate) mod memory;
mod migrating;
mod principal_index;
mod record_scan;
mod revalidated;
mod scan_cursor;
mod update;
mod updated;

pub use async_trait::async_trait;
pub use bytestring::ByteString;

pub use crate::crypto::{DerivedKey, Purpose};
pub use crate::error::{Cause, StoreError};
pub use crate::record::{FormatError, MalformedTag, Record, Tag, Value, Values};
pub use cached::{CacheStats, CachedStore, ChangeFeed, Invalidations, NearCache};
pub use changes::{Changes, Metadata};
pub use contract::{Durability, RecordLocation, SessionStore, index_of, scan_of};
#[doc(inline)]
pub use forward::forward_store;
pub use key::RecordKey;
pub use listed::Listed;
pub use migrating::MigratingStore;
pub use principal_index::PrincipalIndex;
pub use record_scan::{IndexMend, IndexPage, RecordScan, ScanPage};
pub use revalidated::Revalidated;
pub use scan_cursor::{MalformedCursor, ScanCursor};
pub use update::Update;
pub use updated::Updated;

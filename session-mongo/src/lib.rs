#![doc = include_str!("../docs/manual.md")]
// On docs.rs an item that needs a feature says so.
#![cfg_attr(docsrs, feature(doc_cfg))]

// Imports run down this list, and never up:
//
// builder      from settings to a store
// store, near  the store of applications; what ends and renews the leases of its cache
// indexes, probe, inspect      what `connect` does at a server
// direct       the contract without a cache, and the deadline of each call
// delete, update, sessions     the operations on the collection
// shared_updates, loads        those of many requests in one command
// document, mark, bson         what is stored
// together, detach, known_time, fault     how the driver is asked, and what its errors say
// uri, tls, settings, error    what is wrong with a setting, whatever the server is
mod bson;
mod builder;
mod delete;
mod detach;
mod direct;
mod document;
mod error;
mod fault;
mod indexes;
mod inspect;
mod known_time;
mod loads;
mod mark;
#[cfg(feature = "metrics")]
mod meters;
mod near;
mod probe;
mod scan;
mod sessions;
mod settings;
mod shared_updates;
mod store;
mod tls;
mod together;
mod update;
mod uri;

pub use builder::{MongoStoreBuilder, Source};
pub use error::ConnectError;
pub use session_core::store::{CacheStats, NearCache};
pub use store::MongoStore;

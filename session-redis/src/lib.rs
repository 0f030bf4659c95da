#![doc = include_str!("../docs/manual.md")]
// Inside, imports run down only, from floor to floor: builder, store, direct, index, commands,
// layout, connection, config, error. The head of each folder says what is decided there.
//
// On docs.rs an item that needs a feature says so.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod builder;
mod commands;
mod config;
mod connection;
mod direct;
mod error;
mod index;
mod layout;
mod scan;
mod store;

pub use builder::RedisStoreBuilder;
pub use config::Source;
pub use error::ConnectError;
pub use layout::Layout;
pub use session_core::store::{CacheStats, NearCache};
pub use store::RedisStore;

//! Sessions for any transport, on a store you choose.
//!
//! This crate knows everything about sessions and nothing about HTTP (that is
//! `session-http`) or databases (a crate each). Most applications need
//! `session-http` only; this is for store authors, and for sessions over something else.
//!
//! ```
//! use session_core::{Directive, MemoryStore, SessionManager};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let manager = SessionManager::new(MemoryStore::new());
//!
//! // A request without a token. Nothing is stored until something is inserted.
//! let session = manager.open(&[]).await?;
//! session.sign_in("user:42")?;
//! session.insert("colour", "blue")?;
//! let Directive::Hold(token) = manager.commit(&session).await? else { unreachable!() };
//!
//! // The next one brings it.
//! let session = manager.open(&[token.as_str()]).await?;
//! assert_eq!(session.principal().as_deref(), Some("user:42"));
//! session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1)?;
//! manager.commit(&session).await?;
//! # Ok::<_, session_core::Error>(()) }).unwrap();
//! ```
//!
//! # The parts
//!
//! - [`SessionManager`] opens sessions by tokens and commits them; its builder has the settings.
//! - [`Session`] is the handle of a handler: a dictionary, and what happens to the session itself.
//! - [`SessionStore`] is the contract for whatever keeps sessions; [`MemoryStore`] is one, the
//!   suite `conformance` (a feature) shows whether yours is one too.
//! - [`Record`], [`Changes`] and [`Update`] are what a store deals with.
//! - [`KeyRing`], [`Lifetime`], [`Rotation`], [`Limits`], [`Codec`], [`Clock`] are settings.
//!
//! # Events
//!
//! What happens to sessions is told to an [`Observer`], and through `tracing` with the target
//! `session`: [`EventKind`] has the list. Sessions appear by the short hash of their id.
//!
//! # Feature
//!
//! `conformance`: the suite for stores.

// On docs.rs what takes a feature says so.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod ahead;
mod arena;
mod attempts;
mod barred;
mod base;
mod builder;
mod cap;
mod changes;
mod clock;
mod codec;
mod commit;
#[cfg(feature = "conformance")]
pub mod conformance;
mod csrf;
mod directive;
mod ended;
mod error;
mod event;
mod faithful;
mod flash;
mod format;
mod id;
mod in_time;
mod intent;
mod job;
mod keys;
mod lifecycle;
mod lifetime;
mod limits;
mod listed;
mod loading;
mod manager;
mod manual_clock;
mod memory;
mod migrating;
mod observer;
mod open;
mod pending;
mod plan;
mod principals;
mod queue;
mod recent;
mod record;
mod reuse;
mod rotation;
mod round_trips;
mod rules;
mod same;
mod session;
mod signing;
mod state;
mod store;
mod taking;
mod throttle;
mod token;
mod values;
mod write;

pub use async_trait::async_trait;
pub use builder::{Deadlines, ManagerBuilder, OnCorrupt};
pub use bytestring::ByteString;
pub use cap::OnMaxSessions;
pub use changes::{Applied, Changes, Metadata, OwnedUpdate, Update};
pub use clock::{Clock, Sleep, SystemClock, Timestamp};
pub use codec::{Codec, CodecFault, Value};
pub use directive::{ClientToken, Directive};
pub use ended::{EndReason, Ended};
pub use error::{Cause, ConfigError, Error, StoreError};
pub use format::FormatError;
pub use id::{MalformedId, SessionId, ShortId};
pub use keys::{DerivedKey, KeyError, KeyRing, Purpose};
pub use lifetime::Lifetime;
pub use limits::{LimitExceeded, Limits};
pub use listed::Listed;
pub use manager::SessionManager;
pub use manual_clock::ManualClock;
pub use memory::MemoryStore;
pub use migrating::MigratingStore;
pub use observer::{Event, EventKind, Observer};
pub use principals::SessionInfo;
pub use record::{Record, TokenHash};
pub use rotation::{OnReuse, Rotation};
pub use round_trips::{RoundTripError, round_trips};
pub use session::Session;
pub use store::{Capability, Durability, Key, SessionStore, Updated};
pub use values::Values;

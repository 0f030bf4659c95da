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

mod config_error;
mod crypto;
mod error;
mod event;
mod manager;
mod record;
mod request;
mod session;
mod settings;
mod state;
mod store;
mod time;
mod token;

pub use async_trait::async_trait;
pub use bytestring::ByteString;
pub use config_error::ConfigError;
pub use crypto::{DerivedKey, KeyError, KeyRing, Purpose};
pub use error::{Cause, Error, StoreError};
pub use event::{Event, EventKind, Observer};
pub use manager::{ManagerBuilder, SessionManager};
pub use record::{
    Codec, CodecFault, EndReason, Ended, FormatError, Lifetime, LimitExceeded, Limits, MalformedId,
    Record, RoundTripError, SessionId, ShortId, TokenHash, Value, Values, round_trips,
};
pub use request::SessionInfo;
pub use session::Session;
pub use settings::{Deadlines, OnCorrupt, OnMaxSessions, OnReuse};
#[cfg(feature = "conformance")]
pub use store::conformance;
pub use store::{
    Applied, Capability, Changes, Durability, Key, Listed, MemoryStore, Metadata, MigratingStore,
    OwnedUpdate, SessionStore, Update, Updated,
};
pub use time::{Clock, ManualClock, Sleep, SystemClock, Timestamp};
pub use token::{ClientToken, Directive, Rotation};

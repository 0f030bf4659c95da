//! Sessions for any transport, on a store you choose.
//!
//! This crate knows everything about sessions, but nothing about HTTP, which is the task of
//! `session-http`, or about databases, each of which has its own crate. Most applications need only
//! `session-http`. Use this crate to write a store, or for sessions over another transport.
//!
//! ```
//! use session_core::{Directive, MemoryStore, Outcome, SessionManager};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let manager = SessionManager::new(MemoryStore::new());
//!
//! // A request without a token. Nothing is stored until something is inserted.
//! let session = manager.begin(&[]).await?;
//! session.sign_in("user:42")?;
//! session.insert("colour", "blue")?;
//! let Directive::Hold(token) = session.finish(Outcome::Success).await? else { unreachable!() };
//!
//! // The next request presents it.
//! let session = manager.begin(&[token.as_str()]).await?;
//! assert_eq!(session.principal().as_deref(), Some("user:42"));
//! session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1)?;
//! session.finish(Outcome::Success).await?;
//! # Ok::<_, session_core::SessionError>(()) }).unwrap();
//! ```
//!
//! # The parts
//!
//! - [`SessionManager`] begins requests with their tokens; its builder has the settings. A
//!   [`SessionGuard`] is the session of one request. The transport holds it, and finishes it.
//! - [`Session`] is what a handler holds: a dictionary, with methods to sign in, renew and destroy
//!   the session. A [`TypedKey`] names a key of the dictionary and the type of its value.
//! - [`MemoryStore`] keeps sessions in this process; other stores have crates of their own. The
//!   module [`store`] has the contract, and a suite that shows whether your store keeps it.
//! - [`KeyRing`], [`Lifetime`], [`Rotation`], [`Limits`], [`Codec`], [`Clock`] are settings.
//!
//! # Events
//!
//! An [`Observer`] is notified of what happens to sessions: [`EventKind`] has the list. `tracing`
//! gets the same events, with the target `session`. Events name sessions by the short hash of their
//! id.
//!
//! An observer also receives figures: what each request [opened](Observer::opened), each
//! [call of the store](Observer::store_call) and each [commit](Observer::committed).
//! `MetricsObserver` (feature `metrics`) counts them for the facade `metrics`. Three spans of
//! `tracing`, at level `DEBUG`, show where a request spends its time: `session.open`,
//! `session.commit` and `session.store`.
//!
//! # Features
//!
//! - `conformance`: the suite that tests whether a store keeps the contract.
//! - `metrics`: figures for a recorder of the crate `metrics` (`MetricsObserver`).
//! - `sealed-values`: values that nobody can read in the store
//!   ([`SessionManagerBuilder::seal_values`]).

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
pub mod store;
mod time;
mod token;

// What handlers hold.
pub use error::SessionError;
pub use record::SessionId;
pub use request::SessionInfo;
pub use session::{BoundSession, Entry, Session, TypedKey};

// What all sessions share, and its settings.
pub use config_error::ConfigError;
pub use crypto::{KeyError, KeyRing};
#[cfg(feature = "sealed-values")]
pub use manager::{Resealed, ValueSealing};
pub use manager::{SessionManager, SessionManagerBuilder};
pub use record::{Codec, DeviceKey, Lifetime, Limits};
pub use settings::{OnCorrupt, OnMaxSessions, OnReuse, Timeouts};
pub use store::memory::MemoryStore;
pub use time::{Clock, ManualClock, Sleep, SystemClock, Timestamp};
pub use token::{DeviceBinding, Rotation};

// What transports take.
pub use request::{FinishError, Outcome, SessionGuard};
pub use token::{ClientToken, Directive};

// What happens to sessions.
#[cfg(feature = "metrics")]
pub use event::MetricsObserver;
pub use event::{Commit, CommitOutcome, Opened, Opening, StoreCall, StoreOperation, StoreOutcome};
pub use event::{Event, EventKind, Observer, Refusal};
pub use record::{EndReason, Ended, ShortId};

// Errors in detail, and a check for values.
pub use record::{CodecFault, Limit, LimitExceeded, MalformedId, RoundTripError, round_trips};

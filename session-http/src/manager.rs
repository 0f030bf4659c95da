//! What the manager behind a layer takes and gives, beyond what applications name every day.
//!
//! - [`Timeouts`], [`OnCorrupt`] and the clocks are settings that few applications change.
//! - [`SessionStore`] is what a function takes that makes a layer over any store. Those who write a
//!   store find the rest in `session_core::store`.
//! - [`SessionInfo`] is one entry of a list of devices
//!   ([`SessionManager::sessions_of`](crate::SessionManager::sessions_of)).
//! - [`SessionGuard`], [`Outcome`], [`FinishError`], [`Directive`] and [`ClientToken`] bring
//!   sessions to [another transport](crate::guide::transports).
//! - [`Ended`] and [`EndReason`] say when and why a session ended, [`Refusal`] why a token was
//!   refused. A [`Timestamp`] is when anything happened, a [`ShortId`] names a session in events.
//! - [`StoreError`], [`LimitExceeded`] with its [`Limit`], [`CodecFault`] and [`KeyError`] are
//!   errors in detail. [`round_trips`] checks in a test that a type comes back as it was.
//! - [`Entry`] is what [`Session::at`](crate::Session::at) returns.

pub use session_core::store::{SessionStore, StoreError};
pub use session_core::{
    ClientToken, Clock, CodecFault, Directive, EndReason, Ended, Entry, FinishError, KeyError,
    Limit, LimitExceeded, ManualClock, OnCorrupt, Outcome, Refusal, RoundTripError, SessionGuard,
    SessionInfo, SessionManagerBuilder, ShortId, Sleep, SystemClock, Timeouts, Timestamp,
    round_trips,
};

//! Types of the session manager that applications seldom name.
//!
//! - [`Timeouts`], [`OnCorrupt`] and the clocks are settings that few applications change.
//! - [`SessionStore`] is the bound for a function that makes a layer over any store. If you write a
//!   store, you find the rest in `session_core::store`.
//! - [`SessionInfo`] is one entry of a list of devices
//!   ([`SessionManager::sessions_of`](crate::SessionManager::sessions_of)).
//! - [`SessionGuard`], [`Outcome`], [`FinishError`], [`Directive`] and [`ClientToken`] are for
//!   [another transport](crate::guide::transports) than HTTP.
//! - [`Ended`] and [`EndReason`] say when and why a session ended, and [`Refusal`] why a token was
//!   refused. A [`Timestamp`] is a point in time. A [`ShortId`] names a session in events.
//! - [`StoreError`], [`LimitExceeded`] with its [`Limit`], [`CodecFault`] and [`KeyError`] give the
//!   details of errors. [`round_trips`] checks in a test that a codec gives back the values of a
//!   type unchanged.
//! - [`StoreCall`], [`Opening`] and [`Commit`] are the figures that an
//!   [`Observer`](crate::Observer) receives.
//! - [`Entry`] is what [`Session::at`](crate::Session::at) returns.

pub use session_core::store::{SessionStore, StoreError};
pub use session_core::{
    ClientToken, Clock, CodecFault, Commit, CommitOutcome, Directive, EndReason, Ended, Entry,
    FinishError, KeyError, Limit, LimitExceeded, ManualClock, OnCorrupt, Opened, Opening, Outcome,
    Refusal, RoundTripError, SessionGuard, SessionInfo, SessionManagerBuilder, ShortId, Sleep,
    StoreCall, StoreOperation, StoreOutcome, SystemClock, Timeouts, Timestamp, round_trips,
};

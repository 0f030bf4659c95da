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
//!   refused. A [`Timestamp`] is when anything happened.

pub use session_core::store::SessionStore;
pub use session_core::{
    ClientToken, Clock, Directive, EndReason, Ended, FinishError, ManualClock, OnCorrupt, Outcome,
    Refusal, SessionGuard, SessionInfo, SessionManagerBuilder, Sleep, SystemClock, Timeouts,
    Timestamp,
};

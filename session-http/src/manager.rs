//! What the manager behind a layer takes and gives, beyond what applications name every day.
//!
//! - [`Timeouts`], [`OnCorrupt`] and the clocks are settings that few applications change.
//! - [`SessionInfo`] is one entry of a list of devices
//!   ([`SessionManager::sessions_of`](crate::SessionManager::sessions_of)).
//! - [`SessionGuard`], [`Outcome`], [`FinishError`], [`Directive`] and [`ClientToken`] bring
//!   sessions to [another transport](crate::guide::transports).
//! - [`Ended`] and [`EndReason`] say when and why a session ended, [`Refusal`] why a token was
//!   refused. A [`Timestamp`] is when anything happened.

pub use session_core::{
    ClientToken, Clock, Directive, EndReason, Ended, FinishError, ManualClock, OnCorrupt, Outcome,
    Refusal, SessionGuard, SessionInfo, SessionManagerBuilder, Sleep, SystemClock, Timeouts,
    Timestamp,
};

//! What the application and the log are told.
//!
//! - **The observer is told the principal, the log is not.** Logs travel further than an audit trail.
//! - **The observer hears of every event, the log of few.** A client or a broken store can cause any
//!   number of them. So the log gets at most 60 lines a minute of each kind and each reason: forged
//!   tokens cannot silence other lines.
//! - **An expiry is reported once by each process**, though a client may present the token for ever.

mod log;
mod observer;
mod recent;
mod throttle;

pub(crate) use log::{Events, Refusal, Who};
pub(crate) use observer::Audience;
pub use observer::{Event, EventKind, Observer};
pub(crate) use recent::Recent;
pub(crate) use throttle::Throttles;

//! What the application and the log are told.

mod log;
mod observer;
mod recent;
mod throttle;

pub(crate) use log::{Events, Refusal, Who};
pub(crate) use observer::Audience;
pub use observer::{Event, EventKind, Observer};
pub(crate) use recent::Recent;
pub(crate) use throttle::Throttles;

//! Events: what the application's observer is sent, and what the log says.
//!
//! `events` has one method for each event, which is called wherever it happens. So the kind, the
//! level, the fields and the texts of an event stand in one place. `observer` is the public part,
//! `who` and `refusal` are what events are about, `throttle` and `recent` bound how often they are
//! reported.
//!
//! # Decisions
//!
//! - **The observer gets the principal, the log does not**: logs are passed on further than an
//!   audit trail.
//! - **The observer gets every event, the log a bounded number.** A client or a broken store can
//!   cause any number of them. So the log gets at most 60 lines a minute of each kind and reason,
//!   and forged tokens cannot suppress other lines.
//! - **Each process reports an expiry once**, though a client can present the token for ever.

mod cause;
mod events;
mod observer;
mod recent;
mod refusal;
mod throttle;
mod who;

pub(crate) use cause::{AfterReuse, Renewal, Undecodable};
pub(crate) use events::Events;
pub(crate) use observer::OptionalObserver;
pub use observer::{Event, EventKind, Observer};
pub(crate) use recent::RecentIds;
pub use refusal::Refusal;
pub(crate) use throttle::Throttles;
use who::Subject;
pub(crate) use who::Who;

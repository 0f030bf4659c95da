//! Events: what the application's observer is sent, and what the log says.
//!
//! `events` has one method for each event, which is called wherever it happens. So the kind, the
//! level, the fields and the texts of an event stand in one place. `event`, `report` and `observer`
//! are the public part, `who` and `refusal` are what events are about, `throttle` and `recent`
//! bound how often they are reported. `spans` is what a subscriber of `tracing` is told of work
//! that takes time, and `metrics` what a recorder of metrics is told.
//!
//! # Decisions
//!
//! - **Observers get the principal, the log does not**: logs are passed on further than an
//!   audit trail.
//! - **Observers get every event, the log a bounded number.** A client or a broken store can
//!   cause any number of them. So the log gets at most 60 lines a minute of each kind and reason,
//!   and forged tokens cannot suppress other lines.
//! - **An observer computes what it needs.** The short hash of an id is a method of the event, and
//!   handles of metrics are taken once. So to count everything costs a read from memory little.
//! - **A store that waits for nothing is not timed**: two looks at a clock are a noticeable part of
//!   such a call.
//! - **A span costs a pointer where nobody listens.** Futures that every request holds have no room
//!   for a `Span`, so one that is enabled is on the heap.
//! - **Each process reports an expiry once**, though a client can present the token for ever.

mod cause;
mod event;
mod events;
mod labels;
#[cfg(feature = "metrics")]
mod metrics;
mod observer;
mod recent;
mod refusal;
mod report;
mod spans;
mod throttle;
mod who;

pub(crate) use cause::{AfterReuse, Renewal, Undecodable};
pub use event::{Event, EventKind};
pub(crate) use events::Events;
#[cfg(feature = "metrics")]
pub use metrics::MetricsObserver;
pub use observer::Observer;
pub(crate) use observer::Observers;
pub(crate) use recent::RecentIds;
pub use refusal::Refusal;
pub use report::{Commit, CommitOutcome, Opened, Opening, StoreCall, StoreOperation, StoreOutcome};
pub(crate) use spans::{LiveSpan, Spanned, commit_span, open_span, record_session, store_span};
pub(crate) use throttle::Throttles;
use who::Subject;
pub(crate) use who::Who;

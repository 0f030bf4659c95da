//! Time as an argument: instants, clocks and timeouts.
//!
//! Nothing else in the crate asks the operating system for the time, or waits. So a test with a
//! `ManualClock` decides both.
//!
//! # Decisions
//!
//! - **`tokio` in this crate is the timer of [`SystemClock`]** within a tokio runtime, and the
//!   mutex of the queue of a session. Any runtime works.
//! - **A timer is made only for a future that has to wait** (`within`): a store that answers at
//!   once pays nothing for its deadline.

mod clock;
mod deadline;
mod manual_clock;
mod timestamp;

pub use clock::{Clock, Sleep, SystemClock};
pub(crate) use deadline::{Elapsed, Timer, within};
pub use manual_clock::ManualClock;
pub use timestamp::Timestamp;

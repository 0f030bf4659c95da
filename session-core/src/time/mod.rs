//! Time as an argument: instants, clocks and deadlines.

mod clock;
mod deadline;
mod manual_clock;
mod timestamp;

pub use clock::{Clock, Sleep, SystemClock};
pub(crate) use deadline::{Elapsed, Timer, within};
pub use manual_clock::ManualClock;
pub use timestamp::Timestamp;

//! The handle of a handler.
//!
//! - **`destroy`, `renew` and `sign_in` return a `Result`.** After the response has left they fail
//!   at once, not at a save that may never come.
//! - **Flash values are entries under a prefix.** They merge, count and expire as all values do,
//!   and have no place of their own in the record's format.
//! - **`take_now` is a step in the log of its key**, like a closure of `update`. It meets the
//!   version that was loaded, and on a conflict it is applied again to what is stored then. Only
//!   the save that carried the step out says that its value may be handed out. If that save fails,
//!   the step is withdrawn.

mod csrf;
mod flash;
mod lifecycle;
mod session;
mod taking;

pub(crate) use csrf::seed_of;
pub use session::Session;
pub(crate) use session::decode;

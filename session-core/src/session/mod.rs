//! The handle of a handler.
//!
//! - **`destroy`, `renew` and `sign_in` return a `Result`.** After the response has left they fail
//!   at once, not at a save that may never come.
//! - **Flash values are entries under a prefix.** They merge, count and expire as all values do,
//!   and have no place of their own in the record's format.
//! - **A closure that refuses is a failed commit.** `try_modify` decides on what was loaded, and
//!   the commit decides again. To drop that one change and write the others would be a request by
//!   half (law 7).
//! - **A typed key is a name**: what is under it is the entry of that name. Both ways to reach it
//!   merge, count and expire alike, and an application can move from one to the other.
//! - **`take_now` is a step in the log of its key**, like a closure of `update`. It meets the
//!   version that was loaded, and on a conflict it is applied again to what is stored then. Only
//!   the save that carried the step out says that its value may be handed out. If that save fails,
//!   the step is withdrawn.

mod csrf;
mod decoding;
mod device;
mod flash;
mod lifecycle;
mod session;
mod taking;
mod typed_key;
mod updating;
mod watching;

pub(crate) use csrf::seed_of;
use decoding::{OnUndecodable, decode, report};
pub use device::BoundSession;
pub use session::Session;
pub use typed_key::{Entry, TypedKey};

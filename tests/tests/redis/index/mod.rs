//! The index of principals in Redis: what signs in, moves, ends and is ended at once, and what dies
//! half-way.
//!
//! No live session of a principal is ever outside of the principal's index, unless it is on
//! probation and so ends soon by itself. What is in the index and has no session is found and taken
//! out by whoever lists.

mod cut;
mod held;
mod many;
mod names;
mod racing;
pub(crate) mod site;
mod stale;
mod steps;

/// How sessions lie there. `index_packed` runs the same over the other layout.
const LAYOUT: session_redis::Layout = session_redis::Layout::Fields;

//! Laws 1 and 2 under load: many requests at once of few sessions, on several server processes, and logouts in between. Nothing
//! that was acknowledged is lost, and nothing that has ended is back.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "these are tests"
)]

mod client;
mod http;
mod load;
mod loads;
#[path = "../redis_index/site.rs"]
mod site;

/// How sessions lie there.
const LAYOUT: session_redis::Layout = session_redis::Layout::Fields;

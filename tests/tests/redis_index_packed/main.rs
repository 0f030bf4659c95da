//! `redis_index` over sessions that lie in Redis as one text each.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "these are tests"
)]

#[path = "../redis_index/cut.rs"]
mod cut;
#[path = "../redis_index/held.rs"]
mod held;
#[path = "../redis_index/many.rs"]
mod many;
#[path = "../redis_index/names.rs"]
mod names;
#[path = "../redis_index/racing.rs"]
mod racing;
#[path = "../redis_index/site.rs"]
mod site;
#[path = "../redis_index/stale.rs"]
mod stale;
#[path = "../redis_index/steps.rs"]
mod steps;

const LAYOUT: session_redis::Layout = session_redis::Layout::Packed;

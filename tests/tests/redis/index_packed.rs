//! `index` over sessions that lie in Redis as one text each.

#[path = "index/cut.rs"]
mod cut;
#[path = "index/held.rs"]
mod held;
#[path = "index/many.rs"]
mod many;
#[path = "index/names.rs"]
mod names;
#[path = "index/racing.rs"]
mod racing;
#[path = "index/site.rs"]
mod site;
#[path = "index/stale.rs"]
mod stale;
#[path = "index/steps.rs"]
mod steps;

const LAYOUT: session_redis::Layout = session_redis::Layout::Packed;

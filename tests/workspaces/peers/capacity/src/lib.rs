//! How many servers a number of sessions takes, computed from measured costs.
//!
//! - [`Costs`]: what was measured, and [`COSTS`]: the figures of one run.
//! - [`law`]: how memory grows with the number of sessions.
//! - [`plan`]: from traffic and machines to a number of nodes.
//! - [`page`]: the tables of `session-http/docs/capacity.md`.
//!
//! `tests/bench capacity` measures again and writes `costs.rs`.

mod cost;
mod costs;
pub mod law;
pub mod page;
pub mod plan;

pub use cost::{Costs, Mongo, MongoSpace, Redis, RedisMemory, Request, Requests};
pub use costs::COSTS;

//! Sessions as others make them, beside ours: each as a [`Subject`] that answers the same requests.
//!
//! `tests/bench` runs the programs of this crate. `bench` takes times, `counts` counts allocations
//! and what servers do (it has an allocator that counts, which `bench` is spared), `server` is a
//! whole server.

mod actix;
mod actix_workers;
mod axum_session;
mod client;
mod fixture;
mod groups;
mod growth;
mod missed;
mod mongo;
mod monitor;
mod ours;
mod redis;
mod report;
mod subject;
mod tower_sessions;

pub use axum_session::redis_pool as axum_session_pool;
pub use client::{Client, Server};
pub use fixture::{CART, USER, User, next_visit};
pub use groups::{Group, Options, Parties, groups};
pub use growth::{Point, ours as growing_ours, peer as growing_peer, points};

pub use ours::Cache;
pub use redis::{Traffic, clear as clear_redis, traffic};
pub use report::{Row, median};
pub use subject::{Job, Subject};
pub use tower_sessions::redis_store;

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The bare service, for one task.
pub fn bare() -> Result<Box<dyn Subject>, BoxError> {
    ours::bare(1)
}

//! The store in Redis, on real servers: what it stores and sends, and what it does when they fail.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "what fails fails the test, and what is printed is worth seeing"
)]

mod acl;
mod commands;
mod connect_errors;
mod contract;
mod damage;
mod faults;
mod faults_cluster;
mod faults_sentinel;
mod faults_writes;
mod index;
mod layouts;
mod link;
mod load;
mod lost_writes;
mod marks;
mod near;
mod sealed;
mod sizes;
mod spread;
mod together;

use session_redis::{RedisStore, RedisStoreBuilder};
use session_tests::PATIENCE;

/// A store for which no busy machine is too slow.
async fn connect(builder: RedisStoreBuilder) -> RedisStore {
    patient(builder).connect().await.unwrap()
}

fn patient(builder: RedisStoreBuilder) -> RedisStoreBuilder {
    builder.call_timeout(PATIENCE).connect_timeout(PATIENCE)
}

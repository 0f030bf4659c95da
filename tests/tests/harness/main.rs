//! What the other tests rely on is what they take it for: servers, the proxy, stores, README's
//! copy.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "what fails fails the test, and what is printed is worth seeing"
)]

mod field_store;
mod mongo_servers;
mod proxy;
mod readme;
mod redis_servers;

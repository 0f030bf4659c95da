//! What the other tests rely on is what they take it for: servers, the proxy, stores, the
//! guide's copy.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "what fails fails the test, and what is printed is worth seeing"
)]

mod field_store;
mod guide;
mod mongo_servers;
mod proxy;
mod redis_servers;

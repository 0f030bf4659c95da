//! The laws on real servers, by several processes' stores at the same time.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "what fails fails the test, and what is printed is worth seeing"
)]

mod devices;
mod fairness;
mod law_01_changes;
mod law_13_late_requests;
mod migration;
mod site;
mod take_once;
mod tokens;
mod two_stores;
mod watching;

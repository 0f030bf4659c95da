//! The example of a store of one's own, over SQL: it keeps the contract, loses nothing under load,
//! and says what it knows when its server fails.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "what fails fails the test, and what is printed is worth seeing"
)]

mod contract;
mod faults;
mod load;
mod site;

//! The store in MongoDB, on real servers: what it stores and sends, and what it does when they
//! fail.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "what fails fails the test, and what is printed is worth seeing"
)]

mod collections;
mod commands;
mod contract;
mod documents;
mod faults;
mod faults_writes;
mod indexes;
mod load;
mod marks;
mod near;
mod sealed;

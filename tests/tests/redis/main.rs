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
mod index_packed;
mod layouts;
mod link;
mod load;
mod marks;
mod sizes;

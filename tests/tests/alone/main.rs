//! Tests that each need a process of their own, because they change what a process has once: its
//! allocator's counters, its log, its provider of cryptography.
//!
//! Each test starts this program again, for itself alone.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "what fails fails the test, and what is printed is worth seeing"
)]

mod allocations;
mod cached;
mod leaks;
mod mongo_clock;
mod tls_provider;

use std::env::{current_exe, var_os};
use std::process::Command;

/// Runs the test of this name in a process of its own, unless this is that process.
fn ran_alone(test: &str) -> bool {
    const ALONE: &str = "SESSION_TESTS_ALONE";
    if var_os(ALONE).is_some() {
        return false;
    }
    let mut again = Command::new(current_exe().unwrap());
    again.args(["--exact", test, "--nocapture"]).env(ALONE, "1");
    let done = again.output().unwrap();
    let said = [done.stdout, done.stderr].concat();
    // Indented, or who adds up results would count this one too.
    let said = String::from_utf8_lossy(&said).replace('\n', "\n    ");
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
    println!("{said}");
    true
}

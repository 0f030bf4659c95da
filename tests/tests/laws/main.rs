//! The laws, each on stores in this process, and what belongs to them. No server is needed.
//!
//! `laws_on_servers` shows some of them on real servers.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "what fails fails the test, and what is printed is worth seeing"
)]

mod cached;
mod clones;
mod fairness;
mod figures;
mod guard;
mod law_01_messages;
mod law_01_no_lost_update;
mod law_01_refusals;
mod law_02_no_resurrection;
mod law_03_no_adopted_ids;
mod law_04_forget_only_own;
mod law_05_nothing_before_something;
mod law_06_one_step_each_way;
mod law_07_all_or_nothing;
mod law_08_failed_load_no_write;
mod law_09_deadlines_hold;
mod law_10_rotation_in_parallel;
mod law_11_renewal;
mod law_12_theft_shows;
mod law_13_late_requests;
mod migration;
mod principals;
mod same_values;
mod sweeping;
mod take_once;
mod tokens;
mod touching;
mod watching;

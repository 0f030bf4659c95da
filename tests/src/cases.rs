//! How tests draw their cases.

use proptest::test_runner::Config;

/// This many cases; those that fail are printed, and not written beside the source.
pub fn cases(cases: u32) -> Config {
    Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    }
}

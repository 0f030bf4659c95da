//! Waiting for something to become true.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// Asks again and again, and fails the test if `what` does not hold within `limit`.
pub fn wait_until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !holds() {
        assert!(
            Instant::now() < deadline,
            "waited {limit:?} in vain for: {what}"
        );
        sleep(Duration::from_millis(20));
    }
}

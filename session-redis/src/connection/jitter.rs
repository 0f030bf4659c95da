//! Pauses of many clients.

use std::time::Duration;

/// Between half of a pause and all of it, so that many clients do not come at once.
pub(super) fn jitter(pause: Duration) -> Duration {
    let part = getrandom::u32().map_or(1.0, |n| f64::from(n) / f64::from(u32::MAX));
    pause.mul_f64(0.5 + part / 2.0)
}

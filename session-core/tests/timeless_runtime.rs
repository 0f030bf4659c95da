//! A tokio runtime without a time driver: a program of its own, since what is found out holds for
//! the process.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::{Duration, Instant};

use session_core::{Clock, SystemClock};

#[test]
fn the_system_clock_sleeps_where_tokio_has_no_timers() {
    let timeless = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let timed = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    for runtime in [&timed, &timeless, &timeless, &timed] {
        let begun = Instant::now();
        runtime.block_on(async { SystemClock.sleep(Duration::from_millis(5)).await });
        assert!(begun.elapsed() >= Duration::from_millis(5));
    }
}

//! Events of reused tokens, which are alarms of theft: nobody steals anything here.
//!
//! Each server logs a line for each one (`note` of the site). Redis can lose a rotation at a
//! fail-over, and then a visitor looks like a thief.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How many there were.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Alarms {
    pub(crate) false_ones: u64,
    pub(crate) by_fail_over: u64,
}

impl Alarms {
    /// Those in the logs of this directory. Since `lost`, the store may have lost rotations.
    pub(crate) fn in_logs(logs: &Path, lost: Option<Instant>) -> Self {
        let lost = lost.and_then(since_epoch);
        let mut alarms = Self::default();
        for file in fs::read_dir(logs).into_iter().flatten().flatten() {
            let text = fs::read(file.path()).unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            for line in text.lines().filter(|line| line.contains("kind=Reused")) {
                let at = at(line);
                match at.zip(lost).is_some_and(|(at, lost)| at >= lost) {
                    true => alarms.by_fail_over += 1,
                    false => alarms.false_ones += 1,
                }
            }
        }
        alarms
    }
}

fn since_epoch(at: Instant) -> Option<Duration> {
    let then = SystemTime::now().checked_sub(at.elapsed())?;
    then.duration_since(UNIX_EPOCH).ok()
}

fn at(line: &str) -> Option<Duration> {
    let (_, rest) = line.split_once(" at=")?;
    let millis = rest.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_millis(millis))
}

//! What came of a load.

use std::sync::Once;
use std::time::{Duration, Instant};

use super::{Call, Calls, Outcome};

/// For so long nothing may fail, or take as long, before all counts as well.
const WELL: Duration = Duration::from_millis(200);

/// What came of a load.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Calls of the store.
    pub calls: usize,
    /// Those that said [`Unavailable`](session_core::store::StoreError::Unavailable).
    pub unavailable: usize,
    /// Those that said [`OutcomeUnknown`](session_core::store::StoreError::OutcomeUnknown).
    pub unknown: usize,
    /// Those whose caller was not patient enough.
    pub dropped: usize,
    /// Loads that failed.
    pub failed_loads: usize,
    /// The longest call.
    pub longest: Duration,
    /// Writes that were acknowledged.
    pub acknowledged: u64,
    /// Of these, those that are not there though their session is.
    pub lost: u64,
    /// Of these, those whose session is not there.
    pub gone: u64,
}

impl Report {
    /// How many calls failed.
    pub const fn errors(&self) -> usize {
        self.unavailable + self.unknown + self.dropped
    }

    pub(super) fn count(&mut self, calls: &[Call]) {
        self.calls = calls.len();
        for call in calls {
            match &call.outcome {
                Outcome::Done => {}
                Outcome::Unavailable => self.unavailable += 1,
                Outcome::Unknown => self.unknown += 1,
                Outcome::Dropped => self.dropped += 1,
                Outcome::Other(error) => panic!("a call failed as none should: {error}"),
            }
            assert!(
                !call.is_load || call.outcome != Outcome::Unknown,
                "a read changes nothing, so it is not unknown"
            );
            self.failed_loads += usize::from(call.is_load && call.outcome != Outcome::Done);
            self.longest = self.longest.max(call.took);
        }
    }

    /// Prints a line of a table, and its head before the first one.
    #[allow(clippy::print_stdout, reason = "who runs the tests may want to see")]
    pub fn print(&self, scenario: &str, well: Duration, more: &str) {
        static HEAD: Once = Once::new();
        HEAD.call_once(|| {
            println!(
                "| scenario | calls | Unavailable | OutcomeUnknown | longest call | well after \
                 | acknowledged | lost | of sessions that are gone | |"
            );
            println!("|---|---|---|---|---|---|---|---|---|---|");
        });
        let (longest, well) = (self.longest.as_millis(), well.as_millis());
        println!(
            "| {scenario} | {} | {} | {} | {longest} ms | {well} ms | {} | {} | {} | {more} |",
            self.calls, self.unavailable, self.unknown, self.acknowledged, self.lost, self.gone
        );
    }
}

/// How far [`well`] moves on from a window that shows too little.
const STEP: Duration = Duration::from_millis(10);

/// How long after `from` all was well, if that is so by now: from that moment on, for [`WELL`], no
/// call was bad, and both a load and a write were good.
pub(super) fn well(calls: &Calls, from: Instant) -> Option<Duration> {
    let after = || calls.over.iter().filter(|call| call.end >= from);
    let is_bad = |call: &&Call| call.outcome != Outcome::Done || call.took >= WELL;
    let mut bad: Vec<_> = after()
        .filter(is_bad)
        .map(|call| (call.end - call.took, call.end))
        .collect();
    bad.sort_unstable();
    let mut bad = bad.into_iter().peekable();
    let mut since = from;
    // What is under way may yet show that it was not.
    let known = calls.running_since().unwrap_or_else(Instant::now);
    loop {
        while let Some((_, end)) = bad.next_if(|(began, _)| *began < since + WELL) {
            since = since.max(end);
        }
        if since + WELL >= known {
            return None;
        }
        let mut good = after().filter(|call| call.end > since && call.end < since + WELL);
        let both = good.clone().any(|call| call.is_load) && good.any(|call| !call.is_load);
        if both {
            return Some(since - from);
        }
        // If the machine stood still, loads or writes are missing here.
        since += STEP;
    }
}

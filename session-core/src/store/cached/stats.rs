//! What a cache has done.

#[cfg(feature = "metrics")]
use std::sync::OnceLock;

#[cfg(feature = "metrics")]
use metrics::{Counter, counter, describe_counter};

/// What a cache has done, and what it holds. Each load counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Loads that cost no command, because a lease was valid.
    pub leased: u64,
    /// Loads that found the session as this process had last seen it. Unless others had changed it
    /// shortly before, its record was not fetched.
    pub unchanged: u64,
    /// Loads that found the session changed or gone.
    pub changed: u64,
    /// Loads of sessions that the cache did not know.
    pub absent: u64,
    /// The records that the cache holds.
    pub records: usize,
    /// About how many bytes they take.
    pub bytes: usize,
}

/// What a load has found in the cache.
#[derive(Clone, Copy)]
pub(super) enum Had {
    Leased,
    Unchanged,
    Changed,
    Nothing,
}

impl CacheStats {
    pub(super) fn count(&mut self, had: Had) {
        let count = match had {
            Had::Leased => &mut self.leased,
            Had::Unchanged => &mut self.unchanged,
            Had::Changed => &mut self.changed,
            Had::Nothing => &mut self.absent,
        };
        *count += 1;
    }
}

/// The same numbers for a recorder of metrics, if this program has the feature `metrics`. The
/// recorder is the application's code, so it is never called under a lock.
#[derive(Default)]
pub(super) struct Meters {
    #[cfg(feature = "metrics")]
    loads: OnceLock<[Counter; 4]>,
}

impl Meters {
    #[cfg(feature = "metrics")]
    pub(super) fn count(&self, had: Had) {
        const LOADS: &str = "session_cache_loads_total";
        let loads = self.loads.get_or_init(|| {
            describe_counter!(LOADS, "Loads of a cache, by what it had");
            ["leased", "unchanged", "changed", "absent"].map(|had| counter!(LOADS, "result" => had))
        });
        loads[had as usize].increment(1);
    }

    #[cfg(not(feature = "metrics"))]
    pub(super) fn count(&self, _: Had) {}
}

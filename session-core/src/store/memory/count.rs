//! How many records a memory store has.

#[cfg(feature = "metrics")]
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

#[cfg(feature = "metrics")]
use metrics::{Gauge, describe_gauge, gauge};

/// The number of records, which a gauge shows if this program has the feature `metrics`. All stores
/// of a process add to one gauge.
#[derive(Default)]
pub(super) struct Count {
    records: AtomicUsize,
    /// What the gauge has of them.
    #[cfg(feature = "metrics")]
    shown: AtomicUsize,
    #[cfg(feature = "metrics")]
    gauge: OnceLock<Gauge>,
}

/// Brings the gauge up to date when it is dropped. The gauge is the application's code, so that
/// must not be under a lock: this is made before the lock is taken.
pub(super) struct Shows<'c> {
    #[cfg_attr(
        not(feature = "metrics"),
        expect(dead_code, reason = "there is no gauge")
    )]
    count: &'c Count,
}

impl Count {
    pub(super) fn get(&self) -> usize {
        self.records.load(Ordering::Relaxed)
    }

    /// Counts one more record, unless there are as many as may be.
    pub(super) fn add(&self, capacity: usize) -> bool {
        self.records
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                (count < capacity).then_some(count + 1)
            })
            .is_ok()
    }

    /// Counts one less.
    pub(super) fn remove(&self) {
        self.records.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) const fn shows(&self) -> Shows<'_> {
        Shows { count: self }
    }

    /// Has the gauge show this many. Each call adds the difference to the one before, so that they
    /// add up whatever their order.
    #[cfg(feature = "metrics")]
    fn show(&self, records: usize) {
        const RECORDS: &str = "session_memory_records";
        let before = self.shown.swap(records, Ordering::Relaxed);
        if before == records {
            return;
        }
        let gauge = self.gauge.get_or_init(|| {
            describe_gauge!(RECORDS, "Records in the memory stores of this process");
            gauge!(RECORDS)
        });
        match records > before {
            true => gauge.increment((records - before) as f64),
            false => gauge.decrement((before - records) as f64),
        }
    }
}

#[cfg(feature = "metrics")]
impl Drop for Shows<'_> {
    fn drop(&mut self) {
        self.count.show(self.count.get());
    }
}

#[cfg(feature = "metrics")]
impl Drop for Count {
    fn drop(&mut self) {
        self.show(0);
    }
}

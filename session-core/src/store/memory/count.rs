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
    #[cfg(feature = "metrics")]
    gauge: OnceLock<Gauge>,
}

impl Count {
    pub(super) fn get(&self) -> usize {
        self.records.load(Ordering::Relaxed)
    }

    /// Counts one more record, unless there are as many as may be.
    pub(super) fn add(&self, capacity: usize) -> bool {
        let added = self
            .records
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                (count < capacity).then_some(count + 1)
            })
            .is_ok();
        #[cfg(feature = "metrics")]
        if added {
            self.gauge().increment(1);
        }
        added
    }

    /// Counts one less.
    pub(super) fn remove(&self) {
        self.records.fetch_sub(1, Ordering::Relaxed);
        #[cfg(feature = "metrics")]
        self.gauge().decrement(1);
    }

    #[cfg(feature = "metrics")]
    fn gauge(&self) -> &Gauge {
        const RECORDS: &str = "session_memory_records";
        self.gauge.get_or_init(|| {
            describe_gauge!(RECORDS, "Records in the memory stores of this process");
            gauge!(RECORDS)
        })
    }
}

#[cfg(feature = "metrics")]
impl Drop for Count {
    fn drop(&mut self) {
        if let Some(gauge) = self.gauge.get() {
            gauge.decrement(*self.records.get_mut() as f64);
        }
    }
}

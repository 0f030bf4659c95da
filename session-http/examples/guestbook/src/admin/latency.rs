//! How long calls took, in memory of fixed size.

use std::time::Duration;

/// Each power of two has this many buckets, so a bucket is at most an eighth of its value wide.
const PARTS: u64 = 8;
const BITS: u32 = PARTS.ilog2();
/// The last bucket ends here, and has what took longer: more than the deadline of a store's call.
const LONGEST: u64 = (1 << 25) - 1; // microseconds: 33 s
const BUCKETS: usize = bucket(LONGEST) + 1;

/// Counts calls by how long they took.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    counts: [u32; BUCKETS],
    longest: Duration,
}

/// What a plot shows of one interval. Except for the maximum it is exact to 7 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Latency {
    pub(super) median: Duration,
    pub(super) p95: Duration,
    pub(super) p99: Duration,
    pub(super) longest: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: [0; BUCKETS],
            longest: Duration::ZERO,
        }
    }
}

impl Histogram {
    pub(super) fn add(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get_mut(bucket(micros.min(LONGEST))) {
            *count = count.saturating_add(1);
        }
        self.longest = self.longest.max(took);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count = count.saturating_add(*more);
        }
        self.longest = self.longest.max(other.longest);
    }

    /// `None` if there was no call.
    pub(super) fn latency(&self) -> Option<Latency> {
        let calls = self.counts.iter().map(|count| u64::from(*count)).sum();
        let of = |percent| self.at_rank(rank(calls, percent));
        (calls > 0).then(|| Latency {
            median: of(50),
            p95: of(95),
            p99: of(99),
            longest: self.longest,
        })
    }

    /// The middle of the bucket that has the call of this rank, the first of which is 1.
    fn at_rank(&self, rank: u64) -> Duration {
        let mut before = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            before += u64::from(*count);
            if before >= rank {
                return Duration::from_micros(middle(bucket)).min(self.longest);
            }
        }
        self.longest
    }
}

/// How many calls are at most as long as this percentile: at least one.
const fn rank(calls: u64, percent: u64) -> u64 {
    (calls * percent).div_ceil(100)
}

/// Below `PARTS` microseconds each has a bucket. Above, a bucket holds what has the same highest
/// bit, and the same `BITS` bits after it.
const fn bucket(micros: u64) -> usize {
    if micros < PARTS {
        return micros as usize;
    }
    let shift = micros.ilog2() - BITS;
    shift as usize * PARTS as usize + (micros >> shift) as usize
}

const fn middle(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * PARTS {
        return bucket;
    }
    let shift = bucket / PARTS - 1;
    let first = (PARTS + bucket % PARTS) << shift;
    first + (1 << shift) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(micros: impl IntoIterator<Item = u64>) -> Option<Latency> {
        let mut histogram = Histogram::default();
        for micros in micros {
            histogram.add(Duration::from_micros(micros));
        }
        histogram.latency()
    }

    #[test]
    fn percentiles_are_exact_to_seven_percent() {
        for scale in [1, 10, 333, 10_000] {
            let latency = of((1..=1000).map(|micros| micros * scale)).unwrap();
            for (is, should) in [
                (latency.median, 500 * scale),
                (latency.p95, 950 * scale),
                (latency.p99, 990 * scale),
            ] {
                let is = is.as_micros() as f64 / should as f64;
                assert!((0.93..1.07).contains(&is), "{is} at scale {scale}");
            }
            assert_eq!(latency.longest, Duration::from_micros(1000 * scale));
        }
    }

    #[test]
    fn one_call_is_all_of_them() {
        let one = Duration::from_micros(5);
        let all = Latency {
            median: one,
            p95: one,
            p99: one,
            longest: one,
        };
        assert_eq!(of([5]), Some(all));
        assert_eq!(of([]), None);
    }

    #[test]
    fn whatever_takes_longer_than_the_last_bucket_is_in_it() {
        let latency = of([u64::MAX, 0]).unwrap();
        assert_eq!(latency.longest, Duration::from_micros(u64::MAX));
        assert!(latency.p99 > Duration::from_secs(30));
        assert_eq!(latency.median, Duration::ZERO);
    }

    #[test]
    fn buckets_follow_each_other() {
        let mut last = 0;
        for micros in 0..100_000 {
            let bucket = bucket(micros);
            assert!(bucket == last || bucket == last + 1, "{micros}");
            last = bucket;
        }
        for bucket in 0..BUCKETS {
            assert_eq!(super::bucket(middle(bucket)), bucket);
        }
    }

    #[test]
    fn merging_is_adding() {
        let mut both = Histogram::default();
        for (from, to) in [(1, 100), (101, 1000)] {
            let mut part = Histogram::default();
            (from..=to).for_each(|micros| part.add(Duration::from_micros(micros)));
            both.merge(&part);
        }
        assert_eq!(both.latency(), of(1..=1000));
    }
}

//! The resident memory of each server.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::time::sleep;

use crate::fleet::Running;

/// A long run looks each minute, and a short one more often.
const MOST: Duration = Duration::from_secs(60);
const LEAST: Duration = Duration::from_secs(5);
/// A short run has so many samples.
const PARTS: u32 = 30;
/// By then a server has its connections and its cache.
const WARM: Duration = Duration::from_secs(120);

/// A leak shows in a server that has lived for so long.
const LONG: Duration = Duration::from_secs(600);

/// What each process had, in KiB, and when, since the run began.
pub(crate) type Samples = BTreeMap<String, Vec<(Duration, u64)>>;

/// What a process had at first, after its warm-up, mostly, at last and at most.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) samples: usize,
    pub(crate) first_kib: u64,
    /// `None` if it did not run for so long.
    pub(crate) warm_kib: Option<u64>,
    pub(crate) median_kib: u64,
    pub(crate) last_kib: u64,
    pub(crate) greatest_kib: u64,
    pub(crate) growth_kib: i64,
    /// From the first sample to the last one.
    pub(crate) lasted_seconds: u64,
    /// By how much it grew after its warm-up, if it has run long enough to show that.
    pub(crate) late_growth_kib: Option<i64>,
}

impl Figures {
    pub(crate) fn of(samples: &[(Duration, u64)]) -> Option<Self> {
        let ((begin, first), (_, last)) = (*samples.first()?, *samples.last()?);
        let warm = samples.iter().find(|(at, _)| *at >= begin + WARM);
        let (end, _) = *samples.last()?;
        let grown = |from: u64| Some(i64::try_from(last).ok()? - i64::try_from(from).ok()?);
        let late = warm.filter(|_| end - begin >= LONG);
        let mut sorted: Vec<_> = samples.iter().map(|(_, kib)| *kib).collect();
        sorted.sort_unstable();
        Some(Self {
            samples: samples.len(),
            first_kib: first,
            warm_kib: warm.map(|(_, kib)| *kib),
            median_kib: sorted[sorted.len() / 2],
            last_kib: last,
            greatest_kib: *sorted.last()?,
            growth_kib: grown(first)?,
            lasted_seconds: (end - begin).as_secs(),
            late_growth_kib: late.and_then(|(_, kib)| grown(*kib)),
        })
    }
}

/// Looks at the servers until it is dropped.
pub(crate) async fn watch(
    running: Arc<Mutex<Vec<Running>>>,
    samples: Arc<Mutex<Samples>>,
    lasts: Duration,
) {
    let (each, began) = (interval(lasts), Instant::now());
    loop {
        let now = running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for server in now {
            if let Some(kib) = resident(server.pid) {
                let mut samples = samples.lock().unwrap_or_else(PoisonError::into_inner);
                let of_server = samples.entry(server.name).or_default();
                of_server.push((began.elapsed(), kib));
            }
        }
        sleep(each).await;
    }
}

fn interval(lasts: Duration) -> Duration {
    (lasts / PARTS).clamp(LEAST, MOST)
}

fn resident(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_looked_at_each_minute() {
        let minutes = |minutes: u64| interval(Duration::from_secs(60 * minutes));
        assert_eq!(minutes(60), MOST);
        assert_eq!(minutes(10), Duration::from_secs(20));
        assert_eq!(minutes(1), LEAST);
    }

    #[test]
    fn a_row_is_summed_up() {
        let sample = |(minute, kib): (u64, u64)| (Duration::from_secs(60 * minute), kib);
        let row = [(1, 10), (2, 30), (3, 25), (4, 20)].map(sample);
        let all = Figures::of(&row).unwrap();
        assert_eq!(
            (all.first_kib, all.warm_kib, all.last_kib),
            (10, Some(25), 20)
        );
        assert_eq!((all.greatest_kib, all.growth_kib), (30, 10));
        assert_eq!((all.lasted_seconds, all.late_growth_kib), (180, None));
        assert_eq!(Figures::of(&row[..2]).unwrap().warm_kib, None);
        let long = [(1, 10), (3, 25), (11, 40)].map(sample);
        assert_eq!(Figures::of(&long).unwrap().late_growth_kib, Some(15));
        assert!(Figures::of(&[]).is_none());
    }
}

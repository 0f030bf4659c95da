//! The resident memory of each server.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::sleep;

use crate::fleet::Running;

const EACH: Duration = Duration::from_secs(10);

/// What each process had, in KiB, every 10 s.
pub(crate) type Samples = BTreeMap<String, Vec<u64>>;

/// What a process had at first, mostly, and at last.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Figures {
    pub(crate) samples: usize,
    pub(crate) first_kib: u64,
    pub(crate) median_kib: u64,
    pub(crate) last_kib: u64,
    pub(crate) growth_kib: i64,
}

impl Figures {
    pub(crate) fn of(samples: &[u64]) -> Option<Self> {
        let (first, last) = (*samples.first()?, *samples.last()?);
        let mut sorted = samples.to_vec();
        sorted.sort_unstable();
        Some(Self {
            samples: samples.len(),
            first_kib: first,
            median_kib: sorted[sorted.len() / 2],
            last_kib: last,
            growth_kib: i64::try_from(last).ok()? - i64::try_from(first).ok()?,
        })
    }
}

/// Looks at the servers until it is dropped.
pub(crate) async fn watch(running: Arc<Mutex<Vec<Running>>>, samples: Arc<Mutex<Samples>>) {
    loop {
        let now = running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for server in now {
            if let Some(kib) = resident(server.pid) {
                let mut samples = samples.lock().unwrap_or_else(PoisonError::into_inner);
                samples.entry(server.name).or_default().push(kib);
            }
        }
        sleep(EACH).await;
    }
}

fn resident(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

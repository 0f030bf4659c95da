//! The report: what was done, what visitors saw, and whether every law held.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::disturbances::Cause;
use crate::logs::Logged;
use crate::memory::{Figures, Samples};
use crate::options::Options;
use crate::world::{Notes, Request, Seen, Tally, World};

mod checks;
mod print;

#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    store: String,
    commit: Option<String>,
    visitors: usize,
    pace: f64,
    seed: u64,
    seconds: f64,
    disturbances: Vec<Disturbed>,
    injected: BTreeMap<&'static str, usize>,
    requests: usize,
    by_status: BTreeMap<String, usize>,
    latency: BTreeMap<String, Latency>,
    /// The page of the longest request of all but uploads, and how long that took in milliseconds.
    longest: Option<(&'static str, f64)>,
    faults: usize,
    faults_in: BTreeMap<String, usize>,
    faults_outside_of_disturbances: usize,
    faults_of_a_busy_machine: usize,
    tally: Tally,
    /// Visits with something that a lost write of their own excuses.
    excused_visits: usize,
    memory: BTreeMap<String, Figures>,
    /// The samples of each server: seconds since the run began, and KiB.
    memory_over_time: BTreeMap<String, Vec<(u64, u64)>>,
    timetable_was_kept: bool,
    servers_ended_gently: bool,
    visitors_that_failed: usize,
    errors_of_the_run: usize,
    false_alarms_of_theft: u64,
    alarms_of_theft_by_lost_rotation: u64,
    corrupt: u64,
    panics: u64,
    sessions_dropped_before_commit: u64,
    lags_of_this_process: usize,
    seconds_of_lag: f64,
    notes: Notes,
    excused_notes: Notes,
}

/// How long a disturbance took.
#[derive(Debug, Serialize)]
struct Disturbed {
    what: &'static str,
    from_seconds: f64,
    to_seconds: f64,
}

/// How long requests for one page took, in milliseconds.
#[derive(Debug, Serialize)]
struct Latency {
    requests: usize,
    p50: f64,
    p90: f64,
    p99: f64,
    longest: f64,
}

impl Latency {
    fn of(mut times: Vec<Duration>) -> Option<Self> {
        times.sort_unstable();
        let at = |part: f64| {
            let i = ((times.len() - 1) as f64 * part).round() as usize;
            (times[i].as_secs_f64() * 1e4).round() / 10.0
        };
        (!times.is_empty()).then(|| Self {
            requests: times.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            longest: at(1.0),
        })
    }
}

/// How the run itself ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    pub(crate) timetable_was_kept: bool,
    pub(crate) logged: Logged,
    pub(crate) servers_ended_gently: bool,
    pub(crate) visitors_that_failed: usize,
    /// What this program itself could not do at the end.
    pub(crate) errors: usize,
}

impl Report {
    pub(crate) fn of(options: &Options, world: &World, samples: &Samples, ending: Ending) -> Self {
        let seen: &Seen = &world.seen();
        let seconds = |at: Instant| (at - world.began).as_secs_f64();
        let disturbances = world.disturbances.all();
        let requests = &seen.requests;
        let mut faults_in = BTreeMap::new();
        for fault in requests.iter().filter_map(|request| request.fault) {
            *faults_in.entry(fault.name().to_owned()).or_default() += 1;
        }
        let mut injected = BTreeMap::new();
        for one in &disturbances {
            *injected.entry(one.what).or_default() += 1;
        }
        let faults_by = |cause: Cause| *faults_in.get(cause.name()).unwrap_or(&0);
        let (lags, lag) = world.disturbances.lags();
        let figures = |(name, samples): (&String, &Vec<(Duration, u64)>)| {
            Figures::of(samples).map(|figures| (name.clone(), figures))
        };
        Self {
            store: format!("{:?}", options.store),
            commit: options.commit.clone(),
            visitors: options.visitors,
            pace: options.pace,
            seed: options.seed,
            seconds: world.began.elapsed().as_secs_f64(),
            disturbances: disturbances
                .iter()
                .map(|one| Disturbed {
                    what: one.what,
                    from_seconds: seconds(one.from),
                    to_seconds: one.to.map_or(f64::NAN, seconds),
                })
                .collect(),
            injected,
            requests: requests.len(),
            by_status: by_status(requests),
            latency: latencies(requests),
            longest: longest(requests),
            faults: faults_in.values().sum(),
            faults_outside_of_disturbances: faults_by(Cause::Unexplained),
            faults_of_a_busy_machine: faults_by(Cause::HeldUp),
            faults_in,
            tally: seen.tally.clone(),
            excused_visits: seen.excused.len(),
            memory: samples.iter().filter_map(figures).collect(),
            memory_over_time: samples.iter().map(over_time).collect(),
            timetable_was_kept: ending.timetable_was_kept,
            servers_ended_gently: ending.servers_ended_gently,
            visitors_that_failed: ending.visitors_that_failed,
            errors_of_the_run: ending.errors,
            false_alarms_of_theft: ending.logged.false_alarms,
            alarms_of_theft_by_lost_rotation: ending.logged.alarms_by_lost_rotation,
            corrupt: ending.logged.corrupt,
            panics: ending.logged.panics,
            sessions_dropped_before_commit: ending.logged.dropped,
            lags_of_this_process: lags,
            seconds_of_lag: lag.as_secs_f64(),
            notes: seen.notes.clone(),
            excused_notes: seen.excused_notes.clone(),
        }
    }
}

fn over_time((name, samples): (&String, &Vec<(Duration, u64)>)) -> (String, Vec<(u64, u64)>) {
    let row = samples.iter().map(|(at, kib)| (at.as_secs(), *kib));
    (name.clone(), row.collect())
}

/// Uploads take as long as their body.
fn longest(requests: &[Request]) -> Option<(&'static str, f64)> {
    let requests = requests.iter().filter(|request| request.page != "/upload");
    let longest = requests.max_by_key(|request| request.took)?;
    Some((longest.page, longest.took.as_secs_f64() * 1e3))
}

fn by_status(requests: &[Request]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for request in requests {
        let status = request.status;
        let name = status.map_or_else(|| "cut".to_owned(), |status| status.to_string());
        *counts.entry(name).or_default() += 1;
    }
    counts
}

/// For each page, and for all but uploads, which take as long as their body.
fn latencies(requests: &[Request]) -> BTreeMap<String, Latency> {
    let mut times = BTreeMap::<&str, Vec<Duration>>::new();
    for request in requests {
        times.entry(request.page).or_default().push(request.took);
        if request.page != "/upload" {
            times
                .entry("all but uploads")
                .or_default()
                .push(request.took);
        }
    }
    let latency = |(page, times)| Latency::of(times).map(|times| (str::to_owned(page), times));
    times.into_iter().filter_map(latency).collect()
}

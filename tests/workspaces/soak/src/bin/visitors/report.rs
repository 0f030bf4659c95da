//! The report: what was done, what visitors saw, and whether every law held.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::alarms::Alarms;
use crate::disturbances::GENTLE;
use crate::memory::{Figures, Samples};
use crate::options::Options;
use crate::world::{Request, Seen, Tally, World};

/// What a server may grow by in one run. A cache of records alone has 16 MiB.
const MOST_GROWTH_KIB: i64 = 64 * 1024;

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    store: String,
    visitors: usize,
    seed: u64,
    seconds: f64,
    disturbances: Vec<Disturbed>,
    requests: usize,
    by_status: BTreeMap<String, usize>,
    latency: BTreeMap<String, Latency>,
    faults: usize,
    faults_in: BTreeMap<String, usize>,
    faults_outside_of_disturbances: usize,
    tally: Tally,
    memory: BTreeMap<String, Figures>,
    timetable_was_kept: bool,
    servers_ended_gently: bool,
    visitors_that_failed: usize,
    false_alarms_of_theft: u64,
    alarms_of_theft_by_fail_over: u64,
    half_seconds_without_processor: usize,
    notes: Vec<String>,
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
    pub(crate) alarms: Alarms,
    pub(crate) servers_ended_gently: bool,
    pub(crate) visitors_that_failed: usize,
}

impl Report {
    pub(crate) fn of(options: &Options, world: &World, samples: &Samples, ending: Ending) -> Self {
        let seen: &Seen = &world.seen();
        let seconds = |at: Instant| (at - world.began).as_secs_f64();
        let disturbances = world.disturbances.all();
        let requests = &seen.requests;
        let mut faults_in = BTreeMap::new();
        for fault in requests.iter().filter_map(|request| request.fault) {
            let what = fault.unwrap_or("no disturbance").to_owned();
            *faults_in.entry(what).or_default() += 1;
        }
        let figures = |(name, samples): (&String, &Vec<u64>)| {
            Figures::of(samples).map(|figures| (name.clone(), figures))
        };
        Self {
            store: format!("{:?}", options.store),
            visitors: options.visitors,
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
            requests: requests.len(),
            by_status: by_status(requests),
            latency: latencies(requests),
            faults: faults_in.values().sum(),
            faults_outside_of_disturbances: *faults_in.get("no disturbance").unwrap_or(&0),
            faults_in,
            tally: seen.tally.clone(),
            memory: samples.iter().filter_map(figures).collect(),
            timetable_was_kept: ending.timetable_was_kept,
            servers_ended_gently: ending.servers_ended_gently,
            visitors_that_failed: ending.visitors_that_failed,
            false_alarms_of_theft: ending.alarms.false_ones,
            alarms_of_theft_by_fail_over: ending.alarms.by_fail_over,
            half_seconds_without_processor: world.disturbances.starvations(),
            notes: seen.notes.clone(),
        }
    }

    /// Each law, and whether it held.
    fn checks(&self) -> Vec<(String, bool)> {
        let tally = &self.tally;
        let none = |what: &str, count: u64| (format!("{what}: {count}"), count == 0);
        let some = |what: &str, count: u64| (format!("{what}: {count}"), count > 0);
        let in_restarts = GENTLE
            .iter()
            .map(|what| self.faults_in.get(*what).unwrap_or(&0))
            .sum::<usize>();
        let growth = self.memory.values().map(|figures| figures.growth_kib).max();
        let growth = growth.unwrap_or(0);
        vec![
            some("writes were acknowledged", tally.acknowledged),
            some(
                "sessions were compared with what was acknowledged",
                tally.compared,
            ),
            some("pages failed on purpose", tally.failed_on_purpose),
            some("uploads took 20 s", tally.uploads),
            some(
                "sockets closed after a sign-out",
                tally.sockets_closed_by_sign_out,
            ),
            some("old cookies were tried", tally.old_cookies),
            none("acknowledged writes that were lost", tally.lost),
            none("writes that came back after a later one", tally.came_back),
            none(
                "values that nobody wrote, or that were refused",
                tally.not_written,
            ),
            none("items that are in a cart twice", tally.twice),
            none("people signed out without their doing", tally.signed_out),
            none("requests answered as a stranger's", tally.strangers),
            none("old cookies that open a session", tally.old_cookies_open),
            none("alarms of theft without a loss", self.false_alarms_of_theft),
            none("sign-outs that left the cookie", tally.cookies_kept),
            none(
                "sockets closed without a reason",
                tally.sockets_without_reason,
            ),
            none("sockets that outlived a sign-out", tally.sockets_outlived),
            none(
                "faults outside of disturbances",
                self.faults_outside_of_disturbances as u64,
            ),
            none(
                "faults during restarts of one server after the other",
                in_restarts as u64,
            ),
            none("visitors that failed", self.visitors_that_failed as u64),
            ("the timetable was kept".to_owned(), self.timetable_was_kept),
            (
                "servers that were asked to end did so in time".to_owned(),
                self.servers_ended_gently,
            ),
            (
                format!("memory of a server grew by {growth} KiB at most"),
                growth < MOST_GROWTH_KIB,
            ),
        ]
    }

    /// The report for people. Says whether every law held.
    pub(crate) fn print(&self) -> bool {
        println!(
            "== {} with {} visitors, {:.0} s",
            self.store, self.visitors, self.seconds
        );
        for one in &self.disturbances {
            println!(
                "{:6.1} s to {:6.1} s: {}",
                one.from_seconds, one.to_seconds, one.what
            );
        }
        println!(
            "requests: {}, by status: {:?}",
            self.requests, self.by_status
        );
        println!(
            "faults: {}, by disturbance: {:?}",
            self.faults, self.faults_in
        );
        for (page, times) in &self.latency {
            println!(
                "{page}: {} requests, ms: p50 {}, p90 {}, p99 {}, longest {}",
                times.requests, times.p50, times.p90, times.p99, times.longest
            );
        }
        for (name, figures) in &self.memory {
            println!(
                "{name}: {} samples, KiB: first {}, median {}, last {}, growth {}",
                figures.samples,
                figures.first_kib,
                figures.median_kib,
                figures.last_kib,
                figures.growth_kib
            );
        }
        println!("{:#?}", self.tally);
        println!(
            "alarms of theft by a fail-over: {}",
            self.alarms_of_theft_by_fail_over
        );
        println!(
            "half seconds without a processor: {}",
            self.half_seconds_without_processor
        );
        for note in &self.notes {
            println!("{note}");
        }
        let mut all = true;
        for (what, holds) in self.checks() {
            println!(
                "{} {}: {what}",
                if holds { "ok" } else { "not ok" },
                self.store
            );
            all &= holds;
        }
        all
    }
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

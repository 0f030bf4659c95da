//! Runs the cases over a store.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;

use super::case::{Case, Needs, cases};
use super::report::{CaseOutcome, Report};
use super::trial::{Stop, Trial};
use super::watchdog;
use crate::record::SessionId;
use crate::store::SessionStore;
use crate::time::Timestamp;

const ROUNDS: u32 = 64;
const TIME_LIMIT: Duration = Duration::from_secs(60);
/// Records that are almost at their end were last seen hours before the time of a case.
const EARLIEST: Timestamp = Timestamp::from_millis(24 * 3600 * 1000);

/// The suite over one store: what to run, and how.
///
/// ```
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # runtime.block_on(async {
/// use session_core::MemoryStore;
/// use session_core::store::conformance::{CaseOutcome, Suite};
///
/// let report = Suite::new(|| async { MemoryStore::new() })
///     .seed(7)
///     .rounds(8)
///     .only("no_lost_update")
///     .run()
///     .await;
/// assert_eq!(report.outcome("no_lost_update"), Some(&CaseOutcome::Passed));
/// # });
/// ```
#[must_use = "a suite does nothing until it is `run`"]
pub struct Suite<F> {
    factory: F,
    seed: Option<u64>,
    rounds: u32,
    only: Vec<String>,
    start: Option<Timestamp>,
    time_limit: Duration,
}

impl<F, Fut, S> Suite<F>
where
    F: Fn() -> Fut,
    Fut: Future<Output = S>,
    S: SessionStore,
{
    /// A suite of all cases, over the stores that `factory` makes, one for each case.
    ///
    /// These stores may share their data: no case assumes that a store is empty, or leaves it
    /// empty.
    pub fn new(factory: F) -> Self {
        Self {
            factory,
            seed: None,
            rounds: ROUNDS,
            only: Vec::new(),
            start: None,
            time_limit: TIME_LIMIT,
        }
    }

    /// Repeats the random choices of the run that reported this seed. By default each run makes
    /// others.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets how many random interleavings a case tries, if it has any. Default: 64; at least 1.
    pub fn rounds(mut self, rounds: u32) -> Self {
        self.rounds = rounds.max(1);
        self
    }

    /// Runs only the case with this name. Call it again to add another case.
    pub fn only(mut self, name: impl Into<String>) -> Self {
        self.only.push(name.into());
        self
    }

    /// Sets the time that the cases pass to the store as the present.
    ///
    /// A time before the second day of 1970 counts as the beginning of that day. By default it is
    /// the system's time, for engines that expire records by their own clock.
    pub fn starting_at(mut self, now: Timestamp) -> Self {
        self.start = Some(now);
        self
    }

    /// Sets how long one case may take before it fails. Default: a minute.
    ///
    /// A case that takes longer counts as one whose operation waits for ever. Raise the limit for
    /// more rounds over a slow network, which take longer. An operation that blocks its thread
    /// cannot be ended.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Runs the cases, one after the other, inside the calling task.
    pub async fn run(self) -> Report {
        let mut report = Report {
            seed: self.seed.unwrap_or_else(draw_seed),
            rounds: self.rounds,
            results: Vec::new(),
            unknown: self.only.clone(),
        };
        report
            .unknown
            .retain(|name| cases().iter().all(|case| case.name() != name));
        for case in cases() {
            if self.only.is_empty() || self.only.iter().any(|name| name == case.name()) {
                report
                    .results
                    .push((case, self.outcome_of(case, report.seed).await));
            }
        }
        report
    }

    async fn outcome_of(&self, case: &'static Case, seed: u64) -> CaseOutcome {
        let now = self
            .start
            .unwrap_or_else(|| SystemTime::now().into())
            .max(EARLIEST);
        // Outside of what may panic or hang, so that its log survives that.
        let trial = OnceLock::new();
        let run = async {
            let store = Box::new((self.factory)().await);
            let trial =
                trial.get_or_init(|| Trial::new(store, case.name(), seed, self.rounds, now));
            let needs_index = matches!(case.needs, Needs::Index | Needs::IndexAndScan);
            let needs_scan = matches!(case.needs, Needs::Scan | Needs::IndexAndScan);
            let left_out = match case.needs {
                Needs::AnyStore => None,
                _ if trial.is_sealed() => Some("the client keeps the record"),
                _ if needs_index && !trial.has_index() => {
                    Some("the store has no index of principals")
                }
                _ if needs_scan && !trial.has_scan() => Some("the store has no scan"),
                _ => None,
            };
            match left_out {
                Some(reason) => Err(Stop::LeftOut(reason.into())),
                None => (case.run)(trial).await,
            }
        };
        let explain = |reason: &str| match trial.get() {
            Some(trial) => CaseOutcome::Failed(trial.explain(reason)),
            None => CaseOutcome::Failed(format!("{reason}, before there was a store")),
        };
        match watchdog::within(self.time_limit, AssertUnwindSafe(run).catch_unwind()).await {
            Some(Ok(Ok(()))) => CaseOutcome::Passed,
            Some(Ok(Err(Stop::LeftOut(reason)))) => CaseOutcome::LeftOut(reason),
            Some(Ok(Err(Stop::Failed(reason)))) => explain(&reason),
            Some(Err(panic)) => explain(&format!("the store panicked: {}", text_of(&*panic))),
            None => explain(&format!(
                "not over after {:?}: an operation never ends",
                self.time_limit
            )),
        }
    }
}

/// From the operating system; the time of day does as well.
fn draw_seed() -> u64 {
    match SessionId::random() {
        Ok(id) => id
            .as_bytes()
            .iter()
            .take(8)
            .fold(0, |seed, byte| seed << 8 | u64::from(*byte)),
        Err(_) => Timestamp::from(SystemTime::now()).as_millis(),
    }
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a text")
}

impl<F> fmt::Debug for Suite<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suite")
            .field("seed", &self.seed)
            .field("rounds", &self.rounds)
            .field("only", &self.only)
            .field("start", &self.start)
            .field("time_limit", &self.time_limit)
            .finish_non_exhaustive()
    }
}

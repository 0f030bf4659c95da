//! An observer that counts, for the facade `metrics`.

mod shards;

use std::fmt;
use std::mem::discriminant;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use metrics::{Counter, Histogram, Unit, counter, describe_counter, describe_histogram, histogram};

use self::shards::Shards;
use crate::event::labels::places;
use crate::event::{
    Commit, CommitOutcome, Event, EventKind, Observer, Opened, Opening, Refusal, StoreCall,
    StoreOperation, StoreOutcome,
};

places!(
    EventKind,
    Opened,
    CommitOutcome,
    StoreOperation,
    StoreOutcome
);

mod names {
    pub(super) const EVENTS: &str = "session_events_total";
    pub(super) const REFUSALS: &str = "session_refusals_total";
    pub(super) const OPENED: &str = "session_opened_total";
    pub(super) const COMMITS: &str = "session_commits_total";
    pub(super) const ATTEMPTS: &str = "session_commit_attempts_total";
    pub(super) const WRITTEN: &str = "session_written_bytes_total";
    pub(super) const CALLS: &str = "session_store_calls_total";
    pub(super) const SECONDS: &str = "session_store_call_seconds";
}

/// Counts everything that an [`Observer`] receives, for the recorder of the crate `metrics`.
///
/// It takes the feature `metrics`. The recorder is that of your exporter, for example
/// `metrics-exporter-prometheus`, in a version for `metrics` 0.24. Install it first: an observer
/// takes the handles of its counters when it is made, so that they appear at zero, and stores take
/// theirs when they first count. The handles are kept. So do not let the exporter remove metrics
/// that are idle: what is counted by a kept handle would not come back.
///
/// | metric | labels | what it counts |
/// |---|---|---|
/// | `session_events_total` | `kind` | sessions that something happened to |
/// | `session_refusals_total` | `reason` | refused tokens and sign-ins |
/// | `session_opened_total` | `result` | requests that asked for their session |
/// | `session_commits_total` | `outcome` | commits, and saves and touches of handlers |
/// | `session_commit_attempts_total` | | writes that they sent to the store |
/// | `session_written_bytes_total` | | sizes of the records that calls were to write |
/// | `session_store_calls_total` | `operation`, `outcome` | calls of the store |
/// | `session_store_call_seconds` | `operation`, `outcome` | a histogram of how long they took |
///
/// Threads count for themselves, so that they do not wait for each other. Once a second a thread of
/// the observer passes the sums on to the recorder. Durations do not wait.
/// [`publish`](MetricsObserver::publish) passes the sums on at once.
///
/// The values of the labels are what [`EventKind::label`], [`Refusal::label`], [`Opened::label`],
/// [`CommitOutcome::label`], [`StoreOperation::label`] and [`StoreOutcome::label`] return.
///
/// Stores of a program with this feature count some more, without an observer:
///
/// | metric | labels | what it is |
/// |---|---|---|
/// | `session_cache_loads_total` | `result` | loads of [caches], by what they had |
/// | `session_connections_total` | `store` | connections to servers, the first ones too |
/// | `session_connection_failures_total` | `store` | attempts to connect that failed |
/// | `session_memory_records` | | a gauge of the records in memory stores |
///
/// A connection to a Redis Cluster counts once, whatever the driver connects to behind it. With
/// MongoDB, only clients that the store makes from a URI are counted, and a connection that breaks
/// is a failure too.
///
/// [caches]: crate::store::CachedStore
///
/// No label has an id, a principal or a text, so the number of time series is bounded: at most 150
/// and the buckets of the histogram. A store that waits for nothing has no histogram
/// ([`StoreCall::elapsed`]). There is no gauge of the sessions in a database: it would drift,
/// because others create and end them too. The figures of several managers are added up.
///
/// ```
/// use session_core::{MemoryStore, MetricsObserver, SessionManager};
///
/// // First: PrometheusBuilder::new().install()?;
/// let manager = SessionManager::builder(MemoryStore::new())
///     .observer(MetricsObserver::new())
///     .build()
///     .unwrap();
/// ```
#[derive(Clone)]
pub struct MetricsObserver(Arc<Publisher>);

/// How long it takes at most until the recorder has a count.
const PERIOD: Duration = Duration::from_secs(1);

/// Counts, and a thread that passes them on. With the last observer that shares it, it passes on
/// what is left, and the thread ends.
struct Publisher {
    meters: Arc<Meters>,
    /// The thread ends when this is dropped. There is none if the system refused a thread.
    thread: Option<Sender<()>>,
}

/// The handles of all metrics, and what was counted since it was last passed on. To look a handle
/// up takes as long as a load from memory.
struct Meters {
    counts: Shards<COUNTS>,
    /// Those before [`CALLS`], in their order.
    counters: Vec<Counter>,
    /// Made when a call first ends so: most pairs never occur.
    calls: [OnceLock<Counter>; PAIRS],
    seconds: [OnceLock<Histogram>; PAIRS],
}

/// How many pairs of an operation and an outcome there are.
const PAIRS: usize = StoreOperation::ALL.len() * StoreOutcome::ALL.len();

// Where counts are in a shard: for each enum as many as it has variants.
const EVENTS: usize = 0;
const REFUSALS: usize = EVENTS + EventKind::ALL.len();
const OPENED: usize = REFUSALS + Refusal::ALL.len();
const COMMITS: usize = OPENED + Opened::ALL.len();
const ATTEMPTS: usize = COMMITS + CommitOutcome::ALL.len();
const WRITTEN: usize = ATTEMPTS + 1;
const CALLS: usize = WRITTEN + 1;
const COUNTS: usize = CALLS + PAIRS;

impl MetricsObserver {
    /// An observer for the recorder that is installed now.
    ///
    /// [`MetricsObserver`] has an example.
    pub fn new() -> Self {
        describe();
        Self(Arc::new(Publisher::start(PERIOD)))
    }

    /// Passes on to the recorder what was counted until now. A thread does so every second, and the
    /// last clone when it is dropped.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// use metrics_util::debugging::{DebugValue, DebuggingRecorder};
    /// use session_core::{MemoryStore, MetricsObserver, SessionManager};
    ///
    /// let recorder = DebuggingRecorder::new();
    /// let snapshotter = recorder.snapshotter();
    /// recorder.install().unwrap();
    ///
    /// let observer = MetricsObserver::new();
    /// let manager = SessionManager::builder(MemoryStore::new())
    ///     .observer(observer.clone())
    ///     .build()
    ///     .unwrap();
    /// drop(manager.begin(&[]).await?);
    ///
    /// observer.publish();
    /// let metrics = snapshotter.snapshot().into_vec();
    /// let mut opened = metrics
    ///     .into_iter()
    ///     .filter(|(key, ..)| key.key().name() == "session_opened_total");
    /// assert!(opened.any(|(.., count)| count == DebugValue::Counter(1)));
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    pub fn publish(&self) {
        self.0.meters.publish();
    }
}

impl Default for MetricsObserver {
    fn default() -> Self {
        Self::new()
    }
}

impl Publisher {
    fn start(period: Duration) -> Self {
        let meters = Arc::new(Meters::new());
        let (sender, receiver) = mpsc::channel();
        let counted = Arc::clone(&meters);
        let run = move || {
            while receiver.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
                counted.publish();
            }
        };
        let thread = thread::Builder::new().name("session-metrics".to_owned());
        Self {
            meters,
            thread: thread.spawn(run).ok().map(|_| sender),
        }
    }

    fn add(&self, place: usize, count: u64) {
        self.meters.counts.add(place, count);
        if self.thread.is_none() {
            self.meters.publish();
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.meters.publish();
    }
}

impl Meters {
    fn new() -> Self {
        let events = EventKind::ALL.map(|kind| counter!(names::EVENTS, "kind" => kind.label()));
        let refusals = Refusal::ALL.map(|it| counter!(names::REFUSALS, "reason" => it.label()));
        let opened = Opened::ALL.map(|result| counter!(names::OPENED, "result" => result.label()));
        let commits =
            CommitOutcome::ALL.map(|it| counter!(names::COMMITS, "outcome" => it.label()));
        let others = [counter!(names::ATTEMPTS), counter!(names::WRITTEN)];
        let counters = events.into_iter().chain(refusals).chain(opened);
        Self {
            counts: Shards::new(),
            counters: counters.chain(commits).chain(others).collect(),
            calls: [const { OnceLock::new() }; PAIRS],
            seconds: [const { OnceLock::new() }; PAIRS],
        }
    }

    fn publish(&self) {
        let calls = self.calls.iter().map(OnceLock::get);
        for (place, counter) in self.counters.iter().map(Some).chain(calls).enumerate() {
            // Whoever counts makes the handle first.
            let Some(counter) = counter else { continue };
            match self.counts.take(place) {
                0 => {}
                count => counter.increment(count),
            }
        }
    }
}

impl Observer for MetricsObserver {
    fn observe(&self, event: &Event<'_>) {
        // For `Contended` the count is that of attempts.
        let sessions = match event.kind {
            EventKind::Revoked => event.count,
            _ => 1,
        };
        self.0.add(EVENTS + event.kind as usize, sessions);
        // `Ended` has one counter, whatever the reason.
        let place = |refusal| {
            let mut known = Refusal::ALL.iter().map(discriminant);
            known.position(|known| known == discriminant(&refusal))
        };
        if let Some(place) = event.refusal.and_then(place) {
            self.0.add(REFUSALS + place, 1);
        }
    }

    fn opened(&self, opening: &Opening) {
        self.0.add(OPENED + opening.result as usize, 1);
    }

    fn store_call(&self, call: &StoreCall) {
        let (operation, outcome) = (call.operation, call.outcome);
        let labels = [
            ("operation", operation.label()),
            ("outcome", outcome.label()),
        ];
        let pair = operation as usize * StoreOutcome::ALL.len() + outcome as usize;
        // Here and not where counts are passed on: a recorder may be that of this thread alone.
        let meters = &*self.0.meters;
        meters.calls[pair].get_or_init(|| counter!(names::CALLS, &labels));
        self.0.add(CALLS + pair, 1);
        if let Some(elapsed) = call.elapsed {
            let seconds = meters.seconds[pair].get_or_init(|| histogram!(names::SECONDS, &labels));
            seconds.record(elapsed);
        }
        if call.bytes > 0 {
            self.0.add(WRITTEN, call.bytes as u64);
        }
    }

    fn committed(&self, commit: &Commit) {
        self.0.add(COMMITS + commit.outcome as usize, 1);
        if commit.attempts > 0 {
            self.0.add(ATTEMPTS, commit.attempts.into());
        }
    }
}

fn describe() {
    describe_counter!(
        names::EVENTS,
        "What has happened to sessions, by the kind of event"
    );
    describe_counter!(names::REFUSALS, "Refused tokens and sign-ins, by reason");
    describe_counter!(
        names::OPENED,
        "Requests that asked for their session, by what their tokens opened"
    );
    describe_counter!(names::COMMITS, "Commits and saves, by how they ended");
    describe_counter!(
        names::ATTEMPTS,
        "Writes that commits and saves have sent to the store"
    );
    describe_counter!(
        names::WRITTEN,
        Unit::Bytes,
        "Sizes of the records that were to be written"
    );
    describe_counter!(names::CALLS, "Calls of the store, by operation and outcome");
    describe_histogram!(
        names::SECONDS,
        Unit::Seconds,
        "How long calls of the store took"
    );
}

impl fmt::Debug for MetricsObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsObserver").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    use super::*;

    fn wait_until(mut is_true: impl FnMut() -> bool) {
        let began = Instant::now();
        while !is_true() {
            assert!(began.elapsed() < Duration::from_secs(60), "it never is");
            thread::yield_now();
        }
    }

    #[test]
    fn a_thread_passes_counts_on_and_ends_with_the_last_clone() {
        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        let start = || Publisher::start(Duration::from_micros(1));
        let publisher = metrics::with_local_recorder(&recorder, start);
        let observer = MetricsObserver(Arc::new(publisher));
        let clone = observer.clone();
        observer.committed(&Commit {
            outcome: CommitOutcome::Written,
            attempts: 7,
        });
        drop(observer);
        wait_until(|| {
            let metrics = snapshotter.snapshot().into_vec();
            let mut values = metrics.into_iter().map(|(.., value)| value);
            values.any(|value| value == DebugValue::Counter(7))
        });
        let meters = Arc::downgrade(&clone.0.meters);
        drop(clone);
        wait_until(|| meters.strong_count() == 0);
    }

    /// As if the system had refused the thread.
    #[test]
    fn without_a_thread_each_count_is_passed_on_at_once() {
        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        let meters = Arc::new(metrics::with_local_recorder(&recorder, Meters::new));
        let thread = None;
        let observer = MetricsObserver(Arc::new(Publisher { meters, thread }));
        observer.opened(&Opening {
            result: Opened::NoToken,
        });
        let metrics = snapshotter.snapshot().into_vec();
        let mut values = metrics.into_iter().map(|(.., value)| value);
        assert!(values.any(|value| value == DebugValue::Counter(1)));
    }
}

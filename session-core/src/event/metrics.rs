//! An observer that counts, for the facade `metrics`.

use std::fmt;
use std::mem::discriminant;
use std::sync::OnceLock;

use metrics::{Counter, Histogram, Unit, counter, describe_counter, describe_histogram, histogram};

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

const EVENTS: &str = "session_events_total";
const REFUSALS: &str = "session_refusals_total";
const OPENED: &str = "session_opened_total";
const COMMITS: &str = "session_commits_total";
const ATTEMPTS: &str = "session_commit_attempts_total";
const WRITTEN: &str = "session_written_bytes_total";
const CALLS: &str = "session_store_calls_total";
const SECONDS: &str = "session_store_call_seconds";

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
pub struct MetricsObserver {
    meters: Box<Meters>,
}

/// The handles of all metrics. To look one up takes as long as a load from memory.
struct Meters {
    events: [Counter; EventKind::ALL.len()],
    refusals: [Counter; Refusal::ALL.len()],
    opened: [Counter; Opened::ALL.len()],
    commits: [Counter; CommitOutcome::ALL.len()],
    attempts: Counter,
    written: Counter,
    /// Made when a call first ends so: most pairs never occur.
    calls: [[OnceLock<CallMeters>; StoreOutcome::ALL.len()]; StoreOperation::ALL.len()],
}

struct CallMeters {
    count: Counter,
    seconds: OnceLock<Histogram>,
}

impl MetricsObserver {
    /// An observer for the recorder that is installed now.
    ///
    /// [`MetricsObserver`] has an example.
    pub fn new() -> Self {
        describe();
        Self {
            meters: Box::new(Meters::new()),
        }
    }
}

impl Default for MetricsObserver {
    fn default() -> Self {
        Self::new()
    }
}

impl Meters {
    fn new() -> Self {
        Self {
            events: EventKind::ALL.map(|kind| counter!(EVENTS, "kind" => kind.label())),
            refusals: Refusal::ALL.map(|refusal| counter!(REFUSALS, "reason" => refusal.label())),
            opened: Opened::ALL.map(|opened| counter!(OPENED, "result" => opened.label())),
            commits: CommitOutcome::ALL.map(|how| counter!(COMMITS, "outcome" => how.label())),
            attempts: counter!(ATTEMPTS),
            written: counter!(WRITTEN),
            calls: Default::default(),
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
        let meters = &*self.meters;
        meters.events[event.kind as usize].increment(sessions);
        // `Ended` has one counter, whatever the reason.
        let place = |refusal| {
            let mut known = Refusal::ALL.iter().map(discriminant);
            known.position(|known| known == discriminant(&refusal))
        };
        if let Some(count) = event.refusal.and_then(place) {
            meters.refusals[count].increment(1);
        }
    }

    fn opened(&self, opening: &Opening) {
        self.meters.opened[opening.result as usize].increment(1);
    }

    fn store_call(&self, call: &StoreCall) {
        let meters = &*self.meters;
        let (operation, outcome) = (call.operation, call.outcome);
        let labels = [
            ("operation", operation.label()),
            ("outcome", outcome.label()),
        ];
        let of_pair = &meters.calls[operation as usize][outcome as usize];
        let of_pair = of_pair.get_or_init(|| CallMeters {
            count: counter!(CALLS, &labels),
            seconds: OnceLock::new(),
        });
        of_pair.count.increment(1);
        if let Some(elapsed) = call.elapsed {
            let seconds = of_pair.seconds.get_or_init(|| histogram!(SECONDS, &labels));
            seconds.record(elapsed);
        }
        if call.bytes > 0 {
            meters.written.increment(call.bytes as u64);
        }
    }

    fn committed(&self, commit: &Commit) {
        let meters = &*self.meters;
        meters.commits[commit.outcome as usize].increment(1);
        if commit.attempts > 0 {
            meters.attempts.increment(commit.attempts.into());
        }
    }
}

fn describe() {
    describe_counter!(
        EVENTS,
        "What has happened to sessions, by the kind of event"
    );
    describe_counter!(REFUSALS, "Refused tokens and sign-ins, by reason");
    describe_counter!(
        OPENED,
        "Requests that asked for their session, by what their tokens opened"
    );
    describe_counter!(COMMITS, "Commits and saves, by how they ended");
    describe_counter!(
        ATTEMPTS,
        "Writes that commits and saves have sent to the store"
    );
    describe_counter!(
        WRITTEN,
        Unit::Bytes,
        "Sizes of the records that were to be written"
    );
    describe_counter!(CALLS, "Calls of the store, by operation and outcome");
    describe_histogram!(SECONDS, Unit::Seconds, "How long calls of the store took");
}

impl fmt::Debug for MetricsObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetricsObserver").finish_non_exhaustive()
    }
}

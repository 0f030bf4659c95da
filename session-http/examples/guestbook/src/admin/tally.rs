//! What is counted in each interval.

use std::time::Duration;

use session_core::{EventKind, Opened, StoreOperation, StoreOutcome, Timestamp};

use super::latency::{Histogram, Latency};
use super::ring::{INTERVALS, Ring};

/// The events in the order of the page: alert at once, alert on a rise, only count. The guide's
/// page on operating a site says what each means.
pub(super) const KINDS: [EventKind; 18] = [
    EventKind::StoreFailed,
    EventKind::Corrupt,
    EventKind::Reused,
    EventKind::Refused,
    EventKind::Unproven,
    EventKind::Unsaved,
    EventKind::Gone,
    EventKind::Undecodable,
    EventKind::Contended,
    EventKind::Loaded,
    EventKind::Created,
    EventKind::Renewed,
    EventKind::Rotated,
    EventKind::Bound,
    EventKind::Conflict,
    EventKind::Destroyed,
    EventKind::Revoked,
    EventKind::Expired,
];
/// Where the second and the third group of `KINDS` begin.
pub(super) const RISING: usize = 3;
pub(super) const COUNTED: usize = 9;

pub(super) const OPENED: [Opened; 6] = [
    Opened::Session,
    Opened::NoToken,
    Opened::Expired,
    Opened::Refused,
    Opened::Unusable,
    Opened::Failed,
];
const OPERATIONS: [StoreOperation; 8] = [
    StoreOperation::Load,
    StoreOperation::Create,
    StoreOperation::Update,
    StoreOperation::Delete,
    StoreOperation::ListOf,
    StoreOperation::DeleteOneOf,
    StoreOperation::DeleteAllOf,
    StoreOperation::DeleteExpired,
];
/// The outcomes that mean that the store did not do its work.
const FAILURES: [StoreOutcome; 7] = [
    StoreOutcome::Unavailable,
    StoreOutcome::OutcomeUnknown,
    StoreOutcome::Corrupt,
    StoreOutcome::Full,
    StoreOutcome::TooLarge,
    StoreOutcome::Unsupported,
    StoreOutcome::IdTaken,
];

/// A count for each interval.
pub(super) type Series = [u32; INTERVALS];

/// Counts for 15 minutes. Its size is bounded: 400 KB if each operation is called all the time.
#[derive(Debug, Default)]
pub(super) struct Tally(Ring<Interval>);

#[derive(Debug, Default)]
struct Interval {
    events: [u32; KINDS.len()],
    opened: [u32; OPENED.len()],
    calls: [Calls; OPERATIONS.len()],
}

/// The calls of one operation.
#[derive(Debug, Default)]
struct Calls {
    all: u32,
    conflicts: u32,
    cancelled: u32,
    failed: [u32; FAILURES.len()],
    /// Made at the first call that was timed.
    latencies: Option<Box<Histogram>>,
}

/// What the page shows of one operation.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Operation {
    pub(super) label: &'static str,
    pub(super) calls: u64,
    pub(super) conflicts: u64,
    pub(super) cancelled: u64,
    /// How often each failure occurred, by its label.
    pub(super) failures: Vec<(&'static str, u64)>,
    /// Of all calls. `None` if none was timed.
    pub(super) latency: Option<Latency>,
    /// Of each interval.
    pub(super) latencies: [Option<Latency>; INTERVALS],
}

impl Operation {
    pub(super) fn failed(&self) -> u64 {
        self.failures.iter().map(|(_, count)| count).sum()
    }
}

/// What is plotted of all calls together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plotted {
    Calls,
    Failed,
    Conflicts,
    Cancelled,
}

impl Tally {
    /// Counts an event. A kind that a later version of the library adds is left out.
    pub(super) fn event(&mut self, kind: EventKind, count: u64, at: Timestamp) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.0
            .change(at, |now| add(&KINDS, &mut now.events, kind, count));
    }

    pub(super) fn opened(&mut self, opened: Opened, at: Timestamp) {
        self.0
            .change(at, |now| add(&OPENED, &mut now.opened, opened, 1));
    }

    pub(super) fn call(
        &mut self,
        operation: StoreOperation,
        outcome: StoreOutcome,
        elapsed: Option<Duration>,
        at: Timestamp,
    ) {
        let Some(index) = OPERATIONS.iter().position(|known| *known == operation) else {
            return;
        };
        self.0.change(at, |now| {
            if let Some(calls) = now.calls.get_mut(index) {
                calls.add(outcome, elapsed);
            }
        });
    }

    /// Forgets what is ahead of a clock that was set back.
    pub(super) fn look_at(&mut self, now: Timestamp) {
        self.0.look_at(now);
    }

    pub(super) fn events(&self, now: Timestamp) -> [Series; KINDS.len()] {
        std::array::from_fn(|kind| self.series(now, |interval| interval.events[kind]))
    }

    pub(super) fn openings(&self, now: Timestamp) -> [Series; OPENED.len()] {
        std::array::from_fn(|opened| self.series(now, |interval| interval.opened[opened]))
    }

    pub(super) fn calls(&self, plotted: Plotted, now: Timestamp) -> Series {
        self.series(now, |interval| {
            let of = |calls: &Calls| match plotted {
                Plotted::Calls => calls.all,
                Plotted::Failed => calls.failed.iter().copied().fold(0, u32::saturating_add),
                Plotted::Conflicts => calls.conflicts,
                Plotted::Cancelled => calls.cancelled,
            };
            let counts = interval.calls.iter().map(of);
            counts.fold(0, u32::saturating_add)
        })
    }

    /// The operations that were called.
    pub(super) fn operations(&self, now: Timestamp) -> Vec<Operation> {
        let recent = self.0.recent(now);
        let operations = OPERATIONS.iter().enumerate();
        let operations = operations.map(|(index, operation)| {
            let calls = recent.map(|interval| interval.map(|interval| &interval.calls[index]));
            Operation::new(operation.label(), &calls)
        });
        operations.filter(|operation| operation.calls > 0).collect()
    }

    fn series(&self, now: Timestamp, of: impl Fn(&Interval) -> u32) -> Series {
        self.0.recent(now).map(|interval| interval.map_or(0, &of))
    }
}

/// Adds to the count of one of the `known` things.
fn add<T: Copy + PartialEq>(known: &[T], counts: &mut [u32], thing: T, more: u32) {
    let counts = known.iter().zip(counts);
    for (_, count) in counts.filter(|(known, _)| **known == thing) {
        *count = count.saturating_add(more);
    }
}

impl Calls {
    fn add(&mut self, outcome: StoreOutcome, elapsed: Option<Duration>) {
        self.all = self.all.saturating_add(1);
        match outcome {
            StoreOutcome::Conflict => self.conflicts = self.conflicts.saturating_add(1),
            StoreOutcome::Cancelled => self.cancelled = self.cancelled.saturating_add(1),
            outcome => add(&FAILURES, &mut self.failed, outcome, 1),
        }
        if let Some(elapsed) = elapsed {
            self.latencies.get_or_insert_default().add(elapsed);
        }
    }
}

impl Operation {
    fn new(label: &'static str, intervals: &[Option<&Calls>; INTERVALS]) -> Self {
        let sum = |of: &dyn Fn(&Calls) -> u32| {
            let counts = intervals.iter().flatten().map(|calls| u64::from(of(calls)));
            counts.sum()
        };
        let failures = FAILURES.iter().enumerate();
        let failures = failures.map(|(at, failure)| {
            let count: u64 = sum(&|calls| calls.failed[at]);
            (failure.label(), count)
        });
        let mut all = Histogram::default();
        let histograms = intervals.iter().flatten();
        for histogram in histograms.filter_map(|calls| calls.latencies.as_deref()) {
            all.merge(histogram);
        }
        Self {
            label,
            calls: sum(&|calls| calls.all),
            conflicts: sum(&|calls| calls.conflicts),
            cancelled: sum(&|calls| calls.cancelled),
            failures: failures.filter(|(_, count)| *count > 0).collect(),
            latency: all.latency(),
            latencies: intervals.map(|calls| calls?.latencies.as_deref()?.latency()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_millis(1_764_504_000_000);

    #[test]
    fn each_kind_is_counted_by_itself() {
        let mut tally = Tally::default();
        tally.event(EventKind::Revoked, 3, NOON);
        tally.event(EventKind::Created, 1, NOON);
        tally.opened(Opened::Expired, NOON);
        let events = tally.events(NOON);
        for (kind, series) in KINDS.iter().zip(events) {
            let expected = match kind {
                EventKind::Revoked => 3,
                EventKind::Created => 1,
                _ => 0,
            };
            assert_eq!(series[INTERVALS - 1], expected, "{kind:?}");
        }
        let opened = tally.openings(NOON).map(|series| series[INTERVALS - 1]);
        assert_eq!(opened, [0, 0, 1, 0, 0, 0]);
    }

    #[test]
    fn calls_are_counted_by_outcome() {
        let mut tally = Tally::default();
        let took = Some(Duration::from_micros(1_000));
        let update = StoreOperation::Update;
        for outcome in [
            StoreOutcome::Done,
            StoreOutcome::Conflict,
            StoreOutcome::Cancelled,
            StoreOutcome::Unavailable,
            StoreOutcome::Unavailable,
            StoreOutcome::OutcomeUnknown,
            StoreOutcome::Gone, // what was asked for, and no failure of the store
        ] {
            tally.call(update, outcome, took, NOON);
        }
        let last = |plotted| tally.calls(plotted, NOON)[INTERVALS - 1];
        assert_eq!(last(Plotted::Calls), 7);
        assert_eq!(last(Plotted::Failed), 3);
        assert_eq!(last(Plotted::Conflicts), 1);
        assert_eq!(last(Plotted::Cancelled), 1);
        let operations = tally.operations(NOON);
        let [operation] = &operations[..] else {
            panic!("{operations:?}")
        };
        assert_eq!((operation.label, operation.failed()), ("update", 3));
        assert_eq!(
            operation.failures,
            [("unavailable", 2), ("outcome_unknown", 1)]
        );
        assert_eq!(operation.latencies[INTERVALS - 1], operation.latency);
        assert_eq!(operation.latencies[0], None);
    }

    #[test]
    fn a_store_that_is_not_timed_has_no_latencies() {
        let mut tally = Tally::default();
        tally.call(StoreOperation::Load, StoreOutcome::Absent, None, NOON);
        let operations = tally.operations(NOON);
        assert_eq!(operations[0].calls, 1);
        assert_eq!(operations[0].latency, None);
    }
}

//! What a recorder of metrics is told.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use metrics_util::MetricKind;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use session_core::store::{CachedStore, MigratingStore, SessionStore};
use session_core::{
    Directive, KeyRing, MemoryStore, MetricsObserver, OnMaxSessions, Outcome, SessionManager,
};

/// Name and labels, and the value; of a histogram the number of its values.
fn taken(snapshotter: &Snapshotter) -> BTreeMap<String, u64> {
    let metrics = snapshotter.snapshot().into_vec();
    let metrics = metrics.into_iter().map(|(key, _, description, value)| {
        assert!(description.is_some(), "{key:?} has no description");
        let (kind, key) = key.into_parts();
        let labels: Vec<_> = key
            .labels()
            .map(|l| format!("{}={}", l.key(), l.value()))
            .collect();
        let value = match (kind, value) {
            (MetricKind::Counter, DebugValue::Counter(count)) => count,
            (MetricKind::Histogram, DebugValue::Histogram(values)) => values.len() as u64,
            (MetricKind::Gauge, DebugValue::Gauge(value)) => value.into_inner() as u64,
            other => unreachable!("{other:?}"),
        };
        (
            format!("{} {}", key.name(), labels.join(" "))
                .trim()
                .to_owned(),
            value,
        )
    });
    metrics.filter(|(_, value)| *value > 0).collect()
}

/// What is counted while this runs.
fn counted(run: impl AsyncFnOnce()) -> BTreeMap<String, u64> {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || runtime.block_on(run()));
    taken(&snapshotter)
}

fn manager(store: impl SessionStore) -> SessionManager {
    SessionManager::builder(store)
        .keys(KeyRing::new([7; 32]).unwrap())
        .max_sessions(1, OnMaxSessions::RevokeOldest)
        .observer(MetricsObserver::new())
        .build()
        .unwrap()
}

async fn sign_in(manager: &SessionManager) -> String {
    let session = manager.begin(&[]).await.unwrap();
    session.sign_in("ann").unwrap();
    match session.finish(Outcome::Success).await.unwrap() {
        Directive::Hold(token) => token.as_str().to_owned(),
        other => unreachable!("{other:?}"),
    }
}

fn at<'a>(metrics: impl IntoIterator<Item = (&'a str, u64)>) -> BTreeMap<String, u64> {
    metrics
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

#[test]
fn what_happens_is_counted() {
    let mut metrics = counted(async || {
        let manager = manager(MemoryStore::new());
        let first = sign_in(&manager).await;
        let token = sign_in(&manager).await;
        drop(manager.begin(&[&first]).await.unwrap());
        drop(manager.begin(&["forged"]).await.unwrap());
        let session = manager.begin(&[&token]).await.unwrap();
        session.insert("n", 1).unwrap();
        session.finish(Outcome::Success).await.unwrap();
    });
    let bytes = metrics.remove("session_written_bytes_total").unwrap();
    assert!((300..3_000).contains(&bytes), "{bytes}");
    let expected = at([
        ("session_commit_attempts_total", 3),
        ("session_commits_total outcome=written", 3),
        ("session_events_total kind=created", 2),
        ("session_events_total kind=loaded", 1),
        ("session_events_total kind=refused", 2),
        ("session_events_total kind=renewed", 2),
        ("session_events_total kind=revoked", 1),
        ("session_opened_total result=no_token", 2),
        ("session_opened_total result=refused", 2),
        ("session_opened_total result=session", 1),
        ("session_refusals_total reason=ended", 1),
        ("session_refusals_total reason=malformed", 1),
        ("session_store_calls_total operation=create outcome=done", 2),
        (
            "session_store_calls_total operation=delete_one_of outcome=done",
            1,
        ),
        // Each sign-in looks before and after it is stored.
        (
            "session_store_calls_total operation=list_of outcome=done",
            4,
        ),
        ("session_store_calls_total operation=load outcome=done", 2),
        ("session_store_calls_total operation=update outcome=done", 1),
    ]);
    assert_eq!(metrics, expected);
}

#[test]
fn a_store_that_waits_has_a_histogram() {
    let metrics = counted(async || {
        let store = MigratingStore::new(MemoryStore::new(), MemoryStore::new()).unwrap();
        let manager = manager(store);
        let token = sign_in(&manager).await;
        drop(manager.begin(&[&token]).await.unwrap());
    });
    for operation in ["create", "load"] {
        let name = format!("session_store_call_seconds operation={operation} outcome=done");
        assert_eq!(metrics.get(&name), Some(&1), "{metrics:?}");
    }
}

#[test]
fn caches_count_what_they_had() {
    let metrics = counted(async || {
        let manager = manager(CachedStore::new(MemoryStore::new()));
        let token = sign_in(&manager).await;
        for _ in 0..3 {
            drop(manager.begin(&[&token]).await.unwrap());
        }
    });
    assert_eq!(
        metrics.get("session_cache_loads_total result=unchanged"),
        Some(&3)
    );
}

#[test]
fn the_gauge_is_that_of_the_stores_that_are_left() {
    let mut left = None;
    let metrics = counted(async || {
        let gone = manager(MemoryStore::new());
        sign_in(&gone).await;
        drop(gone);
        let kept = manager(MemoryStore::new());
        sign_in(&kept).await;
        left = Some(kept);
    });
    assert_eq!(metrics.get("session_memory_records"), Some(&1));
}

/// So a rise of the first count is seen.
#[test]
fn counters_begin_at_zero() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let observer = metrics::with_local_recorder(&recorder, MetricsObserver::new);
    let names = snapshotter.snapshot().into_vec();
    let counts = names
        .iter()
        .filter(|(key, ..)| key.key().name() == "session_events_total");
    assert_eq!(counts.count(), 18);
    drop(observer);
}

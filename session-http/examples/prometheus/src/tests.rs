use std::collections::BTreeMap;

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request};
use metrics::set_default_local_recorder;
use session_core::store::CachedStore;
use session_http::testing::{StoreFault, TestClient, TestSessions};

use super::*;

mod dashboard;
mod promql;

/// Where the figures are documented.
const DOCUMENTATION: &str = include_str!("../../../../session-core/src/event/metrics/mod.rs");

/// What Prometheus reads: the value of each series, by its name and labels as they are served.
type Served = BTreeMap<String, f64>;

async fn send(app: &mut Router, client: &TestClient, method: Method, path: &str) -> (u16, String) {
    let request = Request::builder().method(method).uri(path);
    let request = request.body(Body::empty()).unwrap();
    let response = client.call(app, request).await.unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 1_000_000).await.unwrap();
    (status, String::from_utf8(body.into()).unwrap())
}

/// Ann visits three times, signs in, meets a store that fails, and signs out. Somebody else forges
/// a token.
async fn traffic() -> Served {
    let recorder = exporter().unwrap().build_recorder();
    // For this thread, on which all of the test runs. So each test has figures of its own.
    let _recorder = set_default_local_recorder(&recorder);
    let observer = MetricsObserver::new();
    let sessions =
        TestSessions::made_by(|store, _| observed(CachedStore::new(store), &observer).unwrap());
    let mut app = app(sessions.layer(), observer, recorder.handle());
    let (get, post) = (Method::GET, Method::POST);

    let ann = sessions.client();
    for _ in 0..3 {
        assert_eq!(send(&mut app, &ann, get.clone(), "/").await.0, 200);
    }
    let (status, _) = send(&mut app, &ann, post.clone(), "/sign-in/ann").await;
    assert_eq!(status, 200);
    for fault in [
        StoreFault::Unavailable, // the load fails
        StoreFault::ReadOnly,    // the write fails
        StoreFault::OutcomeUnknown,
    ] {
        sessions.fail_store_next(1, fault);
        assert_eq!(send(&mut app, &ann, get.clone(), "/").await.0, 503);
    }
    let (status, _) = send(&mut app, &ann, post, "/sign-out").await;
    assert_eq!(status, 200);

    let forged = format!("{}=forged", sessions.layer().name());
    let forged = Request::get("/").header("cookie", forged);
    let nobody = TestClient::new(&SessionLayer::new(MemoryStore::new()));
    let forged = nobody.call(&mut app, forged.body(Body::empty()).unwrap());
    assert_eq!(forged.await.unwrap().status(), 200);

    let (status, text) = send(&mut app, &nobody, get, "/metrics").await;
    assert_eq!(status, 200);
    let series = text.lines().filter(|line| line.starts_with("session_"));
    let series = series.map(|line| line.rsplit_once(' ').unwrap());
    let series = series.map(|(series, value)| (series.to_owned(), value.parse().unwrap()));
    series.collect()
}

#[tokio::test]
async fn serves_what_happened() {
    let served = traffic().await;
    let expected = [
        (r#"session_opened_total{result="no_token"}"#, 1.0),
        (r#"session_opened_total{result="session"}"#, 6.0),
        (r#"session_opened_total{result="failed"}"#, 1.0),
        (r#"session_opened_total{result="refused"}"#, 1.0),
        (r#"session_refusals_total{reason="malformed"}"#, 1.0),
        (r#"session_refusals_total{reason="unknown"}"#, 0.0),
        (r#"session_events_total{kind="created"}"#, 2.0),
        (r#"session_events_total{kind="loaded"}"#, 6.0),
        (r#"session_events_total{kind="renewed"}"#, 1.0),
        (r#"session_events_total{kind="destroyed"}"#, 1.0),
        (r#"session_events_total{kind="refused"}"#, 1.0),
        (r#"session_events_total{kind="store_failed"}"#, 3.0),
        (r#"session_events_total{kind="reused"}"#, 0.0),
        (r#"session_commits_total{outcome="written"}"#, 6.0), // signing out is one
        (r#"session_commits_total{outcome="failed"}"#, 2.0),
        ("session_commit_attempts_total", 7.0),
        (
            r#"session_store_calls_total{operation="load",outcome="done"}"#,
            6.0,
        ),
        (
            r#"session_store_calls_total{operation="load",outcome="unavailable"}"#,
            1.0,
        ),
        (
            r#"session_store_calls_total{operation="create",outcome="done"}"#,
            2.0,
        ),
        (
            r#"session_store_calls_total{operation="update",outcome="done"}"#,
            3.0,
        ),
        (
            r#"session_store_calls_total{operation="update",outcome="unavailable"}"#,
            1.0,
        ),
        (
            r#"session_store_calls_total{operation="update",outcome="outcome_unknown"}"#,
            1.0,
        ),
        (
            r#"session_store_calls_total{operation="delete",outcome="done"}"#,
            1.0,
        ),
        (
            r#"session_store_call_seconds_count{operation="load",outcome="done"}"#,
            6.0,
        ),
        (
            r#"session_store_call_seconds_bucket{operation="load",outcome="done",le="+Inf"}"#,
            6.0,
        ),
        (r#"session_cache_loads_total{result="unchanged"}"#, 5.0),
        (r#"session_cache_loads_total{result="changed"}"#, 1.0), // its last write was not answered
        ("session_memory_records", 1.0),
    ];
    for (series, value) in expected {
        assert_eq!(served.get(series), Some(&value), "{series}");
    }
    assert!(served["session_written_bytes_total"] > 500.0);
}

/// The names in the first column of the tables.
fn documented() -> impl Iterator<Item = &'static str> {
    let rows = DOCUMENTATION
        .lines()
        .filter_map(|line| line.strip_prefix("/// | `session_"));
    rows.map(|row| row.split('`').next().unwrap())
}

#[tokio::test]
async fn serves_what_is_documented() {
    let served = traffic().await;
    let names: Vec<&str> = served
        .keys()
        .map(|key| key.split('{').next().unwrap())
        .collect();
    let served = |name: &str| {
        let name = format!("session_{name}");
        names.contains(&name.as_str()) || names.contains(&format!("{name}_count").as_str())
    };
    for name in documented() {
        // A memory store has no connections.
        let expected = !name.starts_with("connection");
        assert_eq!(served(name), expected, "session_{name}");
    }
    for name in &names {
        let ends = ["_bucket", "_sum", "_count"];
        let name = ends
            .iter()
            .find_map(|end| name.strip_suffix(end))
            .unwrap_or(name);
        let documented = documented().any(|other| name.strip_prefix("session_") == Some(other));
        assert!(documented, "{name}");
    }
}

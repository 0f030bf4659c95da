use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use axum::body::Body;
use axum::http::Request;
use metrics::set_default_local_recorder;
use opentelemetry::KeyValue;
use opentelemetry::trace::SpanId;
use opentelemetry_sdk::metrics::InMemoryMetricExporter;
use opentelemetry_sdk::metrics::data::{
    AggregatedMetrics, Metric, MetricData, ResourceMetrics, ScopeMetrics,
};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SpanData};
use session_http::testing::{StoreFault, TestSessions};

use super::*;

/// Two visits, and a third one while the store is down. Returns the sessions, because a store that
/// is dropped does not count its records any more.
async fn traffic() -> TestSessions {
    let observer = MetricsObserver::new();
    let sessions = TestSessions::made_by(|store, _| observed(store, &observer).unwrap());
    let mut app = app(sessions.layer());
    let ann = sessions.client();
    for expected in [200, 200, 503] {
        if expected == 503 {
            sessions.fail_store(StoreFault::Unavailable);
        }
        let request = Request::get("/").body(Body::empty()).unwrap();
        let response = ann.call(&mut app, request).await.unwrap();
        assert_eq!(response.status(), expected);
    }
    observer.publish();
    sessions
}

/// As Prometheus spells a series.
fn series<'a>(name: &str, labels: impl Iterator<Item = &'a KeyValue>) -> String {
    let labels = labels.map(|label| format!("{}={}", label.key, label.value));
    let mut labels: Vec<String> = labels.collect();
    labels.sort();
    format!("{name}{{{}}}", labels.join(","))
}

fn values(metric: &Metric) -> Vec<(String, f64)> {
    let name = metric.name();
    match metric.data() {
        AggregatedMetrics::U64(MetricData::Sum(sum)) => {
            assert!(sum.is_monotonic(), "{name}");
            let points = sum.data_points();
            let values = points.map(|it| (series(name, it.attributes()), it.value() as f64));
            values.collect()
        }
        AggregatedMetrics::F64(MetricData::Gauge(gauge)) => {
            let points = gauge.data_points();
            let values = points.map(|it| (series(name, it.attributes()), it.value()));
            values.collect()
        }
        AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
            assert_eq!(metric.unit(), "s");
            let points = histogram.data_points();
            let counts = points.map(|it| {
                assert_eq!(it.bounds().last(), Some(2.5));
                (series(name, it.attributes()), it.count() as f64)
            });
            counts.collect()
        }
        other => panic!("{name}: {other:?}"),
    }
}

fn check_figures(exported: &[ResourceMetrics]) {
    let scopes = exported.iter().flat_map(ResourceMetrics::scope_metrics);
    let metrics = scopes.flat_map(ScopeMetrics::metrics);
    let exported: BTreeMap<String, f64> = metrics.flat_map(values).collect();
    for (series, value) in [
        ("session_opened_total{result=no_token}", 1.0),
        ("session_opened_total{result=session}", 1.0),
        ("session_opened_total{result=failed}", 1.0),
        ("session_events_total{kind=created}", 1.0),
        ("session_events_total{kind=store_failed}", 1.0),
        ("session_events_total{kind=reused}", 0.0),
        ("session_commits_total{outcome=written}", 2.0),
        ("session_commit_attempts_total{}", 2.0),
        (
            "session_store_calls_total{operation=create,outcome=done}",
            1.0,
        ),
        (
            "session_store_calls_total{operation=load,outcome=unavailable}",
            1.0,
        ),
        (
            "session_store_call_seconds{operation=load,outcome=done}",
            1.0,
        ),
        ("session_memory_records{}", 1.0),
    ] {
        assert_eq!(
            exported.get(series),
            Some(&value),
            "{series} of {exported:#?}"
        );
    }
}

/// The text of a field of a span.
fn field<'a>(span: &'a SpanData, name: &str) -> Option<Cow<'a, str>> {
    let mut fields = span.attributes.iter();
    let field = fields.find(|field| field.key.as_str() == name);
    field.map(|field| field.value.as_str())
}

/// A span in short: its name, the field that says what it is about, and how it ended.
fn short(span: &SpanData) -> [String; 3] {
    let (about, end) = match &*span.name {
        "session.open" => ("tokens", "result"),
        "session.commit" => ("outcome", "result"),
        "session.store" => ("operation", "outcome"),
        other => panic!("{other}"),
    };
    let field = |name| field(span, name).unwrap().into_owned();
    [span.name.to_string(), field(about), field(end)]
}

fn check_spans(spans: &[SpanData]) {
    // A span is exported when it ends, so the call of a store comes before the span that it is in.
    let short: Vec<[String; 3]> = spans.iter().map(short).collect();
    let expected = [
        ["session.open", "0", "none"],
        ["session.store", "create", "done"],
        ["session.commit", "success", "done"],
        ["session.store", "load", "done"],
        ["session.open", "1", "session"],
        ["session.store", "update", "done"],
        ["session.commit", "success", "done"],
        ["session.store", "load", "unavailable"],
        ["session.open", "1", "failed"],
    ];
    assert_eq!(short, expected);

    let ids: HashMap<SpanId, &SpanData> = spans
        .iter()
        .map(|span| (span.span_context.span_id(), span))
        .collect();
    for span in spans.iter().filter(|span| span.name == "session.store") {
        let parent = ids[&span.parent_span_id];
        assert_ne!(parent.name, "session.store");
        assert_eq!(field(span, "session").unwrap().len(), 8); // a hash, not the id
    }
}

/// One test, because `tracing` caches in which spans a program is interested, for all threads.
#[tokio::test]
async fn figures_and_spans_are_exported() {
    let (figures, spans) = (
        InMemoryMetricExporter::default(),
        InMemorySpanExporter::default(),
    );
    let meters = SdkMeterProvider::builder()
        .with_periodic_exporter(figures.clone())
        .build();
    let tracers = SdkTracerProvider::builder()
        .with_simple_exporter(spans.clone())
        .build();
    // For this thread, on which all of the test runs.
    let recorder = telemetry::recorder(&meters);
    let _recorder = set_default_local_recorder(&recorder);
    let _subscriber = telemetry::subscriber(&tracers).set_default();

    let _sessions = traffic().await;
    meters.force_flush().unwrap();
    check_figures(&figures.get_finished_metrics().unwrap());
    check_spans(&spans.get_finished_spans().unwrap());
}

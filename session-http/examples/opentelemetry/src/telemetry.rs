//! From the facades `metrics` and `tracing` to OpenTelemetry.

use metrics_opentelemetry::{OpenTelemetryMetrics, OpenTelemetryRecorder};
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry};

/// In seconds: from an answer of Redis in the same data centre to the deadline of a call, which is
/// 2 s by default. The default of OpenTelemetry is made for milliseconds.
const BUCKETS: [f64; 14] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
];

/// Has each counter and histogram of `metrics` become one of OpenTelemetry, with the same name and
/// labels.
pub(crate) fn recorder(meters: &SdkMeterProvider) -> OpenTelemetryRecorder {
    let meter = meters.meter("session");
    let mut recorder = OpenTelemetryRecorder::new(OpenTelemetryMetrics::new(meter));
    recorder.set_histogram_bounds_mut(["session_store_call_seconds"].into_iter(), &BUCKETS);
    recorder
}

/// Has the spans of sessions become spans of OpenTelemetry: `session.open`, `session.commit` and
/// `session.store`. Their events become events of the span in which they happen.
pub(crate) fn subscriber(tracers: &SdkTracerProvider) -> impl SubscriberExt + Send + Sync + use<> {
    let layer = tracing_opentelemetry::layer().with_tracer(tracers.tracer("session"));
    let layer = layer.with_location(false).with_threads(false);
    // Spans of your own need their target here. Without a filter you also get those of hyper.
    let sessions = Targets::new().with_target("session", LevelFilter::DEBUG);
    Registry::default().with(layer.with_filter(sessions))
}

//! A site with sessions that sends their figures and spans to OpenTelemetry, by OTLP over HTTP.
//!
//! ```text
//! docker run -p 4318:4318 otel/opentelemetry-collector # or anything else that takes OTLP
//! OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 OTEL_SERVICE_NAME=shop cargo run -p otel
//! curl -b jar -c jar http://localhost:3000/
//! ```
//!
//! The figures are those of `MetricsObserver`. `telemetry.rs` takes them, and the spans of
//! `tracing`, to OpenTelemetry.

use std::error::Error as StdError;

use axum::Router;
use axum::routing::get;
use opentelemetry_otlp::{MetricExporter, SpanExporter};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use session_http::axum::CurrentSession;
use session_http::manager::SessionStore;
use session_http::{ConfigError, Error, MemoryStore, MetricsObserver, SessionLayer, TypedKey};
use tokio::net::TcpListener;
use tracing_subscriber::util::SubscriberInitExt;

mod telemetry;

const VISITS: TypedKey<u64> = TypedKey::new("visits");

fn observed(
    store: impl SessionStore,
    observer: &MetricsObserver,
) -> Result<SessionLayer, ConfigError> {
    SessionLayer::builder(store)
        .observer(observer.clone())
        .build()
}

async fn home(session: CurrentSession) -> Result<String, Error> {
    let visits = session
        .at(VISITS)
        .update(|visits| visits.unwrap_or(0) + 1)?;
    Ok(format!("visit {visits}\n"))
}

fn app(sessions: SessionLayer) -> Router {
    Router::new().route("/", get(home)).layer(sessions)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    // First: what happens before is lost. Both exporters read the variables OTEL_EXPORTER_OTLP_*.
    let exporter = MetricExporter::builder().with_http().build()?;
    let meters = SdkMeterProvider::builder()
        .with_periodic_exporter(exporter)
        .build();
    metrics::set_global_recorder(telemetry::recorder(&meters))?;
    let exporter = SpanExporter::builder().with_http().build()?;
    let tracers = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .build();
    telemetry::subscriber(&tracers).init();

    let observer = MetricsObserver::new();
    let sessions = observed(MemoryStore::new(), &observer)?;
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:3000")).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let interrupted = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    let server = axum::serve(listener, app(sessions));
    server.with_graceful_shutdown(interrupted).await?;
    observer.publish();
    // Sends what is left. It waits for the network, so it is not for a thread that serves.
    tokio::task::spawn_blocking(move || meters.shutdown().and(tracers.shutdown())).await??;
    Ok(())
}

#[cfg(test)]
mod tests;

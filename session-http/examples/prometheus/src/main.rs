//! A site with sessions that serves their figures to Prometheus, at `/metrics`.
//!
//! ```text
//! cargo run -p prometheus
//! curl -b jar -c jar http://localhost:3000/
//! curl -b jar -c jar -X POST http://localhost:3000/sign-in/ann
//! curl http://localhost:3000/metrics
//! ```
//!
//! With Redis there are also figures of its connections, and of how long its answers take:
//!
//! ```text
//! cargo run -p prometheus --features redis -- 127.0.0.1:3000 redis://127.0.0.1/
//! ```

use std::error::Error as StdError;
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use session_http::axum::CurrentSession;
use session_http::manager::SessionStore;
use session_http::{ConfigError, Error, MemoryStore, MetricsObserver, SessionLayer, TypedKey};
use tokio::net::TcpListener;

const VISITS: TypedKey<u64> = TypedKey::new("visits");

/// In seconds: from an answer of Redis in the same data centre to the deadline of a call, which is
/// 2 s by default.
const BUCKETS: [f64; 14] = [
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
];

/// Without buckets the exporter would serve quantiles, which cannot be added up over servers.
fn exporter() -> Result<PrometheusBuilder, BuildError> {
    let seconds = Matcher::Full("session_store_call_seconds".to_owned());
    PrometheusBuilder::new().set_buckets_for_metric(seconds, &BUCKETS)
}

/// This is the line that an application adds: the observer.
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

async fn sign_in(session: CurrentSession, Path(name): Path<String>) -> Result<(), Error> {
    Ok(session.sign_in(&name)?) // an application checks a password first
}

async fn sign_out(session: CurrentSession) -> Result<(), Error> {
    Ok(session.destroy()?)
}

/// The figures as text. On a site of your own, serve them where only Prometheus can reach them.
async fn figures(observer: MetricsObserver, handle: PrometheusHandle) -> impl IntoResponse {
    // Otherwise they are those of a second ago, at worst.
    observer.publish();
    let version = "text/plain; version=0.0.4; charset=utf-8";
    ([(CONTENT_TYPE, version)], handle.render())
}

fn app(sessions: SessionLayer, observer: MetricsObserver, handle: PrometheusHandle) -> Router {
    Router::new()
        .route("/", get(home))
        .route("/sign-in/{name}", post(sign_in))
        .route("/sign-out", post(sign_out))
        .layer(sessions)
        // Below the layer, so it has no session.
        .route("/metrics", get(move || figures(observer, handle)))
}

/// Moves what was measured into the histograms. Otherwise it piles up until somebody asks for the
/// figures.
async fn upkeep(handle: PrometheusHandle) {
    let mut interval = tokio::time::interval(Duration::from_secs(5));
    loop {
        interval.tick().await;
        handle.run_upkeep();
    }
}

async fn sessions(
    url: Option<&str>,
    observer: &MetricsObserver,
) -> Result<SessionLayer, Box<dyn StdError>> {
    match url {
        None => Ok(observed(MemoryStore::new(), observer)?),
        #[cfg(feature = "redis")]
        Some(url) => {
            let store = session_http::redis::RedisStore::connect(url).await?;
            Ok(observed(store, observer)?)
        }
        #[cfg(not(feature = "redis"))]
        Some(_) => Err("a URL needs the feature `redis`".into()),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    // First: what is counted before there is a recorder is lost.
    let handle = exporter()?.install_recorder()?;
    tokio::spawn(upkeep(handle.clone()));

    let mut arguments = std::env::args().skip(1);
    let (address, url) = (arguments.next(), arguments.next());
    let observer = MetricsObserver::new();
    let sessions = sessions(url.as_deref(), &observer).await?;
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:3000")).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app(sessions, observer, handle)).await?;
    Ok(())
}

#[cfg(test)]
mod tests;

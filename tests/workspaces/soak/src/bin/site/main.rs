//! One server of the site: `site ADDRESS STORE KEYS`.
//!
//! STORE is a URL of Redis or MongoDB. KEYS is a file with the keys that sign tokens, newest first.
//! It is read once, so a change needs a restart.
//!
//! After a SIGTERM the server first says that it is not well, so that the balancer sends nobody
//! more. Then it closes its port, and ends when the last request is answered.

mod dropped;
mod pages;
mod socket;

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware::from_fn;
use axum::routing::{get, post};
use session_http::mongo::MongoStore;
use session_http::redis::RedisStore;
use session_http::{CookieConfig, Event, EventKind, KeyRing, OnReuse, Rotation, SessionLayer};
use session_soak::COOKIE;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::sleep;
use tracing_subscriber::EnvFilter;

/// How long the balancer has to notice that a server is about to stop. It asks each 200 ms.
const NOTICE: Duration = Duration::from_secs(1);

/// What is known of the server's own end.
#[derive(Debug)]
struct Server {
    is_well: AtomicBool,
    stopping: watch::Sender<bool>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into()))
        .with_ansi(false)
        .init();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [address, store, keys] = args.as_slice() else {
        return Err("usage: site ADDRESS STORE KEYS".into());
    };
    let server = Arc::new(Server {
        is_well: AtomicBool::new(true),
        stopping: watch::Sender::new(false),
    });
    let app = app(Arc::clone(&server), sessions(store, keys).await?);
    let listener = TcpListener::bind(address).await?;
    let mut terminated = signal(SignalKind::terminate())?;
    let drain = async move {
        terminated.recv().await;
        server.is_well.store(false, Ordering::Relaxed);
        server.stopping.send_replace(true);
        sleep(NOTICE).await;
    };
    axum::serve(listener, app)
        .with_graceful_shutdown(drain)
        .await?;
    Ok(())
}

async fn sessions(store: &str, keys: &str) -> Result<SessionLayer, Box<dyn Error>> {
    let builder = if store.starts_with("mongodb") {
        SessionLayer::builder(MongoStore::connect(store).await?)
    } else {
        SessionLayer::builder(RedisStore::connect(store).await?)
    };
    let layer = builder
        .keys(KeyRing::from_file(keys)?)
        .cookie(CookieConfig::new(COOKIE).secure(false))
        .rotation(Rotation::every(Duration::from_secs(1)))
        .on_reuse(OnReuse::Report)
        .observer(note)
        .build()?;
    Ok(layer)
}

/// The log has one line for many events of a kind, and no ids in it. Here each one counts.
fn note(event: &Event<'_>) {
    match event.kind {
        EventKind::Reused | EventKind::Corrupt | EventKind::Gone | EventKind::Refused => {
            let (kind, session, reason) = (event.kind, event.session(), event.reason);
            let at = event.at.as_millis();
            tracing::warn!(target: "soak", ?kind, ?session, at, reason);
        }
        _ => {}
    }
}

fn app(server: Arc<Server>, sessions: SessionLayer) -> Router {
    Router::new()
        .route("/page", get(pages::page))
        .route("/sign-in", post(pages::sign_in))
        .route("/sign-out", post(pages::sign_out))
        .route("/cart", post(pages::add))
        .route("/put", post(pages::put))
        .route("/faulty", post(pages::faulty))
        .route("/upload", post(pages::upload))
        .route("/socket", get(socket::open))
        .layer(sessions)
        .layer(from_fn(dropped::watch))
        .route("/health", get(health))
        .with_state(server)
}

async fn health(State(server): State<Arc<Server>>) -> StatusCode {
    match server.is_well.load(Ordering::Relaxed) {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    }
}

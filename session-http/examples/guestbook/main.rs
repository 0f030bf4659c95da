//! A guestbook on a plain hyper server, HTTP/1 and HTTP/2: visits, entries and a name for each browser.
//!
//! ```text
//! cargo run --release --example guestbook -- [--listen ADDR] [--store memory|cookie|redis://..|mongodb://..|failing] [--rotate SECONDS]
//! ```
//!
//! For Redis every URL of `session_redis::Source` will do: one server, a Cluster, Sentinel, over TLS or not. For MongoDB
//! every URI of the driver will.
//! `SESSION_KEYS` (base64, newest first, separated by commas) signs tokens, or seals cookies.
//! With `--rotate` a token that is so many seconds old gets a successor; without it tokens change when somebody signs in.
//! (A cookie store cannot rotate, nor list sessions.)
//! `RUST_LOG` (`error` to `trace`) sets how much is logged. The store `failing` fails on
//! purpose, to see what clients get.
//!
//! Who is signed in finds all their sessions at `/sessions`, as a page or by `Accept: application/json`, and can end them there
//! (`POST /sessions/ID/revoke`, `POST /sessions/revoke-others`). Every form holds a CSRF token in its field `csrf`; a
//! program asks `GET /csrf` for one. Signing in voids those from before.

mod device;
mod failing;
mod form;
mod handler;
mod options;
mod page;
mod refusal;
mod sessions;
mod time;

use std::env;
use std::net::SocketAddr;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use session_http::SessionLayer;
use tokio::net::TcpListener;
use tracing::{Level, debug, info, warn};

use options::Options;
use refusal::BoxError;

/// Request headers may take this much, so that a browser with large cookies gets an answer.
const MOST_HEADERS: u32 = 256 * 1024;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let level = env::var("RUST_LOG").ok().and_then(|level| level.parse().ok());
    tracing_subscriber::fmt()
        .with_max_level(level.unwrap_or(Level::INFO))
        .init();
    let options = Options::from_args(env::args().skip(1))?;
    let layer = options.layer().await?;
    serve(options.listen, layer).await
}

async fn serve(listen: SocketAddr, sessions: SessionLayer) -> Result<(), BoxError> {
    let service = sessions
        .on_error(page::unavailable)
        .layer(service_fn(handler::handle));
    let taken = |error| format!("cannot listen on {listen}: {error}; choose another address with --listen");
    let listener = TcpListener::bind(listen).await.map_err(taken)?;
    info!("listening on http://{}", listener.local_addr()?);

    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http2().max_header_list_size(MOST_HEADERS);
    let connections = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stopped());
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        let connection = server
            .serve_connection(TokioIo::new(stream), service.clone())
            .into_owned();
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!(%error, "a connection ended early");
            }
        });
    }
    drop(listener);
    info!("stopping: finishing the requests under way");
    if tokio::time::timeout(Duration::from_secs(10), connections.shutdown())
        .await
        .is_err()
    {
        warn!("some requests took too long and were cut off");
    }
    Ok(())
}

/// Ready on Ctrl-C, or on SIGTERM where there is such a thing.
async fn stopped() {
    let interrupt = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = interrupt.await;
}

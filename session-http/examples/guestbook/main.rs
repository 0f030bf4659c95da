//! A guestbook on a plain hyper server, HTTP/1 and HTTP/2: visits, entries and a name for each browser.
//!
//! ```text
//! cargo run --release --example guestbook -- [--listen ADDR] [--store memory|cookie|redis://..|mongodb://..|failing]
//! ```
//!
//! For Redis every URL of `session_redis::Source` will do: one server, a Cluster, Sentinel, over TLS or not. For MongoDB
//! every URI of the driver will.
//! `SESSION_KEYS` (base64, newest first, separated by commas) signs tokens, or seals cookies.
//! `RUST_LOG` (`error` to `trace`) sets how much is logged. The store `failing` fails on
//! purpose, to see what clients get.

mod failing;
mod form;
mod handler;
mod page;

use std::env;
use std::net::SocketAddr;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use session_core::{KeyError, KeyRing, MemoryStore, SessionStore};
use session_http::SessionLayer;
use session_http::cookie::CookieStore;
use session_http::mongo::MongoStore;
use session_http::redis::RedisStore;
use tokio::net::TcpListener;
use tracing::{Level, debug, info, warn};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Request headers may take this much, so that a browser with large cookies gets an answer.
const MOST_HEADERS: u32 = 256 * 1024;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let level = env::var("RUST_LOG").ok().and_then(|level| level.parse().ok());
    tracing_subscriber::fmt()
        .with_max_level(level.unwrap_or(Level::INFO))
        .init();
    let options = Options::from_args(env::args().skip(1))?;
    let layer = sessions(&options.store).await?;
    serve(options.listen, layer).await
}

struct Options {
    listen: SocketAddr,
    store: String,
}

impl Options {
    fn from_args(mut args: impl Iterator<Item = String>) -> Result<Self, BoxError> {
        let mut options = Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 3000)),
            store: "memory".to_owned(),
        };
        while let Some(flag) = args.next() {
            if !["--listen", "--store"].contains(&flag.as_str()) {
                return Err(
                    format!("{flag} is not an option; there are --listen ADDR and --store NAME").into(),
                );
            }
            let value = args.next().ok_or_else(|| format!("{flag} needs a value"))?;
            match flag.as_str() {
                "--listen" => {
                    let wrong =
                        |_| format!("--listen takes an address such as 127.0.0.1:3000, not {value:?}");
                    options.listen = value.parse().map_err(wrong)?;
                }
                _ => options.store = value,
            }
        }
        Ok(options)
    }
}

/// The layer over the store of this name.
async fn sessions(store: &str) -> Result<SessionLayer, BoxError> {
    let keys = match KeyRing::from_env("SESSION_KEYS") {
        Ok(keys) => Some(keys),
        Err(KeyError::NoVariable(_)) => None,
        Err(error) => return Err(format!("SESSION_KEYS: {error}").into()),
    };
    if store == "cookie" {
        let keys = match keys {
            Some(keys) => keys,
            None => {
                warn!("SESSION_KEYS is not set: the sessions end with this process");
                KeyRing::generate()?
            }
        };
        return Ok(SessionLayer::builder(CookieStore::signed(keys)).build()?);
    }
    let store: Box<dyn SessionStore> = match store {
        "memory" => Box::new(MemoryStore::new()),
        "failing" => Box::new(failing::FailingStore),
        uri if uri.starts_with("mongo") => {
            let store = MongoStore::connect(uri).await;
            Box::new(store.map_err(|error| error.to_string())?)
        }
        url if url.contains("://") => {
            let store = RedisStore::connect(url).await;
            Box::new(store.map_err(|error| error.to_string())?)
        }
        _ => {
            return Err(format!(
                "{store:?} is not a store; there are memory, cookie, failing and URLs of Redis and MongoDB"
            )
            .into());
        }
    };
    let builder = SessionLayer::builder(store);
    Ok(match keys {
        Some(keys) => builder.keys(keys).build()?,
        None => builder.build()?,
    })
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

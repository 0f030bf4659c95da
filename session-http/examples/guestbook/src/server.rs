//! Connections: how many there are at once, and for how long one may keep the server waiting.
//!
//! hyper does not close a connection whose client sends nothing, asks nothing over HTTP/2, or never
//! reads the answers. A client that opens thousands of those would use up the server.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::Request;
use hyper::body::Incoming;
#[cfg(not(feature = "http2"))]
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
#[cfg(feature = "http2")]
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::{TokioIo, TokioTimer};
#[cfg(feature = "http2")]
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use session_http::SessionLayer;
#[cfg(feature = "bind")]
use session_http::device::DeviceRoutes;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use crate::admin::Admin;
use crate::options::Options;
use crate::refusal::BoxError;
use crate::transport::Transport;
use crate::{handler, page};

/// Request headers may have this many bytes, so that a browser with large cookies gets an answer.
#[cfg(feature = "http2")]
const MOST_HEADERS: u32 = 256 * 1024;
/// How long the head of a request may take. `Form::read` has the limit of a body.
const SLOWEST_HEAD: Duration = Duration::from_secs(10);
/// How long a connection may stay open without a request under way.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The same, while another connection waits for a place.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// The log gets at most one line in this time about too many connections.
const MINUTE: Duration = Duration::from_secs(60);
/// How long the requests under way may take when the server stops.
const LONGEST_STOP: Duration = Duration::from_secs(10);

/// Answers requests until the program is told to stop.
pub(crate) async fn serve(
    options: &Options,
    sessions: SessionLayer,
    admin: Option<Admin>,
) -> Result<(), BoxError> {
    let admin = admin.map(|admin| admin.routes(sessions.manager().clone()));
    let service = service_fn(move |request| {
        let admin = admin.clone();
        async move { handler::handle(request, admin.as_ref()).await }
    });
    // Inside of the sessions: what a browser asks for to bind its session.
    #[cfg(feature = "bind")]
    let service = DeviceRoutes.layer(service);
    let service = sessions.on_error(page::of_error).layer(service);
    let listen = options.listen;
    let transport = match options.bind {
        true => Transport::tls()?,
        false => Transport::Tcp,
    };
    let taken =
        |error| format!("cannot listen on {listen}: {error}; choose another address with --listen");
    let listener = TcpListener::bind(listen).await.map_err(taken)?;
    info!("listening on {}", transport.url(listener.local_addr()?));

    let server = protocols();
    let connections = GracefulShutdown::new();
    let mut room = Room::new(options.connections);
    let mut stop = pin!(stopped());
    loop {
        let (stream, place) = tokio::select! {
            accepted = room.accept(&listener) => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    warn!(%error, "a connection could not be accepted");
                    sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        let requests = watch::Sender::new(0);
        let counted = {
            let (service, requests) = (service.clone(), requests.clone());
            let patience = room.patience.clone();
            service_fn(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(patience.clone()); // for its body
                let under_way = UnderWay::new(&requests);
                let answer = service.call(request);
                async move {
                    let answer = answer.await;
                    drop(under_way);
                    answer
                }
            })
        };
        let connection = {
            let (transport, server) = (transport.clone(), server.clone());
            let watcher = connections.watcher();
            async move {
                let stream = TokioIo::new(transport.open(stream).await?);
                watcher
                    .watch(server.serve_connection(stream, counted))
                    .await?;
                Ok::<_, BoxError>(())
            }
        };
        let patience = room.patience.clone();
        tokio::spawn(async move {
            tokio::select! {
                ended = connection => if let Err(error) = ended {
                    debug!(%error, "a connection ended early");
                },
                () = too_quiet(&requests, &patience) => {
                    debug!("closed a connection that asked nothing");
                }
            }
            drop(place);
        });
    }
    drop(listener);
    info!("stopping: finishing the requests under way");
    if timeout(LONGEST_STOP, connections.shutdown()).await.is_err() {
        warn!("some requests took too long and were cut off");
    }
    Ok(())
}

#[cfg(feature = "http2")]
fn protocols() -> auto::Builder<TokioExecutor> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(SLOWEST_HEAD);
    server.http2().max_header_list_size(MOST_HEADERS);
    server
}

#[cfg(not(feature = "http2"))]
fn protocols() -> http1::Builder {
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(SLOWEST_HEAD);
    server
}

/// Counts the requests of one connection that are under way.
struct UnderWay(watch::Sender<usize>);

impl UnderWay {
    fn new(requests: &watch::Sender<usize>) -> Self {
        requests.send_modify(|count| *count += 1);
        Self(requests.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// Resolves when a connection has had no request under way for too long: the client does not send
/// its first head, asks nothing more, or does not read what it asked for.
async fn too_quiet(requests: &watch::Sender<usize>, patience: &Patience) {
    let mut requests = requests.subscribe();
    let mut longest = SLOWEST_HEAD;
    loop {
        let idle = *requests.borrow_and_update() == 0;
        tokio::select! {
            // A request that came and was answered in between is a change too.
            _ = requests.changed() => longest = LONGEST_PAUSE,
            () = patience.ends(SHORTEST_PAUSE, longest), if idle => return,
        }
    }
}

/// How long the server waits for a client: less while others wait for its place.
#[derive(Clone)]
pub(crate) struct Patience {
    /// Notified when a connection waits for a place.
    wanted: Arc<Notify>,
}

impl Patience {
    /// Resolves after `longest`, or after `shortest` if another connection waits for a place. Of
    /// all connections that keep the server waiting, the one that has done so for longest is
    /// notified.
    pub(crate) async fn ends(&self, shortest: Duration, longest: Duration) {
        sleep(shortest).await;
        let _ = timeout(longest.saturating_sub(shortest), self.wanted.notified()).await;
    }
}

/// Places for as many connections as there may be.
struct Room {
    places: Arc<Semaphore>,
    most: usize,
    patience: Patience,
    /// When the log last got a warning that no place is left.
    warned: Option<Instant>,
}

impl Room {
    fn new(most: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(most)),
            most,
            patience: Patience {
                wanted: Arc::default(),
            },
            warned: None,
        }
    }

    /// Accepts the next connection. If no place is free, it gets the place of one that keeps the
    /// server waiting. The connections behind it wait in the system's queue.
    async fn accept(
        &mut self,
        listener: &TcpListener,
    ) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
        let (stream, _) = listener.accept().await?;
        let places = Arc::clone(&self.places);
        if places.available_permits() == 0 {
            self.patience.wanted.notify_one();
            if self.warned.is_none_or(|at| at.elapsed() > MINUTE) {
                self.warned = Some(Instant::now());
                warn!(
                    "{} connections are open, which is the limit; others wait",
                    self.most
                );
            }
        }
        let place = places.acquire_owned().await;
        Ok((stream, place.map_err(io::Error::other)?)) // nobody closes the semaphore
    }
}

/// Resolves on Ctrl-C and, on Unix, on SIGTERM.
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

//! Connections: how many there are at once, and for how long one may keep the server waiting.
//!
//! hyper closes no connection that sends nothing, asks nothing over HTTP/2, or never reads its
//! answers. Whoever opens thousands of those would use up the server.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use session_http::SessionLayer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use crate::options::Options;
use crate::refusal::BoxError;
use crate::{handler, page};

/// Request headers may take this much, so that a browser with large cookies gets an answer.
const MOST_HEADERS: u32 = 256 * 1024;
/// How long the head of a request may take. `Form::read` has the limit of a body.
const SLOWEST_HEAD: Duration = Duration::from_secs(10);
/// How long a connection may stay open without a request under way.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The same where another connection needs the place.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// The log hears at most once a minute that there are so many connections.
const MINUTE: Duration = Duration::from_secs(60);
/// How long the requests under way may take when the server stops.
const LONGEST_STOP: Duration = Duration::from_secs(10);

/// Answers requests until the program is told to stop.
pub(crate) async fn serve(options: &Options, sessions: SessionLayer) -> Result<(), BoxError> {
    let service = sessions
        .on_error(page::of_error)
        .layer(service_fn(handler::handle));
    let listen = options.listen;
    let taken =
        |error| format!("cannot listen on {listen}: {error}; choose another address with --listen");
    let listener = TcpListener::bind(listen).await.map_err(taken)?;
    info!("listening on http://{}", listener.local_addr()?);

    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(SLOWEST_HEAD);
    server.http2().max_header_list_size(MOST_HEADERS);
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
        let connection = server.serve_connection(TokioIo::new(stream), counted);
        let connection = connections.watch(connection.into_owned());
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

/// Is ready when a connection has had no request under way for too long: its first head does not
/// arrive, it asks nothing more, or the client does not read what it asked for.
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
    /// Is ready after `longest`, or after `shortest` where another connection needs the place. Of
    /// all who are waited for, the one that is notified has been here for longest.
    pub(crate) async fn ends(&self, shortest: Duration, longest: Duration) {
        sleep(shortest).await;
        let _ = timeout(longest.saturating_sub(shortest), self.wanted.notified()).await;
    }
}

/// As many connections as there may be.
struct Room {
    places: Arc<Semaphore>,
    most: usize,
    patience: Patience,
    /// When the log last heard that there is none left.
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

    /// The next connection. If there is no other place, it takes that of one that keeps the server
    /// waiting; those behind it wait in the system's queue.
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
                    "{} connections are open, as many as may be: others wait",
                    self.most
                );
            }
        }
        let place = places.acquire_owned().await;
        Ok((stream, place.map_err(io::Error::other)?)) // nobody closes the semaphore
    }
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

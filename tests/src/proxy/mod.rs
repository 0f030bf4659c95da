//! A way to a server on which things go wrong.

mod pump;
mod requests;
mod rules;

use std::io::ErrorKind;
use std::mem::take;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use self::rules::{Cut, Rules};
use crate::servers::Port;

/// Listens on a port of its own on loopback and passes requests on to a server, and replies back,
/// as it is told.
///
/// It knows where a request ends (in Redis' and in MongoDB's protocol, not encrypted), so a request
/// is passed on as a whole or not at all. It remembers every request, and is not meant for heavy
/// load. With this value it ends, and so does every connection through it.
#[derive(Debug)]
pub struct Proxy {
    port: Port,
    upstream: SocketAddr,
    rules: Arc<Rules>,
    connections: Arc<Mutex<JoinSet<()>>>,
    listening: Mutex<Option<JoinHandle<()>>>,
}

impl Proxy {
    /// Starts one before the server at `upstream`.
    pub async fn start(upstream: SocketAddr) -> Self {
        let proxy = Self {
            port: Port::reserve(),
            upstream,
            rules: Arc::default(),
            connections: Arc::default(),
            listening: Mutex::default(),
        };
        proxy.accept().await;
        proxy
    }

    /// Where it listens on 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.port.number()
    }

    /// Where clients find it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port())
    }

    /// The next request that contains `bytes` is carried out by the server, and its client's
    /// connection closed in the place of the reply.
    ///
    /// Replies to requests that came before it on that connection, and have none yet, are lost too.
    pub fn cut_reply_to(&self, bytes: &[u8]) {
        self.rules.cut(bytes, Cut::Reply);
    }

    /// The next request that contains `bytes` never reaches the server, and its client's connection
    /// is closed.
    pub fn cut_request(&self, bytes: &[u8]) {
        self.rules.cut(bytes, Cut::Request);
    }

    /// The next request that contains `bytes` never reaches the server, and its client's connection
    /// stays open.
    ///
    /// Redis' answers have no names: the client takes the answer to the request behind it for its
    /// own.
    pub fn swallow_request(&self, bytes: &[u8]) {
        self.rules.cut(bytes, Cut::Silently);
    }

    /// Whether nothing is left of what was to be cut.
    pub fn has_cut_all(&self) -> bool {
        self.rules.has_cut_all()
    }

    /// Passes nothing on, in neither direction, and holds all of it. Connections are accepted, and
    /// stay open.
    pub fn stall(&self) {
        self.rules.stall(true);
    }

    /// Passes on what was held, and all else.
    pub fn flow(&self) {
        self.rules.stall(false);
    }

    /// Closes all connections. New ones are accepted.
    pub async fn drop_connections(&self) {
        let mut connections = take(&mut *lock(&self.connections));
        connections.shutdown().await;
    }

    /// Listens no more: new connections are refused. Those there are stay.
    pub async fn refuse(&self) {
        let listening = lock(&self.listening).take();
        if let Some(listening) = listening {
            listening.abort();
            let _ = listening.await;
        }
    }

    /// Listens again.
    pub async fn accept(&self) {
        let address = (Ipv4Addr::LOCALHOST, self.port());
        let deadline = Instant::now() + Duration::from_secs(10);
        let listener = loop {
            match TcpListener::bind(address).await {
                // Meanwhile a connection of another program may have got the port as its own.
                Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < deadline => {
                    sleep(Duration::from_millis(20)).await;
                }
                bound => break bound.unwrap(),
            }
        };
        let (rules, connections) = (Arc::clone(&self.rules), Arc::clone(&self.connections));
        let listening = tokio::spawn(listen(listener, self.upstream, rules, connections));
        *lock(&self.listening) = Some(listening);
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.rules.connections()
    }

    /// How many requests that contain `bytes` were passed on to the server.
    pub fn passed(&self, bytes: &[u8]) -> usize {
        self.rules.passed(bytes)
    }

    /// Counts from zero again.
    pub fn forget(&self) {
        self.rules.forget();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(listening) = lock(&self.listening).take() {
            listening.abort();
        }
        lock(&self.connections).abort_all();
    }
}

async fn listen(
    listener: TcpListener,
    upstream: SocketAddr,
    rules: Arc<Rules>,
    connections: Arc<Mutex<JoinSet<()>>>,
) {
    while let Ok((client, _)) = listener.accept().await {
        rules.count_connection();
        let rules = Arc::clone(&rules);
        let mut connections = lock(&connections);
        // What has ended is of no more interest.
        while connections.try_join_next().is_some() {}
        connections.spawn(async move {
            // A server that is down closes the connection.
            if let Ok(server) = TcpStream::connect(upstream).await {
                pump::both_ways(client, server, &rules).await;
            }
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

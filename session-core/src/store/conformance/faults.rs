//! Servers that fail, for the tests that each store has to write by itself.

use std::io::{self, Read, Write};
use std::mem;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;

/// A server that hangs: it accepts every connection and never answers.
///
/// Each call of a store that is connected to it must fail within the store's own timeout. No read
/// or write may wait longer. Such a server is no database, so connect to it lazily, or expect
/// connecting to fail.
///
/// ```
/// use session_core::store::conformance::HangingServer;
/// use std::io::{ErrorKind, Read, Write};
/// use std::net::TcpStream;
/// use std::time::Duration;
///
/// let server = HangingServer::start()?;
/// let mut client = TcpStream::connect(server.address())?;
/// client.write_all(b"PING\r\n")?;
/// client.set_read_timeout(Some(Duration::from_millis(10)))?;
/// let timed_out = client.read(&mut [0]).unwrap_err().kind();
/// assert!(matches!(timed_out, ErrorKind::WouldBlock | ErrorKind::TimedOut));
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct HangingServer {
    /// The system completes connections on its behalf. Nobody accepts them.
    _listener: TcpListener,
    address: SocketAddr,
}

impl HangingServer {
    /// Starts a server on a free port of 127.0.0.1. It stops when the value is dropped.
    ///
    /// # Errors
    ///
    /// If the system gives it no port.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        Ok(Self {
            _listener: listener,
            address,
        })
    }

    /// The address to which clients connect.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A proxy that loses answers: requests reach the server, and what it answers never arrives.
///
/// A write through it has happened, but the store cannot know that. It must return
/// [`StoreError::OutcomeUnknown`](crate::store::StoreError::OutcomeUnknown), and must not send the
/// write again. The proxy uses a thread for each direction of a connection, and no async runtime.
///
/// ```
/// # use std::io::{ErrorKind, Read, Write};
/// use session_core::store::conformance::LossyProxy;
/// use std::net::{TcpListener, TcpStream};
/// use std::time::Duration;
///
/// # let server = TcpListener::bind("127.0.0.1:0")?;
/// # let address = server.local_addr()?;
/// # std::thread::spawn(move || {
/// #     for stream in server.incoming() {
/// #         let mut stream = stream.unwrap();
/// #         let mut answers = stream.try_clone().unwrap();
/// #         std::thread::spawn(move || std::io::copy(&mut stream, &mut answers));
/// #     }
/// # });
/// let proxy = LossyProxy::start(address)?; // the server's address; here one that echoes
/// let mut client = TcpStream::connect(proxy.address())?;
/// let mut answer = [0; 4];
/// client.write_all(b"PING")?;
/// client.read_exact(&mut answer)?;
/// assert_eq!(&answer, b"PING");
///
/// proxy.lose_answers();
/// client.write_all(b"PING")?;
/// client.set_read_timeout(Some(Duration::from_millis(10)))?;
/// assert!(client.read(&mut answer).is_err());
///
/// proxy.pass_answers(); // and closes all connections, whose answers are incomplete
/// client.set_read_timeout(None)?;
/// assert_eq!(client.read(&mut answer).unwrap_or(0), 0);
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct LossyProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    loses: AtomicBool,
    /// What is open, or `None` when the proxy is over. Who holds the lock keeps connections from
    /// being added, so that none is missed when all are closed.
    open: Mutex<Option<Vec<Weak<Ends>>>>,
}

/// Both ends of a connection, owned by the threads that pass its bytes on.
type Ends = [TcpStream; 2];

impl LossyProxy {
    /// Starts a proxy on a free port of 127.0.0.1, in front of the server at this address.
    ///
    /// When the value is dropped, the proxy stops, and every connection through it ends.
    ///
    /// # Errors
    ///
    /// If the system gives it no port.
    pub fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            server,
            loses: AtomicBool::new(false),
            open: Mutex::new(Some(Vec::new())),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming() {
                if accepting.open().is_none() {
                    return;
                }
                // A client whose server cannot be reached finds its connection closed.
                let _ = client.and_then(|client| accepting.connect(client));
            }
        });
        Ok(Self { address, shared })
    }

    /// The address to which clients connect.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes every answer get lost from now on.
    pub fn lose_answers(&self) {
        self.shared.loses.store(true, Ordering::SeqCst);
    }

    /// Lets answers arrive again, and closes all connections.
    ///
    /// Some answers of those connections are lost, so the rest would be of no use.
    pub fn pass_answers(&self) {
        let mut open = self.shared.open();
        close(open.iter_mut().flat_map(mem::take));
        self.shared.loses.store(false, Ordering::SeqCst);
    }
}

impl Drop for LossyProxy {
    fn drop(&mut self) {
        close(self.shared.open().take().into_iter().flatten());
        drop(TcpStream::connect(self.address)); // wakes the thread that accepts
    }
}

impl Shared {
    fn connect(self: &Arc<Self>, client: TcpStream) -> io::Result<()> {
        let server = TcpStream::connect(self.server)?;
        for stream in [&client, &server] {
            stream.set_nodelay(true)?;
        }
        let ends = Arc::new([client, server]);
        if let Some(open) = &mut *self.open() {
            open.retain(|other| other.strong_count() > 0);
            open.push(Arc::downgrade(&ends));
        } else {
            return Ok(());
        }
        let same = Arc::clone(&ends);
        thread::spawn(move || {
            let [client, server] = &*same;
            pass(client, server, || false);
        });
        let shared = Arc::clone(self);
        thread::spawn(move || {
            let [client, server] = &*ends;
            pass(server, client, || shared.loses.load(Ordering::SeqCst));
        });
        Ok(())
    }

    fn open(&self) -> MutexGuard<'_, Option<Vec<Weak<Ends>>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn close(connections: impl IntoIterator<Item = Weak<Ends>>) {
    for ends in connections.into_iter().filter_map(|ends| ends.upgrade()) {
        for stream in &*ends {
            let _ = stream.shutdown(Shutdown::Both); // it may be closed already
        }
    }
}

/// Passes bytes on until one end closes, except for those that come while they are to be lost.
fn pass(mut from: &TcpStream, mut to: &TcpStream, loses: impl Fn() -> bool) {
    let mut buffer = [0; 8192];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if !loses() && to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

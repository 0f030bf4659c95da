//! A MongoDB server whose clock is wrong: it removes sessions by its own, so `connect` looks at it.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use session_mongo::{ConnectError, MongoStore, MongoStoreBuilder};
use session_tests::servers::MongoServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tracing::subscriber::with_default;
use tracing_subscriber::fmt::MakeWriter;

use crate::ran_alone;

/// So a server tells the time: a date of this name, in milliseconds.
const NAME: &[u8] = b"\x09localTime\x00";

/// Passes on what a client and the server at `upstream` say, and moves the server's clock. Says
/// where it listens.
async fn skewed(upstream: SocketAddr, millis: i64) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(upstream).await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            tokio::spawn(async move { copy(&mut from_client, &mut to_server).await });
            tokio::spawn(async move {
                // Each answer as a whole, behind its length.
                while let Ok(length) = from_server.read_u32_le().await {
                    let mut rest = vec![0; length as usize - 4];
                    from_server.read_exact(&mut rest).await?;
                    if let Some(at) = rest.windows(NAME.len()).position(|window| window == NAME) {
                        let date: &mut [u8] = &mut rest[at + NAME.len()..][..8];
                        let told = i64::from_le_bytes(date.try_into().unwrap());
                        date.copy_from_slice(&(told + millis).to_le_bytes());
                    }
                    to_client.write_u32_le(length).await?;
                    to_client.write_all(&rest).await?;
                }
                std::io::Result::Ok(())
            });
        }
    });
    address
}

fn builder(address: SocketAddr) -> MongoStoreBuilder {
    MongoStore::builder(format!("mongodb://{address}/")).call_timeout(Duration::from_secs(20))
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Write::write(&mut *self.0.lock().unwrap(), bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// What connecting came to, and what the store has logged of it.
fn connect(millis: i64, indexes: bool) -> (Result<MongoStore, ConnectError>, String) {
    let server = MongoServer::start();
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(log.clone())
        .with_ansi(false)
        .with_max_level(tracing::Level::WARN)
        .finish();
    // All of it on this thread, where the log is.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let connected = with_default(subscriber, || {
        runtime.block_on(async {
            let builder = builder(skewed(server.address(), millis).await);
            match indexes {
                true => builder.connect().await,
                false => builder.indexes(false).connect().await,
            }
        })
    });
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let ours = log.lines().filter(|line| line.contains("session::mongo"));
    let log = ours.map(|line| format!("{line}\n")).collect();
    (connected, log)
}

#[test]
fn a_server_that_is_ahead_by_more_than_it_waits_is_refused() {
    if ran_alone("mongo_clock::a_server_that_is_ahead_by_more_than_it_waits_is_refused") {
        return;
    }
    for seconds in [75, 3_600, 10 * 365 * 24 * 3_600] {
        let (connected, _) = connect(seconds * 1_000, true);
        let error = connected.unwrap_err();
        let ConnectError::Clock { ahead, .. } = error else {
            unreachable!("{error:?}");
        };
        let expected = Duration::from_secs(seconds.unsigned_abs());
        assert!(
            ahead <= expected && ahead + Duration::from_secs(15) > expected,
            "{ahead:?}"
        );
        assert!(
            error.to_string().contains("ahead of this machine's"),
            "{error}"
        );
    }
}

/// Who makes the indexes makes the server remove sessions.
#[tokio::test]
async fn no_indexes_are_made_where_the_server_is_ahead() {
    let server = MongoServer::start();
    let address = skewed(server.address(), 3_600_000).await;
    let store = builder(address).lazy().await.unwrap();
    let error = store.create_indexes().await.unwrap_err();
    assert!(matches!(error, ConnectError::Clock { .. }), "{error:?}");
}

#[test]
fn a_clock_that_differs_is_worth_a_warning() {
    if ran_alone("mongo_clock::a_clock_that_differs_is_worth_a_warning") {
        return;
    }
    for (seconds, indexes, word) in [
        (30, true, "is ahead of this machine's"),
        (-30, true, "is behind this machine's"),
        (-3_600, true, "is behind this machine's"),
        // Nothing is removed by it.
        (3_600, false, "is ahead of this machine's"),
    ] {
        let (connected, log) = connect(seconds * 1_000, indexes);
        connected.unwrap();
        assert_eq!(log.lines().count(), 1, "{seconds}: {log}");
        assert!(
            log.contains("WARN") && log.contains(word),
            "{seconds}: {log}"
        );
    }
    for millis in [0, 1_000, -1_000] {
        let (connected, log) = connect(millis, true);
        connected.unwrap();
        assert_eq!(log, "", "{millis}");
    }
}

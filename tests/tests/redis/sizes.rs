//! What a session takes in the server's memory and on the wire, in both layouts, beside one string
//! of the same record.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::SystemTime;

use serde::Serialize;
use session_core::store::{Record, SessionStore};
use session_core::{Codec, Outcome, Session, SessionGuard, SessionManager};
use session_redis::{Layout, RedisStore};
use session_tests::servers::{Engine, RedisServer};
use session_tests::{anonymous, open, token_of};

#[derive(Serialize)]
struct User {
    name: &'static str,
    mail: &'static str,
    street: &'static str,
    city: &'static str,
    roles: &'static str,
}

/// The eight keys that allocations are counted with.
fn fill(session: &Session) {
    let user = User {
        name: "Ann Example",
        mail: "ann@example.org",
        street: "1 Long Street",
        city: "Springfield",
        roles: "author,editor",
    };
    session.insert("user", user).unwrap();
    let cart = vec![("an item in the cart", 3_u32, 1999_u64); 5];
    session.insert("cart", cart).unwrap();
    session.insert("visits", 1_u64).unwrap();
    session.insert("theme", "dark").unwrap();
    session.insert("locale", "en-GB").unwrap();
    session.insert("zone", "Europe/London").unwrap();
    session.insert("seen_banner", true).unwrap();
    session.insert("last_search", "a red bicycle").unwrap();
}

/// Passes bytes on to a server and back, and counts them.
struct Counter {
    address: SocketAddr,
    bytes: Arc<AtomicU64>,
}

impl Counter {
    fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let bytes = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&bytes);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(server).unwrap();
                let pairs = [
                    (client.try_clone().unwrap(), server.try_clone().unwrap()),
                    (server, client),
                ];
                for (from, to) in pairs {
                    let counted = Arc::clone(&counted);
                    thread::spawn(move || pass(from, to, &counted));
                }
            }
        });
        Self { address, bytes }
    }

    /// Bytes of the requests and replies of something.
    async fn count<T>(&self, act: impl Future<Output = T>) -> (T, u64) {
        let before = self.bytes.load(Ordering::SeqCst);
        let done = act.await;
        (done, self.bytes.load(Ordering::SeqCst) - before)
    }
}

/// What is counted is counted before it is passed on.
fn pass(mut from: TcpStream, mut to: TcpStream, counted: &AtomicU64) {
    let mut buffer = [0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        counted.fetch_add(read as u64, Ordering::SeqCst);
        if to.write_all(&buffer[..read]).is_err() {
            return;
        }
    }
}

fn memory(server: &RedisServer, key: &str) -> u64 {
    let usage = server.command(&["MEMORY", "USAGE", key, "SAMPLES", "0"]);
    usage.integer().try_into().unwrap()
}

/// Memory; and bytes on the wire of a load, an update of one value and a creation.
#[derive(Debug)]
struct Figures([u64; 4]);

async fn of_session(server: &RedisServer, layout: Layout, codec: Codec) -> (Figures, Arc<Record>) {
    let counter = Counter::start(server.address());
    let builder = RedisStore::builder(format!("redis://{}/", counter.address));
    // A session that the store has is not sent.
    let builder = builder.cache_bytes(0);
    let store = builder.layout(layout).connect().await.unwrap();
    let manager = SessionManager::builder(store.clone())
        .codec(codec)
        .build()
        .unwrap();
    let create = async || {
        let session = anonymous(&manager).await;
        fill(&session);
        let token = token_of(&session.finish(Outcome::Success).await.unwrap());
        (session.id().unwrap(), token)
    };
    let update = async |session: SessionGuard, visits: u64| {
        session.insert("visits", visits).unwrap();
        session.finish(Outcome::Success).await.unwrap();
    };
    // The first calls bring the scripts.
    let (_, token) = create().await;
    update(open(&manager, &token).await, 2).await;

    let ((id, token), created) = counter.count(create()).await;
    let (session, loaded) = counter.count(open(&manager, &token)).await;
    let ((), updated) = counter.count(update(session, 2)).await;
    let memory = memory(server, &format!("session:{}", id.encode()));
    let now = SystemTime::now().into();
    let record = store.load(&id.into(), now).await.unwrap().unwrap();
    (Figures([memory, loaded, updated, created]), record)
}

async fn of_string(server: &RedisServer, record: &Record) -> Figures {
    let counter = Counter::start(server.address());
    let client = redis::Client::open(format!("redis://{}/", counter.address)).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let key = format!("session:{}", record.id().encode()).replace("session", "strings");
    let mut set = async |how: &str| {
        let mut set = redis::cmd("SET");
        set.arg(&key)
            .arg(record.encode())
            .arg("PX")
            .arg(7_260_000)
            .arg(how);
        set.query_async::<()>(&mut connection).await.unwrap();
    };
    let ((), created) = counter.count(set("NX")).await;
    let ((), updated) = counter.count(set("XX")).await;
    let mut get = redis::cmd("GET");
    let got = get.arg(&key).query_async::<Vec<u8>>(&mut connection);
    let (value, loaded) = counter.count(got).await;
    assert_eq!(value.unwrap(), record.encode());
    Figures([memory(server, &key), loaded, updated, created])
}

#[tokio::test]
async fn a_session_of_eight_keys() {
    println!(
        "| engine | codec | | memory | load | update | create |\n|---|---|---|---|---|---|---|"
    );
    for engine in Engine::ALL {
        let server = RedisServer::start(engine);
        for codec in [Codec::Json, Codec::Postcard] {
            let (hash, record) = of_session(&server, Layout::Fields, codec).await;
            let (packed, _) = of_session(&server, Layout::Packed, codec).await;
            let string = of_string(&server, &record).await;
            for (name, Figures([memory, load, update, create])) in
                [("fields", &hash), ("packed", &packed), ("string", &string)]
            {
                println!(
                    "| {engine} | {codec:?} | {name} | {memory} | {load} | {update} | {create} |"
                );
            }
            let (Figures(hash), Figures(packed), Figures(string)) = (hash, packed, string);
            // What the scripts decide by comes to a line.
            for (packed, string) in packed.iter().zip(string) {
                assert!(*packed <= string + 260, "{codec:?}: {packed} {string}");
            }
            if codec == Codec::Postcard {
                assert!(packed[0] <= 712, "{engine}: memory {packed:?}");
            }
            // A hash takes more memory, and each update less of the wire.
            assert!(
                hash[0] <= 3 * string[0],
                "{codec:?}: memory {hash:?} {string:?}"
            );
            assert!(
                hash[1] <= string[1] + 300,
                "{codec:?}: load {hash:?} {string:?}"
            );
            assert!(hash[2] <= 400, "{codec:?}: update {hash:?}");
            assert!(
                hash[3] <= string[3] + 400,
                "{codec:?}: create {hash:?} {string:?}"
            );
        }
    }
}

/// Hashes with fields of at most 64 bytes lie in one piece of memory. A whole session's metadata
/// does not fit one.
#[tokio::test]
async fn a_small_session_with_metadata_in_pieces() {
    println!("| engine | metadata | encoding | memory |\n|---|---|---|---|");
    for engine in Engine::ALL {
        let server = RedisServer::start(engine);
        let store = RedisStore::connect(server.url()).await.unwrap();
        let manager = SessionManager::new(store.clone());
        let session = anonymous(&manager).await;
        for (key, value) in [
            ("theme", "dark"),
            ("locale", "en-GB"),
            ("zone", "Europe/London"),
        ] {
            session.insert(key, value).unwrap();
        }
        session.finish(Outcome::Success).await.unwrap();
        let id = session.id().unwrap();
        let key = format!("session:{}", id.encode());
        let now = SystemTime::now().into();
        let record = store.load(&id.into(), now).await.unwrap().unwrap();
        let blob = record.encode_metadata();

        let mut connection = redis::Client::open(server.url())
            .unwrap()
            .get_connection()
            .unwrap();
        let split = key.replace("session", "divided");
        let mut whole: Vec<(Vec<u8>, Vec<u8>)> = redis::cmd("HGETALL")
            .arg(&key)
            .query(&mut connection)
            .unwrap();
        whole.retain(|(name, _)| name != b"m");
        let mut hset = redis::cmd("HSET");
        hset.arg(&split);
        for (name, content) in whole {
            hset.arg(name).arg(content);
        }
        for (at, piece) in blob.chunks(64).enumerate() {
            hset.arg(format!("m{at}")).arg(piece);
        }
        hset.query::<()>(&mut connection).unwrap();
        redis::cmd("PEXPIRE")
            .arg(&split)
            .arg(7_260_000)
            .query::<()>(&mut connection)
            .unwrap();
        let string = key.replace("session", "strings");
        redis::cmd("SET")
            .arg(&string)
            .arg(record.encode())
            .arg("PX")
            .arg(7_260_000)
            .query::<()>(&mut connection)
            .unwrap();
        let mut figures = Vec::new();
        for (name, key) in [
            ("whole", &key),
            ("pieces of 64", &split),
            ("one string", &string),
        ] {
            let encoding = server.command(&["OBJECT", "ENCODING", key]);
            let memory = memory(&server, key);
            println!(
                "| {engine} | {name}, {} bytes | {encoding} | {memory} |",
                blob.len()
            );
            figures.push(memory);
        }
        assert!(figures[0] <= 1_000, "{engine}: {figures:?}");
    }
}

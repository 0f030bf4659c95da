//! What is known of a write whose answer does not come, and what becomes of calls that nobody waits
//! for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mongodb::bson::doc;
use session_core::store::{RecordKey, SessionStore, StoreError};
use session_core::{
    Ended, Outcome, SessionError, SessionGuard, SessionId, SessionManager, Timestamp,
};
use session_mongo::MongoStore;
use session_tests::servers::{MongoReplicaSet, MongoServer};
use session_tests::{Proxy, create, open};
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinSet, block_in_place, spawn_blocking};
use tokio::time::{sleep, timeout};

/// The store's, if not set, and what a busy machine may need.
const LIMIT: Duration = Duration::from_millis(1750);

/// A store behind a proxy, and a session in it.
struct Way {
    proxy: Proxy,
    manager: SessionManager,
    token: String,
}

impl Way {
    async fn to(server: &MongoServer) -> Self {
        let proxy = Proxy::start(server.address()).await;
        let uri = format!(
            "mongodb://127.0.0.1:{}/?directConnection=true",
            proxy.port()
        );
        let manager = SessionManager::new(MongoStore::connect(uri).await.unwrap());
        let token = create(&manager, [("n", 1)]).await;
        Self {
            proxy,
            manager,
            token,
        }
    }

    /// Writes `word`, which is also what a proxy looks for.
    async fn write(&self, word: &str) -> Result<(), StoreError> {
        let session = open(&self.manager, &self.token).await;
        session.insert("word", word).unwrap();
        store_error(finish(&session).await)
    }

    /// Adds one to a number: the version is met, so it is an `update`.
    async fn count(&self) -> Result<(), StoreError> {
        let session = open(&self.manager, &self.token).await;
        session
            .update("n", |n: Option<u64>| n.unwrap_or(0) + 1)
            .unwrap();
        store_error(finish(&session).await)
    }

    async fn word(&self) -> Option<String> {
        open(&self.manager, &self.token).await.get("word").unwrap()
    }

    async fn n(&self) -> u64 {
        open(&self.manager, &self.token)
            .await
            .get("n")
            .unwrap()
            .unwrap()
    }
}

async fn finish(session: &SessionGuard) -> Result<(), SessionError> {
    session.finish(Outcome::Success).await?;
    Ok(())
}

fn store_error(result: Result<(), SessionError>) -> Result<(), StoreError> {
    result.map_err(|error| match error {
        SessionError::Store(error) => error,
        other => panic!("{other:?}"),
    })
}

fn is_unknown(result: &Result<(), StoreError>) -> bool {
    matches!(result, Err(StoreError::OutcomeUnknown(_)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn alone_a_lost_answer_is_unknown_and_nothing_is_sent_twice() {
    let server = MongoServer::start();
    let way = Way::to(&server).await;
    for request in ["reply lost", "request lost"] {
        way.proxy.forget();
        match request {
            "reply lost" => way.proxy.cut_reply_to(request.as_bytes()),
            _ => way.proxy.cut_request(request.as_bytes()),
        }
        let result = way.write(request).await;
        assert!(is_unknown(&result), "{request}: {result:?}");
        assert!(way.proxy.has_cut_all());
        let applied = request == "reply lost";
        assert_eq!(way.proxy.passed(request.as_bytes()), usize::from(applied));
        assert_eq!(way.word().await.as_deref() == Some(request), applied);
    }
    for (n, is_lost) in [(2, true), (3, false)] {
        if is_lost {
            way.proxy.cut_reply_to(b"updates\0");
        }
        assert_eq!(is_unknown(&way.count().await), is_lost);
        assert_eq!(way.n().await, n, "applied once");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_a_set_a_lost_answer_is_asked_for_again() {
    let node = MongoServer::builder().parameter("enableTestCommands", "1");
    let set = spawn_blocking(move || MongoReplicaSet::start_from(&node))
        .await
        .unwrap();
    let primary = &set.nodes()[block_in_place(|| set.primary())];
    let way = Way::to(primary).await;
    way.proxy.cut_reply_to(b"updates\0");
    way.count().await.unwrap();
    assert!(way.proxy.has_cut_all());
    assert_eq!(way.n().await, 2, "sent twice and applied once");
    way.proxy.cut_reply_to(b"a word");
    way.write("a word").await.unwrap();
    assert_eq!(way.proxy.passed(b"a word"), 2);
    way.proxy.cut_request(b"another");
    way.write("another").await.unwrap();
    assert_eq!(way.word().await.as_deref(), Some("another"));

    // The first attempt is carried out and its answer lost; the second one is refused, for a reason
    // that has nothing to do with it.
    for code in [10107, 13435, 189, 91, 112, 262, 11602] {
        let fail = |mode| {
            doc! { "configureFailPoint": "failCommand", "mode": mode,
            "data": { "errorCode": code, "failCommands": ["update"] } }
        };
        let word = format!("word {code}");
        block_in_place(|| primary.command("admin", fail(doc! { "skip": 1 })));
        way.proxy.cut_reply_to(word.as_bytes());
        let result = way.write(&word).await;
        let off = doc! { "configureFailPoint": "failCommand", "mode": "off" };
        block_in_place(|| primary.command("admin", off));
        assert!(way.proxy.has_cut_all());
        assert!(is_unknown(&result), "{code}: {result:?}");
        assert_eq!(
            way.word().await.as_deref(),
            Some(&*word),
            "it was carried out"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_write_that_no_majority_takes_is_unknown_and_holds_no_connection() {
    let node = MongoServer::builder().parameter("enableTestCommands", "1");
    let set = spawn_blocking(move || MongoReplicaSet::start_from(&node))
        .await
        .unwrap();
    let primary = block_in_place(|| set.primary());
    let way = Way::to(&set.nodes()[primary]).await;
    let replicate = |is_on: bool| {
        let mode = if is_on { "off" } else { "alwaysOn" };
        for i in (0..3).filter(|i| *i != primary) {
            let command = doc! { "configureFailPoint": "stopReplProducer", "mode": mode };
            set.nodes()[i].command("admin", command);
        }
    };
    // Heartbeats go on, so the primary stays what it is.
    block_in_place(|| replicate(false));
    let mut failed = None;
    // What the others were about to fetch, they may yet take.
    for i in 0..100 {
        let began = Instant::now();
        let result = way.write(&format!("word {i}")).await;
        if result.is_err() {
            failed = Some((result, began.elapsed()));
            break;
        }
    }
    let (result, took) = failed.unwrap();
    assert!(is_unknown(&result), "{result:?}");
    // A load and the write.
    assert!(took < 2 * LIMIT, "{took:?}");
    // The server said so itself; had only the deadline passed, it would still be waiting.
    let text = format!("{result:?}");
    assert!(text.contains("not confirmed by as many nodes"), "{text}");
    assert!(way.word().await.is_some(), "reads go on");
    block_in_place(|| replicate(true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_write_to_a_server_that_hangs_is_unknown() {
    let server = MongoServer::start();
    let way = Way::to(&server).await;
    let session = open(&way.manager, &way.token).await;
    session.insert("word", "late").unwrap();
    block_in_place(|| server.pause());
    let began = Instant::now();
    let result = store_error(finish(&session).await);
    let took = began.elapsed();
    block_in_place(|| server.resume());
    assert!(is_unknown(&result), "{result:?}");
    assert!(took < LIMIT, "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_refuses_connections_was_sent_nothing() {
    let server = MongoServer::start();
    let way = Way::to(&server).await;
    let session = open(&way.manager, &way.token).await;
    session.insert("word", "never").unwrap();
    way.proxy.refuse().await;
    way.proxy.drop_connections().await;
    let result = store_error(finish(&session).await);
    way.proxy.accept().await;
    // The first connection taken from the pool may have been closed only after the write was on its
    // way.
    if let Err(StoreError::Unavailable(_)) = &result {
        let session = wait_open(&way).await;
        assert_eq!(session.get::<String>("word").unwrap(), None);
    } else {
        assert!(is_unknown(&result), "{result:?}");
    }
    // By now the client knows, and nothing is unknown.
    way.proxy.refuse().await;
    way.proxy.drop_connections().await;
    let nobody = RecordKey::Id(SessionId::from_bytes([7; 16]));
    let store = MongoStore::builder(format!("mongodb://127.0.0.1:{}/", way.proxy.port()));
    let store = store.lazy().await.unwrap();
    let deleted = store.delete(&nobody, Ended::default()).await;
    assert!(
        matches!(deleted, Err(StoreError::Unavailable(_))),
        "{deleted:?}"
    );
}

async fn wait_open(way: &Way) -> SessionGuard {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        match way.manager.begin(&[&way.token]).await {
            Ok(session) => return session,
            Err(error) => assert!(Instant::now() < until, "{error:?}"),
        }
    }
}

/// What the server counts of its connections, without any by who asks.
async fn connections(client: &mongodb::Client) -> i32 {
    let status = doc! { "serverStatus": 1 };
    let status = client.database("admin").run_command(status).await.unwrap();
    let connections = status.get_document("connections").unwrap();
    let made = connections.get("totalCreated").unwrap();
    made.as_i32()
        .unwrap_or_else(|| i32::try_from(made.as_i64().unwrap()).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_that_are_dropped_half_way_cost_no_connections() {
    const POOL: usize = 8;
    let server = MongoServer::start();
    let store = MongoStore::connect(format!("{}?maxPoolSize={POOL}", server.uri()))
        .await
        .unwrap();
    let store = Arc::new(store);
    let nobody = || RecordKey::Id(SessionId::random().unwrap());
    let now = Timestamp::from_millis(0);
    let mut warm = JoinSet::new();
    for _ in 0..200 {
        let (store, key) = (Arc::clone(&store), nobody());
        warm.spawn(async move { store.load(&key, now).await.unwrap() });
    }
    warm.join_all().await;
    let asking = mongodb::Client::with_uri_str(server.uri()).await.unwrap();
    connections(&asking).await;
    // What watches the server makes a second connection a little later.
    sleep(Duration::from_millis(1500)).await;
    let before = connections(&asking).await;
    let mut dropped = 0;
    for i in 0_u64..1000 {
        let patience = Duration::from_micros(i % 10 * 20);
        let key = nobody();
        let call = async {
            match i % 2 {
                0 => store.load(&key, now).await.map(drop),
                _ => store.delete(&key, Ended::default()).await,
            }
        };
        // A timer is never shorter than a millisecond; a second branch that is polled first is.
        tokio::select! {
            biased;
            () = spin(patience) => dropped += 1,
            done = call => done.unwrap(),
        }
    }
    assert!(dropped > 500, "{dropped} were dropped");
    for _ in 0..50 {
        let loaded = timeout(LIMIT, store.load(&nobody(), now)).await;
        assert_eq!(loaded.unwrap().unwrap(), None);
    }
    let made = connections(&asking).await - before;
    let pool = i32::try_from(POOL).unwrap();
    assert!(
        made < pool,
        "{made} connections for {dropped} dropped calls"
    );
}

/// Is pending once or more, for at least this long.
async fn spin(patience: Duration) {
    let until = Instant::now() + patience;
    loop {
        tokio::task::yield_now().await;
        if Instant::now() >= until {
            return;
        }
    }
}

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn a_store_belongs_to_its_runtime() {
    let server = MongoServer::start();
    let (home, other) = (runtime(), runtime());
    let store = home.block_on(MongoStore::connect(server.uri())).unwrap();
    let nobody = RecordKey::Id(SessionId::from_bytes([7; 16]));
    let now = Timestamp::from_millis(0);
    assert_eq!(other.block_on(store.load(&nobody, now)).unwrap(), None);
    other
        .block_on(store.delete(&nobody, Ended::default()))
        .unwrap();

    drop(home);
    for _ in 0..3 {
        let began = Instant::now();
        let loaded = other.block_on(store.load(&nobody, now));
        assert!(
            matches!(loaded, Err(StoreError::Unavailable(_))),
            "{loaded:?}"
        );
        assert!(format!("{loaded:?}").contains("runtime"), "{loaded:?}");
        let deleted = other.block_on(store.delete(&nobody, Ended::default()));
        assert!(deleted.is_err(), "{deleted:?}");
        assert!(began.elapsed() < 2 * LIMIT, "{:?}", began.elapsed());
    }
    let again = other.block_on(MongoStore::connect(server.uri())).unwrap();
    assert_eq!(other.block_on(again.load(&nobody, now)).unwrap(), None);
}

//! What the store says when its server fails.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use session_core::store::conformance::{HangingServer, LossyProxy};
use session_core::store::{
    Changes, PrincipalIndex, Record, RecordKey, SessionStore, StoreError, Update,
};
use session_core::{Clock, Codec, Ended, Lifetime, SessionId, SystemClock};
use session_tests::PATIENCE;
use session_tests::servers::PostgresServer;
use sql_store::SqlStore;
use sqlx::AnyPool;
use tokio::task::JoinSet;

/// What a store waits whose server will not answer.
const SHORT: Duration = Duration::from_secs(2);
/// By then it must have given up, even on a machine that stands still for seconds.
const LONGEST: Duration = Duration::from_secs(30);

fn url(address: SocketAddr) -> String {
    format!("postgres://postgres@{address}/postgres")
}

fn behind_a_proxy() -> (PostgresServer, LossyProxy) {
    let server = PostgresServer::start();
    let proxy = LossyProxy::start(server.address()).unwrap();
    (server, proxy)
}

fn record() -> Arc<Record> {
    let now = SystemClock.now();
    let record = Record::new(SessionId::random().unwrap(), "id", Lifetime::default(), now);
    Arc::new(record.with_principal("ann"))
}

fn update(record: &Record) -> Update {
    let changes = Changes::new().set("a", Codec::Json.encode(&1).unwrap());
    let after = Arc::new(changes.apply(record));
    Update::new(after, changes, record.epoch()).with_base_tag(record.tag())
}

/// Asks again and again until the answer is yes.
async fn until(what: &str, answer: impl AsyncFn() -> bool) {
    let start = Instant::now();
    while !answer().await {
        assert!(start.elapsed() < 2 * LONGEST, "waited for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The server's processes that wait for a lock.
async fn waiting(pool: &AnyPool) -> Vec<i32> {
    let query = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    let rows: Vec<(i32,)> = sqlx::query_as(query).fetch_all(pool).await.unwrap();
    rows.into_iter().map(|(pid,)| pid).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_whose_answer_is_lost_is_of_unknown_outcome() {
    let (server, proxy) = behind_a_proxy();
    let store = SqlStore::connect(&url(proxy.address()), 2 * SHORT)
        .await
        .unwrap();
    let pool = AnyPool::connect(&server.url()).await.unwrap();
    let now = SystemClock.now();
    let key = store.create(&record(), now).await.unwrap();
    let before = store.load(&key, now).await.unwrap().unwrap();

    // The write waits for a lock while the way back is cut.
    let mut lock = pool.begin().await.unwrap();
    let held = sqlx::query("SELECT 1 FROM sessions FOR UPDATE");
    held.execute(&mut *lock).await.unwrap();
    let writing = tokio::spawn({
        let (store, key, update) = (store.clone(), key.clone(), update(&before));
        async move { store.update(&key, &update, now).await }
    });
    until("the lock", async || !waiting(&pool).await.is_empty()).await;
    proxy.lose_answers();
    lock.rollback().await.unwrap();
    let answer = writing.await.unwrap();
    assert!(
        matches!(answer, Err(StoreError::OutcomeUnknown(_))),
        "{answer:?}"
    );

    proxy.pass_answers();
    let version = async || store.load(&key, now).await.unwrap().unwrap().version();
    until("the write", async || version().await > before.version()).await;
    assert_eq!(version().await, before.version() + 1, "it was sent again");
}

/// The server's machine vanishes under requests, and another one has its name. No packet says so,
/// and the requests are dropped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_hang_are_given_up() {
    const CONNECTIONS: usize = 10; // of a pool by default
    let server = PostgresServer::start();
    let store = SqlStore::connect(&server.url(), PATIENCE).await.unwrap();
    let pool = AnyPool::connect(&server.url()).await.unwrap();
    let now = SystemClock.now();
    let key = store.create(&record(), now).await.unwrap();

    let mut lock = pool.begin().await.unwrap();
    let held = sqlx::query("LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE");
    held.execute(&mut *lock).await.unwrap();
    let mut requests = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (store, key) = (store.clone(), key.clone());
        requests.spawn(async move { store.load(&key, now).await });
    }
    let all_wait = async || waiting(&pool).await.len() == CONNECTIONS;
    until("all of them", all_wait).await;
    let vanished = Stopped::new(waiting(&pool).await);
    requests.shutdown().await;
    lock.rollback().await.unwrap();

    until("a load", async || store.load(&key, now).await.is_ok()).await;
    drop(vanished);
}

/// Processes that stand still until this is dropped.
struct Stopped(Vec<i32>);

impl Stopped {
    fn new(pids: Vec<i32>) -> Self {
        send("STOP", &pids);
        Self(pids)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        send("CONT", &self.0);
    }
}

fn send(signal: &str, pids: &[i32]) {
    let pids = pids.iter().map(ToString::to_string);
    let mut kill = Command::new("kill");
    let _ = kill.args(["-s", signal]).args(pids).status().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_holds_nobody_up() {
    let (_server, proxy) = behind_a_proxy();
    let store = SqlStore::connect(&url(proxy.address()), SHORT)
        .await
        .unwrap();
    let now = SystemClock.now();
    let key = store.create(&record(), now).await.unwrap();
    let record = store.load(&key, now).await.unwrap().unwrap();
    proxy.lose_answers();
    let start = Instant::now();
    let update = update(&record);
    let (loaded, updated, deleted, listed) = tokio::join!(
        store.load(&key, now),
        store.update(&key, &update, now),
        store.delete(&key, Ended::default()),
        store.list_of("ann", now),
    );
    assert!(start.elapsed() < LONGEST, "{:?}", start.elapsed());
    for error in [loaded.err(), listed.err()] {
        assert!(
            matches!(error, Some(StoreError::Unavailable(_))),
            "{error:?}"
        );
    }
    for error in [updated.err(), deleted.err()] {
        let expected = [
            StoreError::unavailable("").to_string(),
            StoreError::outcome_unknown("").to_string(),
        ];
        assert!(
            expected.contains(&error.as_ref().unwrap().to_string()),
            "{error:?}"
        );
    }
    proxy.pass_answers();
    assert!(
        store.load(&key, now).await.unwrap().is_some(),
        "it works again"
    );
}

#[tokio::test]
async fn a_server_that_never_answers_is_an_error_at_the_start() {
    let server = HangingServer::start().unwrap();
    let start = Instant::now();
    SqlStore::connect(&url(server.address()), SHORT)
        .await
        .unwrap_err();
    assert!(start.elapsed() < LONGEST, "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_outlives_the_server() {
    let server = PostgresServer::start();
    let store = SqlStore::connect(&server.url(), PATIENCE).await.unwrap();
    let now = SystemClock.now();
    let mut keys: Vec<RecordKey> = Vec::new();
    for _ in 0..20 {
        keys.push(store.create(&record(), now).await.unwrap());
    }
    store.delete(&keys[0], Ended::default()).await.unwrap();
    server.restart();
    for (at, key) in keys.iter().enumerate() {
        let found = store.load(key, now).await.unwrap();
        let is_live = found.is_some_and(|record| record.ended().is_none());
        assert_eq!(is_live, at > 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_row_is_corrupt_and_hides_no_other() {
    let server = PostgresServer::start();
    let store = SqlStore::connect(&server.url(), PATIENCE).await.unwrap();
    let now = SystemClock.now();
    let pool = AnyPool::connect(&server.url()).await.unwrap();
    let [whole, damaged] = [record(), record()];
    for record in [&whole, &damaged] {
        store.create(record, now).await.unwrap();
    }
    for bytes in [vec![], vec![255], whole.encode()[..20].to_vec()] {
        let damage = sqlx::query("UPDATE sessions SET record = $1 WHERE id = $2");
        let damage = damage.bind(bytes).bind(damaged.id().as_bytes().to_vec());
        damage.execute(&pool).await.unwrap();
        let loaded = store.load(&damaged.id().into(), now).await;
        assert!(matches!(loaded, Err(StoreError::Corrupt(_))), "{loaded:?}");
        let listed = store.list_of("ann", now).await.unwrap();
        let readable = listed.iter().filter(|found| found.record().is_some());
        assert_eq!((listed.len(), readable.count()), (2, 1));
    }
    assert_eq!(
        store
            .delete_all_of("ann", None, Ended::default())
            .await
            .unwrap(),
        2
    );
}

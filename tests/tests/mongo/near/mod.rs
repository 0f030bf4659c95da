//! The near cache: what others write is seen, nothing older than a lease is served, and what is
//! held costs nothing.

mod beats;
mod faults;
mod logouts;
mod told;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use mongodb::bson::doc;
use session_core::store::{
    Changes, NearCache, Record, SessionStore, StoreError, Update, Updated, Value,
};
use session_core::{Codec, Lifetime, SessionId, Timestamp};
use session_mongo::{MongoStore, MongoStoreBuilder, Source};
use session_tests::PATIENCE;
use session_tests::servers::{MongoBuilder, MongoServer};
use tokio::time::sleep;

/// Longer than any test waits: what is seen within it was told.
const LONG: Duration = Duration::from_secs(50);

/// A replica set of one node.
fn one_node(node: MongoBuilder) -> MongoServer {
    let node = node
        .arg("--replSet")
        .arg("rs0")
        .arg("--oplogSize")
        .arg("16");
    let server = node.start();
    let member = doc! { "_id": 0, "host": server.address().to_string() };
    let settings = doc! { "_id": "rs0", "members": [member] };
    server.command("admin", doc! { "replSetInitiate": settings });
    let deadline = Instant::now() + PATIENCE;
    let is_primary = || {
        let hello = server.command("admin", doc! { "hello": 1 });
        hello.get_bool("isWritablePrimary").unwrap()
    };
    while !is_primary() {
        assert!(Instant::now() < deadline, "it is no primary");
        std::thread::sleep(Duration::from_millis(50));
    }
    server
}

fn near(source: impl Into<Source>, lease: Duration) -> MongoStoreBuilder {
    MongoStore::builder(source)
        .call_timeout(PATIENCE)
        .near_cache(NearCache::new(lease))
}

/// A store that asks each time, as another process'.
async fn other(uri: String) -> MongoStore {
    let builder = MongoStore::builder(uri).call_timeout(PATIENCE);
    builder.connect().await.unwrap()
}

fn now() -> Timestamp {
    SystemTime::now().into()
}

/// A new session whose number is 0; signed in.
async fn create(store: &MongoStore) -> SessionId {
    let id = SessionId::random().unwrap();
    let record = Record::new(id, "id", Lifetime::default(), now()).with_principal("user:1");
    let record = record.with_value("n", Value::new(Codec::Json, "0"));
    store.create(&Arc::new(record), now()).await.unwrap();
    id
}

/// The number of a session; `None` if it is over or not there.
async fn number(store: &MongoStore, id: SessionId) -> Result<Option<u64>, StoreError> {
    let record = store.load(&id.into(), now()).await?;
    let record = record.filter(|record| record.ended().is_none());
    Ok(record.map(|record| {
        let value = record.values().get("n").unwrap();
        std::str::from_utf8(value.bytes()).unwrap().parse().unwrap()
    }))
}

async fn write(store: &MongoStore, id: SessionId, number: u64) {
    let before = store.load(&id.into(), now()).await.unwrap().unwrap();
    let changes = Changes::new().set("n", Value::new(Codec::Json, number.to_string()));
    let update = Update::new(Arc::new(changes.apply(&before)), changes, before.epoch());
    let updated = store.update(&id.into(), &update, now()).await.unwrap();
    assert!(matches!(updated, Updated::Saved { .. }), "{updated:?}");
}

/// Loads a session until that costs nothing.
async fn hold(store: &MongoStore, id: SessionId) {
    let before = store.cache_stats().leased;
    let deadline = Instant::now() + PATIENCE;
    while store.cache_stats().leased == before {
        assert!(Instant::now() < deadline, "nothing is held");
        number(store, id).await.ok();
        sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until a session is as expected.
async fn until(store: &MongoStore, id: SessionId, expected: Option<u64>) {
    let deadline = Instant::now() + PATIENCE;
    while number(store, id).await.ok() != Some(expected) {
        assert!(Instant::now() < deadline, "{expected:?} was not seen");
        sleep(Duration::from_millis(2)).await;
    }
}

//! Connections and servers fail: nothing older than a lease is served.

use std::time::{Duration, Instant};

use mongodb::Client;
use mongodb::bson::{Document, doc};
use mongodb::options::WriteConcern;
use session_core::store::{NearCache, SessionStore};
use session_core::{Ended, SessionId};
use session_mongo::MongoStore;
use session_tests::Proxy;
use session_tests::servers::{MongoReplicaSet, MongoServer};
use tokio::task::{block_in_place, spawn_blocking};
use tokio::time::sleep;

use super::{create, hold, number, one_node, other, until, write};

const LEASE: Duration = Duration::from_secs(1);

/// The store's own deadline, so that its calls fail as in a real site.
async fn store(uri: String) -> MongoStore {
    let builder = MongoStore::builder(uri).near_cache(NearCache::new(LEASE));
    builder.connect().await.unwrap()
}

/// Loads a session all the time. When it was last found as it had been.
struct Reader(tokio::task::JoinHandle<Option<Instant>>);

impl Reader {
    fn start(store: &MongoStore, id: SessionId, old: u64, time: Duration) -> Self {
        let store = store.clone();
        Self(tokio::spawn(async move {
            let end = Instant::now() + time;
            let mut last = None;
            while Instant::now() < end {
                let at = Instant::now();
                if matches!(number(&store, id).await, Ok(Some(n)) if n == old) {
                    // It was asked for then; the answer may be late.
                    last = Some(at);
                }
                sleep(Duration::from_millis(2)).await;
            }
            last
        }))
    }

    /// How long after `since` the old state was still served.
    async fn stale(self, since: Instant) -> Duration {
        let last = self.0.await.unwrap().unwrap();
        last.saturating_duration_since(since)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_connection_that_is_cut_or_hangs() {
    let server = one_node(MongoServer::builder());
    let other = other(server.uri()).await;
    let proxy = Proxy::start(server.address()).await;
    let uri = format!(
        "mongodb://127.0.0.1:{}/?directConnection=true",
        proxy.port()
    );
    let store = store(uri).await;
    for what in ["hangs", "is cut", "is cut and refused"] {
        let id = create(&other).await;
        hold(&store, id).await;
        let reader = Reader::start(&store, id, 0, LEASE * 3);
        sleep(LEASE / 5).await;
        match what {
            "hangs" => proxy.stall(),
            "is cut" => proxy.drop_connections().await,
            _ => {
                proxy.refuse().await;
                proxy.drop_connections().await;
            }
        }
        other.delete(&id.into(), Ended::default()).await.unwrap();
        let since = Instant::now();
        let stale = reader.stale(since).await;
        println!("a connection {what}: served for {stale:?}");
        assert!(stale <= LEASE, "{what}: {stale:?}");
        proxy.flow();
        if what == "is cut and refused" {
            proxy.accept().await;
        }
        until(&store, id, None).await;
        // It is of use again.
        let id = create(&other).await;
        hold(&store, id).await;
    }
}

async fn set() -> MongoReplicaSet {
    spawn_blocking(MongoReplicaSet::start).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_primary_that_hangs_and_takes_itself_for_the_primary_again() {
    let set = set().await;
    let store = store(set.uri()).await;
    let writer = other(set.uri()).await;
    let id = create(&writer).await;
    hold(&store, id).await;
    let was = block_in_place(|| set.primary());
    block_in_place(|| set.pause(was));
    let reader = Reader::start(&store, id, 0, LEASE * 20);
    block_in_place(|| set.wait_for_primary());
    write(&other(set.uri()).await, id, 1).await;
    let since = Instant::now();
    sleep(LEASE).await;
    block_in_place(|| set.resume(was));
    let stale = reader.stale(since).await;
    println!("a primary that hangs: served for {stale:?}");
    assert!(stale <= LEASE, "{stale:?}");
    until(&store, id, Some(1)).await;
    hold(&store, id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_primary_that_steps_down() {
    let set = set().await;
    let store = store(set.uri()).await;
    let other = other(set.uri()).await;
    let id = create(&other).await;
    hold(&store, id).await;
    block_in_place(|| set.step_down());
    block_in_place(|| set.wait_for_primary());
    let reader = Reader::start(&store, id, 0, LEASE * 3);
    sleep(LEASE / 10).await;
    write(&other, id, 1).await;
    let stale = reader.stale(Instant::now()).await;
    println!("a step-down: served for {stale:?}");
    assert!(stale <= LEASE, "{stale:?}");
    hold(&store, id).await;
    assert_eq!(number(&store, id).await.unwrap(), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_a_fail_over_loses_was_never_served() {
    let set = set().await;
    let store = store(set.uri()).await;
    let writer = other(set.uri()).await;
    let id = create(&writer).await;
    hold(&store, id).await;
    let primary = block_in_place(|| set.primary());
    let others = [(primary + 1) % 3, (primary + 2) % 3];
    block_in_place(|| others.into_iter().for_each(|i| set.kill(i)));
    // No majority has this, and none will.
    let uri = format!(
        "mongodb://{}/?directConnection=true",
        set.nodes()[primary].address()
    );
    let client = Client::with_uri_str(uri).await.unwrap();
    let sessions = client
        .database("sessions")
        .collection::<Document>("sessions");
    let lost = doc! { "$set": { "data.n": "666" }, "$inc": { "v": 1_i64 } };
    let update = sessions.update_one(doc! { "_id": id.encode() }, lost);
    update.write_concern(WriteConcern::nodes(1)).await.unwrap();
    let end = Instant::now() + LEASE;
    while Instant::now() < end {
        assert_ne!(number(&store, id).await.ok(), Some(Some(666)));
        sleep(Duration::from_millis(2)).await;
    }
    block_in_place(|| {
        set.kill(primary);
        others.into_iter().for_each(|i| set.restart(i));
        set.wait_for_primary();
    });
    let other = other(set.uri()).await;
    assert_eq!(number(&other, id).await.unwrap(), Some(0), "it was lost");
    until(&store, id, Some(0)).await;
    hold(&store, id).await;
    // Of the same version as what was lost.
    write(&other, id, 1).await;
    sleep(LEASE).await;
    assert_eq!(number(&store, id).await.unwrap(), Some(1));
}

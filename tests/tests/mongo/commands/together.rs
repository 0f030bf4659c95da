//! Loads that come at the same time share a command, and so do updates. Each gets what it would get
//! alone.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mongodb::bson::{Document, doc};
use session_core::store::{
    Changes, Record, RecordKey, SessionStore, StoreError, Update, Updated, Value,
};
use session_core::{Codec, Ended, Lifetime, SessionId, Timestamp};
use session_mongo::MongoStore;
use session_tests::Proxy;
use session_tests::servers::MongoServer;
use tokio::task::JoinSet;

use super::watch::filters;
use super::watched;

fn record(at: Timestamp, size: usize) -> Arc<Record> {
    let record = Record::new(SessionId::random().unwrap(), "id", Lifetime::default(), at);
    let text = format!("\"{}\"", "x".repeat(size));
    Arc::new(record.with_value("a", Value::new(Codec::Json, text)))
}

/// What was loaded, or that it cannot be read.
async fn load_all(
    store: &(impl SessionStore + Clone),
    ids: &[SessionId],
    now: Timestamp,
) -> Vec<(SessionId, Result<Option<Arc<Record>>, ()>)> {
    let mut loads = JoinSet::new();
    for id in ids.iter().copied() {
        let store = store.clone();
        loads.spawn(async move {
            let loaded = store.load(&RecordKey::Id(id), now).await;
            let corrupt = |error: StoreError| assert!(matches!(error, StoreError::Corrupt(_)));
            (id, loaded.map_err(corrupt))
        });
    }
    loads.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_load_gets_its_own_session() {
    let server = MongoServer::start();
    let (client, watch, store) = watched(&server.patient_uri()).await;
    let now = SystemTime::now().into();
    let long_ago = Timestamp::from_millis(1_000_000);
    let mut expected = Vec::new();
    for _ in 0..30 {
        let live = record(now, 10);
        store.create(&live, now).await.unwrap();
        expected.push((live.id(), Ok(Some(Arc::clone(&live)))));
        let deleted = record(now, 10);
        store.create(&deleted, now).await.unwrap();
        let ended = Ended::default();
        store.delete(&deleted.id().into(), ended).await.unwrap();
        // The mark is over, as its end was long ago.
        expected.push((deleted.id(), Ok(None)));
        // What has expired is handed back while it is there.
        let expired = record(long_ago, 10);
        store.create(&expired, long_ago).await.unwrap();
        expected.push((expired.id(), Ok(Some(Arc::clone(&expired)))));
        expected.push((SessionId::random().unwrap(), Ok(None)));
    }
    let damaged = record(now, 10);
    store.create(&damaged, now).await.unwrap();
    let sessions = client
        .database("sessions")
        .collection::<Document>("sessions");
    let by_id = doc! { "_id": damaged.id().encode() };
    let damage = doc! { "$set": { "meta": 1 } };
    sessions.update_one(by_id, damage).await.unwrap();
    expected.push((damaged.id(), Err(())));
    // Some are asked for twice at the same time.
    expected.extend(expected.clone());

    watch.take();
    let ids: Vec<_> = expected.iter().map(|(id, _)| *id).collect();
    let mut loaded = load_all(&store, &ids, now).await;
    let sent = watch.take();
    assert!(sent.iter().all(|sent| sent.name == "find"), "{sent:?}");
    assert!(
        sent.len() < ids.len() / 4,
        "{} loads took {} commands",
        ids.len(),
        sent.len()
    );
    loaded.sort_by_key(|(id, _)| *id);
    expected.sort_by_key(|(id, _)| *id);
    assert_eq!(loaded, expected);

    // By itself it is the query that it always was.
    watch.take();
    store.load(&RecordKey::Id(ids[0]), now).await.unwrap();
    let sent = watch.take();
    let filter = sent[0].command.get_document("filter").unwrap();
    assert_eq!(*filter, doc! { "_id": ids[0].encode() });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_sessions_are_loaded_one_by_one() {
    let server = MongoServer::start();
    let (_client, watch, store) = watched(&server.patient_uri()).await;
    let now = SystemTime::now().into();
    let mut ids = Vec::new();
    for _ in 0..40 {
        let large = record(now, 100_000);
        store.create(&large, now).await.unwrap();
        ids.push(large.id());
    }
    // Nobody knows yet that they are large; the answers say so.
    load_all(&store, &ids, now).await;
    watch.take();
    let loaded = load_all(&store, &ids, now).await;
    assert!(
        loaded
            .iter()
            .all(|(_, loaded)| matches!(loaded, Ok(Some(_))))
    );
    assert_eq!(watch.take().len(), ids.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_shows_what_was_saved_before_it_began() {
    let server = MongoServer::start();
    let (_client, _watch, store) = watched(&server.patient_uri()).await;
    let now: Timestamp = SystemTime::now().into();
    let mut all = JoinSet::new();
    // Twice as many as tasks, so that each session is loaded by others at the same time.
    let ids: Arc<[SessionId]> = (0..32).map(|_| SessionId::random().unwrap()).collect();
    for id in ids.iter().copied() {
        let record = Record::new(id, "id", Lifetime::default(), now);
        store.create(&Arc::new(record), now).await.unwrap();
        for writes in [true, false] {
            let store = store.clone();
            all.spawn(async move {
                for round in 1..40_u64 {
                    let before = store.load(&id.into(), now).await.unwrap().unwrap();
                    if writes {
                        assert_eq!(before.version(), round);
                        let changes =
                            Changes::new().set("n", Value::new(Codec::Json, round.to_string()));
                        let after = Arc::new(changes.apply(&before));
                        let update = Update::new(after, changes, 0);
                        store.update(&id.into(), &update, now).await.unwrap();
                    }
                    let after = store.load(&id.into(), now).await.unwrap().unwrap();
                    assert!(after.version() >= before.version() + u64::from(writes));
                }
            });
        }
    }
    tokio::time::timeout(Duration::from_secs(60), all.join_all())
        .await
        .unwrap();
}

fn update(base: &Record, text: &str) -> Update {
    let changes = Changes::new().set("n", Value::new(Codec::Json, text.to_owned()));
    Update::new(Arc::new(changes.apply(base)), changes, base.epoch()).with_base_tag(base.tag())
}

/// So many sessions, as they are stored.
async fn create(store: &MongoStore, count: usize, now: Timestamp) -> Vec<Arc<Record>> {
    let mut all = Vec::new();
    for _ in 0..count {
        let record = record(now, 10);
        store.create(&record, now).await.unwrap();
        all.push(record);
    }
    all
}

/// Writes each at the same time.
async fn update_all(
    store: &MongoStore,
    updates: impl IntoIterator<Item = Update>,
    now: Timestamp,
) -> Vec<(SessionId, Result<Updated, StoreError>)> {
    let mut writes = JoinSet::new();
    for update in updates {
        let store = store.clone();
        writes.spawn(async move {
            let id = update.record().id();
            (id, store.update(&id.into(), &update, now).await)
        });
    }
    writes.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_update_is_told_what_came_of_it() {
    let server = MongoServer::start();
    let (client, watch, store) = watched(&server.patient_uri()).await;
    let now: Timestamp = SystemTime::now().into();
    let all = create(&store, 60, now).await;
    let (kept, others) = all.split_at(20);
    let (moved, ended) = others.split_at(20);
    for base in moved {
        let updated = store
            .update(&base.id().into(), &update(base, "1"), now)
            .await;
        assert!(matches!(updated, Ok(Updated::Saved { .. })), "{updated:?}");
    }
    let end = Ended::new(Default::default(), now);
    for base in ended {
        store.delete(&base.id().into(), end).await.unwrap();
    }
    // Nobody has ever stored these.
    let absent: Vec<_> = (0..20).map(|_| record(now, 10)).collect();
    let sessions = client
        .database("sessions")
        .collection::<Document>("sessions");
    let documents = sessions.count_documents(doc! {}).await.unwrap();
    watch.take();
    let exact = |base: &Arc<Record>| update(base, "2").with_expected_version(base.version());
    let updates = all.iter().chain(&absent).map(exact);
    let updated = update_all(&store, updates, now).await;
    let sent = watch.take();
    let shared = sent.iter().filter(|sent| filters(sent).len() > 1);
    assert!(shared.clone().count() > 1, "{sent:?}");
    for (id, updated) in updated {
        let of = |records: &[Arc<Record>]| records.iter().any(|record| record.id() == id);
        let expected = match updated {
            Ok(Updated::Saved { exact: true, .. }) => of(kept),
            Ok(Updated::Conflict { .. }) => of(moved),
            Ok(Updated::Gone) => of(ended) || of(&absent),
            _ => false,
        };
        assert!(expected, "{updated:?}");
    }
    // None of them was inserted.
    assert_eq!(sessions.count_documents(doc! {}).await.unwrap(), documents);
    for base in kept {
        let found = store.load(&base.id().into(), now).await.unwrap().unwrap();
        assert_eq!(found.version(), 2);
        assert_eq!(found.values().get("n").unwrap().bytes(), b"2");
    }
}

/// A command of many updates is lost, or its answer is: each is looked up, and none is applied
/// twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_of_updates_without_an_answer_is_looked_up() {
    let server = MongoServer::start();
    let proxy = Proxy::start(server.address()).await;
    let uri = format!("mongodb://127.0.0.1:{}/", proxy.port());
    let builder = MongoStore::builder(uri).call_timeout(session_tests::PATIENCE);
    let store = builder.connect().await.unwrap();
    let now: Timestamp = SystemTime::now().into();
    // What it tries out first has been tried out.
    let all = create(&store, 40, now).await;
    update_all(&store, all.iter().map(|base| update(base, "0")), now).await;
    for lost in ["the answer", "the command"] {
        let all = create(&store, 60, now).await;
        match lost {
            "the answer" => proxy.cut_reply_to(b"$setOnInsert"),
            _ => proxy.cut_request(b"$setOnInsert"),
        }
        let updates = all.iter().map(|base| update(base, "1"));
        let mut saved = 0;
        for (id, updated) in update_all(&store, updates, now).await {
            let version = match updated {
                Ok(Updated::Saved { .. }) => 2,
                // The cut closes all connections. A command that finds none is not sent.
                Err(StoreError::Unavailable(_)) => 1,
                updated => panic!("{lost}: {updated:?}"),
            };
            saved += version - 1;
            let found = store.load(&id.into(), now).await.unwrap().unwrap();
            assert_eq!(found.version(), version, "{lost}");
        }
        assert!(proxy.has_cut_all(), "{lost}");
        assert!(saved > 50, "{lost}: {saved}");
    }
}

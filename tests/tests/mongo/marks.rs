//! What is left of sessions that have ended in MongoDB: a small document each, for a minute.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mongodb::bson::{DateTime, Document, doc};
use mongodb::{Client, Collection};
use session_core::store::{PrincipalIndex, Record, RecordKey, SessionStore};
use session_core::{EndReason, Ended, Lifetime, SessionId, Timestamp};
use session_mongo::{ConnectError, MongoStore, MongoStoreBuilder};
use session_tests::servers::MongoServer;
use tokio::time::{Instant, sleep};

const MINUTE: Duration = Duration::from_secs(60);

fn builder(server: &MongoServer) -> MongoStoreBuilder {
    MongoStore::builder(server.patient_uri()).call_timeout(Duration::from_secs(20))
}

async fn site(server: &MongoServer) -> (MongoStore, Collection<Document>) {
    let store = builder(server).connect().await.unwrap();
    let client = Client::with_uri_str(server.patient_uri()).await.unwrap();
    (store, client.database("sessions").collection("sessions"))
}

fn now() -> Timestamp {
    // As MongoDB keeps it.
    SystemTime::now().into()
}

fn record(at: Timestamp) -> Arc<Record> {
    let id = SessionId::random().unwrap();
    let value = session_core::store::Value::new(session_core::Codec::Json, "\"a secret\"");
    let record = Record::new(id, "id", Lifetime::default(), at).with_principal("user:1");
    Arc::new(record.with_value("a", value))
}

fn by(record: &Record) -> Document {
    doc! { "_id": record.id().encode() }
}

fn date(at: Timestamp) -> DateTime {
    DateTime::from_millis(i64::try_from(at.as_millis()).unwrap())
}

#[tokio::test]
async fn a_mark_is_small_and_has_nothing_of_the_session() {
    let server = MongoServer::start();
    let (store, sessions) = site(&server).await;
    let at = now();
    let reasons = [
        (EndReason::Destroyed, "destroyed"),
        (EndReason::Exchanged, "exchanged"),
        (EndReason::Revoked, "revoked"),
        (EndReason::TooMany, "too many"),
        (EndReason::Reused, "reused"),
    ];
    for (reason, name) in reasons {
        let ended = Ended::new(reason, at);
        let records = [record(at), record(at), record(at)];
        for record in &records {
            store.create(record, at).await.unwrap();
        }
        // Fields of other programs go with the session.
        let theirs = doc! { "$set": { "seen_by": "another program" } };
        sessions.update_many(doc! {}, theirs).await.unwrap();
        store.delete(&records[0].id().into(), ended).await.unwrap();
        assert!(
            store
                .delete_one_of("user:1", records[1].id(), ended)
                .await
                .unwrap()
        );
        assert_eq!(store.delete_all_of("user:1", None, ended).await.unwrap(), 1);
        for record in &records {
            let found = sessions.find_one(by(record)).await.unwrap().unwrap();
            let mut expected = by(record);
            let over = date(at + MINUTE);
            expected.extend(doc! { "ended": name, "at": date(at), "ends": over, "expires": over });
            assert_eq!(found, expected);
            assert!(found.to_vec().unwrap().len() < 128, "{found}");
            let mark = store.load(&record.id().into(), at).await.unwrap().unwrap();
            assert_eq!(mark.ended(), Some(ended));
        }
    }
    // The index of principals does not hold them.
    let theirs = doc! { "principal": { "$exists": true } };
    assert_eq!(sessions.count_documents(theirs).await.unwrap(), 0);
}

#[tokio::test]
async fn the_server_removes_marks_after_their_minute() {
    let server = MongoServer::builder()
        .parameter("ttlMonitorSleepSecs", "1")
        .start();
    let (store, sessions) = site(&server).await;
    let nearly = Timestamp::from_millis(now().as_millis() - 55_000);
    let records = [record(nearly), record(nearly), record(nearly)];
    for record in &records {
        store.create(record, nearly).await.unwrap();
    }
    let [old, young, live] = &records;
    let revoked = |at| Ended::new(EndReason::Revoked, at);
    store
        .delete(&old.id().into(), revoked(nearly))
        .await
        .unwrap();
    store
        .delete(&young.id().into(), revoked(now()))
        .await
        .unwrap();
    let limit = Instant::now() + Duration::from_secs(60);
    while sessions.count_documents(by(old)).await.unwrap() > 0 {
        assert!(Instant::now() < limit, "it is never removed");
        sleep(Duration::from_millis(100)).await;
    }
    assert!(now() >= nearly + MINUTE, "it was removed too early");
    for record in [young, live] {
        assert_eq!(sessions.count_documents(by(record)).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn the_first_end_counts() {
    let server = MongoServer::start();
    let (store, _) = site(&server).await;
    let at = now();
    let record = record(at);
    let key = RecordKey::Id(record.id());
    store.create(&record, at).await.unwrap();
    let first = Ended::new(EndReason::Reused, at);
    store.delete(&key, first).await.unwrap();
    let second = Ended::new(EndReason::Destroyed, at + Duration::from_secs(1));
    store.delete(&key, second).await.unwrap();
    assert!(
        !store
            .delete_one_of("user:1", record.id(), second)
            .await
            .unwrap()
    );
    assert_eq!(
        store.delete_all_of("user:1", None, second).await.unwrap(),
        0
    );
    let mark = store.load(&key, second.at).await.unwrap().unwrap();
    assert_eq!(mark.ended(), Some(first));
}

#[tokio::test]
async fn sweeping_leaves_marks_their_minute() {
    let server = MongoServer::start();
    let store = builder(&server).indexes(false).connect().await.unwrap();
    let at = now();
    let record = record(at);
    let key = RecordKey::Id(record.id());
    store.create(&record, at).await.unwrap();
    store
        .delete(&key, Ended::new(EndReason::Revoked, at))
        .await
        .unwrap();
    let last = Timestamp::from_millis((at + MINUTE).as_millis() - 1);
    assert_eq!(store.delete_expired(last).await.unwrap(), 0);
    assert!(store.load(&key, last).await.unwrap().is_some());
    assert_eq!(store.delete_expired(at + MINUTE).await.unwrap(), 1);
    assert!(store.load(&key, last).await.unwrap().is_none());
}

/// To end a session works where a mark may not be written.
#[tokio::test]
async fn a_session_ends_without_a_mark_where_a_validator_refuses_that() {
    let server = MongoServer::start();
    let (store, sessions) = site(&server).await;
    let validator = doc! { "meta": { "$exists": true } };
    server.command(
        "sessions",
        doc! { "collMod": "sessions", "validator": validator },
    );
    let at = now();
    let ended = Ended::new(EndReason::Revoked, at);
    let records = [(); 4].map(|()| record(at));
    for record in &records {
        store.create(record, at).await.unwrap();
    }
    store.delete(&records[0].id().into(), ended).await.unwrap();
    assert!(
        store
            .delete_one_of("user:1", records[1].id(), ended)
            .await
            .unwrap()
    );
    assert!(
        !store
            .delete_one_of("user:2", records[2].id(), ended)
            .await
            .unwrap()
    );
    assert_eq!(store.delete_all_of("user:1", None, ended).await.unwrap(), 2);
    assert_eq!(sessions.count_documents(doc! {}).await.unwrap(), 0);
    // It shows at once.
    let error = builder(&server).connect().await.unwrap_err();
    assert!(
        matches!(error, ConnectError::UnfitCollection { .. }),
        "{error:?}"
    );
    assert_eq!(sessions.count_documents(doc! {}).await.unwrap(), 0);
}

/// Of a newer version, or written by hand.
#[tokio::test]
async fn other_marks_are_marks_too() {
    let server = MongoServer::start();
    let (store, sessions) = site(&server).await;
    let at = now();
    let over = date(at + MINUTE);
    for (mark, right) in [
        (
            doc! { "ended": "evaporated", "at": date(at), "ends": over, "expires": over },
            Some(EndReason::Revoked),
        ),
        (doc! { "ended": "revoked" }, None),
        (
            doc! { "ended": "revoked", "at": "now", "ends": over, "expires": over },
            None,
        ),
    ] {
        let record = record(at);
        let key = RecordKey::Id(record.id());
        let mut document = by(&record);
        document.extend(mark);
        sessions.insert_one(&document).await.unwrap();
        let found = store.load(&key, at).await.unwrap();
        let found = found.and_then(|record| record.ended());
        assert_eq!(found.map(|ended| ended.reason), right, "{document}");
        let limits = session_core::Limits::default();
        let changes = session_core::store::Changes::new().clear();
        let update =
            session_core::store::Update::new(Arc::new(changes.apply(&record)), changes.clone(), 0)
                .with_limits(limits);
        let updated = store.update(&key, &update, at).await.unwrap();
        assert!(
            matches!(updated, session_core::store::Updated::Gone),
            "{updated:?}"
        );
        assert!(store.create(&record, at).await.is_err(), "{document}");
    }
}

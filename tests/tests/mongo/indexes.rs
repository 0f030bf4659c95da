//! The indexes that the store makes in MongoDB: that they are made by whoever comes first, that
//! they do what they are for, and what is said where they cannot be made.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::options::IndexOptions;
use mongodb::{Client, Collection, IndexModel};
use session_core::store::{PrincipalIndex, Record, SessionStore};
use session_core::{Ended, Lifetime, SessionId, Timestamp};
use session_mongo::{ConnectError, MongoStore, MongoStoreBuilder};
use session_tests::PATIENCE;
use session_tests::servers::MongoServer;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

fn builder(uri: impl Into<session_mongo::Source>) -> MongoStoreBuilder {
    MongoStore::builder(uri).call_timeout(PATIENCE)
}

async fn sessions(server: &MongoServer) -> Collection<Document> {
    let client = Client::with_uri_str(server.patient_uri()).await.unwrap();
    client.database("sessions").collection("sessions")
}

fn record(now: Timestamp) -> Arc<Record> {
    let id = SessionId::random().unwrap();
    Arc::new(Record::new(id, "id", Lifetime::default(), now).with_principal("user:1"))
}

fn now() -> Timestamp {
    SystemTime::now().into()
}

/// As the server itself tells.
fn indexes(server: &MongoServer) -> Vec<Document> {
    let found = server.command("sessions", doc! { "listIndexes": "sessions" });
    let found = found
        .get_document("cursor")
        .unwrap()
        .get_array("firstBatch")
        .unwrap();
    let mut found: Vec<_> = found
        .iter()
        .map(|index| index.as_document().unwrap().clone())
        .collect();
    found.sort_by_key(|index| index.get_str("name").unwrap().to_owned());
    found
}

fn assert_made(server: &MongoServer) {
    let expected = [
        doc! { "v": 2, "key": { "_id": 1 }, "name": "_id_" },
        doc! {
            "v": 2, "key": { "expires": 1 }, "name": "session_expires",
            "expireAfterSeconds": 0,
        },
        doc! {
            "v": 2, "key": { "principal": 1 }, "name": "session_principal",
            "partialFilterExpression": { "principal": { "$exists": true } },
        },
    ];
    assert_eq!(indexes(server), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_are_made_by_whoever_comes_first() {
    let server = MongoServer::start();
    // A lazy store makes none.
    let lazy = builder(server.patient_uri()).lazy().await.unwrap();
    lazy.create(&record(now()), now()).await.unwrap();
    assert_eq!(indexes(&server).len(), 1);
    sessions(&server).await.drop().await.unwrap();

    for _ in 0..4 {
        let mut connecting = JoinSet::new();
        for _ in 0..16 {
            connecting.spawn(builder(server.patient_uri()).connect());
        }
        while let Some(connected) = connecting.join_next().await {
            connected.unwrap().unwrap();
        }
        assert_made(&server);
        sessions(&server).await.drop().await.unwrap();
    }
    for _ in 0..2 {
        builder(server.patient_uri()).connect().await.unwrap();
        lazy.create_indexes().await.unwrap();
        assert_made(&server);
    }
}

#[tokio::test]
async fn others_in_their_place_are_an_error_that_says_what_to_do() {
    let server = MongoServer::start();
    let sessions = sessions(&server).await;
    let index = |field: &str, name: Option<&str>, expire_after: Option<u64>| {
        let mut options = IndexOptions::default();
        options.name = name.map(str::to_owned);
        options.expire_after = expire_after.map(Duration::from_secs);
        let keys = doc! { field: 1 };
        IndexModel::builder().keys(keys).options(options).build()
    };
    let others = [
        (
            "expires",
            index("expires", Some("session_expires"), Some(3_600)),
        ),
        ("expires", index("expires", Some("session_expires"), None)),
        ("expires", index("created", Some("session_expires"), None)),
        ("expires", index("expires", None, Some(3_600))),
        ("expires", index("expires", None, Some(0))),
        (
            "principal",
            index("principal", Some("session_principal"), None),
        ),
        (
            "principal",
            index("created", Some("session_principal"), None),
        ),
    ];
    for (field, other) in others {
        sessions.create_index(other.clone()).await.unwrap();
        let error = builder(server.patient_uri()).connect().await.unwrap_err();
        let ConnectError::OtherIndex {
            collection,
            field: said,
            ..
        } = &error
        else {
            unreachable!("{other:?}: {error:?}");
        };
        assert_eq!((collection.as_str(), *said), ("sessions.sessions", field));
        let text = "the collection sessions.sessions has another index on ";
        let rest = "drop that one, or make the store with `indexes(false)` if it does as well";
        assert_eq!(
            error.to_string(),
            format!("{text}{field:?}; {rest}"),
            "{other:?}"
        );
        // The first thing to do.
        let store = builder(server.patient_uri())
            .indexes(false)
            .connect()
            .await
            .unwrap();
        store.create(&record(now()), now()).await.unwrap();
        // The other.
        sessions.drop_indexes().await.unwrap();
        builder(server.patient_uri()).connect().await.unwrap();
        assert_made(&server);
        sessions.drop().await.unwrap();
    }
}

/// The URI of a user with one role.
fn user(server: &MongoServer, name: &str, role: impl Into<Bson>) -> String {
    let create = doc! { "createUser": name, "pwd": "secret", "roles": [role.into()] };
    server.command("admin", create);
    format!(
        "mongodb://{name}:secret@{}/?authSource=admin",
        server.address()
    )
}

#[tokio::test]
async fn a_user_that_may_not_make_them() {
    let server = MongoServer::builder().login("root", "hidden").start();
    let resource = doc! { "db": "sessions", "collection": "sessions" };
    let role = doc! {
        "createRole": "no_indexes", "roles": [],
        "privileges": [{ "resource": resource, "actions": ["find", "insert", "update", "remove"] }],
    };
    server.command("admin", role);
    let reader = user(&server, "reader", doc! { "role": "read", "db": "sessions" });
    let writer = user(&server, "writer", "no_indexes");
    let owner = user(
        &server,
        "owner",
        doc! { "role": "readWrite", "db": "sessions" },
    );
    for uri in [&reader, &writer] {
        let error = builder(uri).connect().await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, ConnectError::Failed { .. }), "{error:?}");
        assert!(text.contains("the user lacks a permission"), "{text}");
        assert!(
            !format!("{text} {error:?}").contains("secret"),
            "{text} {error:?}"
        );
    }
    // Who may all but that needs nothing else.
    let store = builder(&writer).indexes(false).connect().await.unwrap();
    let kept = record(now());
    store.create(&kept, now()).await.unwrap();
    assert_eq!(store.list_of("user:1", now()).await.unwrap().len(), 1);
    let ended = record(Timestamp::from_millis(1_000));
    store.create(&ended, now()).await.unwrap();
    assert_eq!(store.delete_expired(now()).await.unwrap(), 1);
    assert_eq!(indexes(&server).len(), 1);

    // Who may only read can do that.
    let reading = builder(&reader).indexes(false).connect().await.unwrap();
    assert_eq!(
        reading
            .load(&kept.id().into(), now())
            .await
            .unwrap()
            .unwrap(),
        kept
    );
    let refused = reading.create(&record(now()), now()).await.unwrap_err();
    assert!(
        matches!(refused, session_core::store::StoreError::Unavailable(_)),
        "{refused:?}"
    );
    let refused = reading
        .delete(&kept.id().into(), Ended::default())
        .await
        .unwrap_err();
    assert!(
        matches!(refused, session_core::store::StoreError::Unavailable(_)),
        "{refused:?}"
    );

    assert_eq!(
        store
            .delete_all_of("user:1", None, Ended::default())
            .await
            .unwrap(),
        1
    );
    builder(&owner).connect().await.unwrap();
    assert_made(&server);
}

#[tokio::test]
async fn the_server_removes_what_has_ended() {
    let server = MongoServer::builder()
        .parameter("ttlMonitorSleepSecs", "1")
        .start();
    let store = builder(server.patient_uri()).connect().await.unwrap();
    let sessions = sessions(&server).await;
    let [ended, ending, kept] = [(); 3].map(|()| record(now()));
    for record in [&ended, &ending, &kept] {
        store.create(record, now()).await.unwrap();
    }
    // Ended for us, but not for a minute on.
    let at = DateTime::from_millis(i64::try_from(now().as_millis()).unwrap() + 30_000);
    let put = async |record: &Record, at: DateTime| {
        let by = doc! { "_id": record.id().encode() };
        let done = sessions
            .update_one(by, doc! { "$set": { "expires": at } })
            .await
            .unwrap();
        assert_eq!(done.modified_count, 1);
    };
    put(&ending, at).await;
    put(&ended, DateTime::from_millis(1_000)).await;
    let limit = Instant::now() + Duration::from_secs(60);
    while sessions.count_documents(doc! {}).await.unwrap() > 2 {
        assert!(Instant::now() < limit, "it is never removed");
        sleep(Duration::from_millis(100)).await;
    }
    for (record, there) in [(&ended, false), (&ending, true), (&kept, true)] {
        let found = store.load(&record.id().into(), now()).await.unwrap();
        assert_eq!(found.is_some(), there);
    }
}

#[tokio::test]
async fn what_has_ended_can_be_removed_without_them() {
    let server = MongoServer::start();
    let store = builder(server.patient_uri())
        .indexes(false)
        .connect()
        .await
        .unwrap();
    let sessions = sessions(&server).await;
    let records: Vec<_> = (0..20)
        .map(|n| record(Timestamp::from_millis(n * 1_000)))
        .collect();
    for record in &records {
        store.create(record, record.created_at()).await.unwrap();
    }
    let at = records[9].expires_at();
    let before = Timestamp::from_millis(at.as_millis() - 1);
    assert_eq!(store.delete_expired(before).await.unwrap(), 9);
    assert_eq!(store.delete_expired(at).await.unwrap(), 1);
    assert_eq!(store.delete_expired(at).await.unwrap(), 0);
    assert_eq!(sessions.count_documents(doc! {}).await.unwrap(), 10);
    assert!(
        store
            .load(&records[10].id().into(), at)
            .await
            .unwrap()
            .is_some()
    );
}

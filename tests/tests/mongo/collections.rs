//! Collections and servers with which sessions would go wrong: `connect` refuses them by name, and
//! a store that has not looked does no harm.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mongodb::bson::{Document, doc};
use mongodb::options::WriteConcern;
use mongodb::{Client, Collection};
use session_core::store::conformance::Suite;
use session_core::store::{PrincipalIndex, Record, SessionStore};
use session_core::{Ended, Lifetime, SessionId, Timestamp};
use session_mongo::{ConnectError, MongoStore, MongoStoreBuilder};
use session_tests::PATIENCE;
use session_tests::servers::{MongoReplicaSet, MongoServer};

fn builder(server: &MongoServer, collection: &str) -> MongoStoreBuilder {
    MongoStore::builder(server.patient_uri())
        .collection(collection)
        .call_timeout(PATIENCE)
}

fn make(server: &MongoServer, name: &str, options: Document) {
    let mut create = doc! { "create": name };
    create.extend(options);
    server.command("sessions", create);
}

async fn collection(server: &MongoServer, name: &str) -> Collection<Document> {
    let client = Client::with_uri_str(server.patient_uri()).await.unwrap();
    client.database("sessions").collection(name)
}

fn now() -> Timestamp {
    SystemTime::now().into()
}

fn record(principal: &str) -> Arc<Record> {
    let id = SessionId::random().unwrap();
    Arc::new(Record::new(id, "id", Lifetime::default(), now()).with_principal(principal))
}

#[track_caller]
fn assert_unfit(error: &ConnectError, name: &str, word: &str) {
    let ConnectError::UnfitCollection { collection, .. } = error else {
        unreachable!("{name}: {error:?}");
    };
    assert_eq!(*collection, format!("sessions.{name}"));
    assert!(error.to_string().contains(word), "{name}: {error}");
}

#[tokio::test]
async fn what_cannot_keep_sessions_is_refused_by_name() {
    let server = MongoServer::start();
    let insensitive = doc! { "locale": "en", "strength": 2 };
    let others = [
        ("cases", "collation", doc! { "collation": &insensitive }),
        (
            "german",
            "collation",
            doc! { "collation": { "locale": "de" } },
        ),
        (
            "folded",
            "collation",
            doc! { "collation": &insensitive, "capped": true, "size": 4096 },
        ),
        ("capped", "capped", doc! { "capped": true, "size": 1 << 20 }),
        ("view", "a view", doc! { "viewOn": "shown", "pipeline": [] }),
        (
            "series",
            "a time series",
            doc! { "timeseries": { "timeField": "created" } },
        ),
    ];
    for (name, word, options) in others {
        make(&server, name, options);
        let error = builder(&server, name).connect().await.unwrap_err();
        assert_unfit(&error, name, word);
        let error = builder(&server, name)
            .indexes(false)
            .connect()
            .await
            .unwrap_err();
        assert_unfit(&error, name, word);
        let lazy = builder(&server, name).lazy().await.unwrap();
        assert_unfit(&lazy.create_indexes().await.unwrap_err(), name, word);
    }
    // Nothing was made there.
    let indexes = server.command("sessions", doc! { "listIndexes": "cases" });
    assert!(!indexes.to_string().contains("session_"), "{indexes}");

    make(
        &server,
        "simple",
        doc! { "collation": { "locale": "simple" } },
    );
    builder(&server, "simple").connect().await.unwrap();
}

/// Only a replica set has such.
#[tokio::test]
async fn fields_that_are_encrypted_are_refused() {
    let set = MongoReplicaSet::start();
    let field = doc! {
        "keyId": mongodb::bson::Uuid::from_bytes([7; 16]),
        "path": "principal",
        "bsonType": "string",
    };
    let create = doc! { "create": "encrypted", "encryptedFields": { "fields": [field] } };
    set.command("sessions", create);
    let builder = MongoStore::builder(set.patient_uri()).collection("encrypted");
    let error = builder.call_timeout(PATIENCE).connect().await.unwrap_err();
    assert_unfit(&error, "encrypted", "encrypted");
}

/// Where a collection takes upper case for lower case.
#[tokio::test]
async fn a_store_that_has_not_looked_takes_nobody_for_another() {
    let server = MongoServer::start();
    make(
        &server,
        "cases",
        doc! { "collation": { "locale": "en", "strength": 1 } },
    );
    let store = builder(&server, "cases").lazy().await.unwrap();
    let (ann, other, accent) = (record("user:ann"), record("user:Ann"), record("user:änn"));
    for record in [&ann, &other, &accent] {
        store.create(record, now()).await.unwrap();
    }
    let listed = async |principal: &str| -> Vec<SessionId> {
        let listed = store.list_of(principal, now()).await.unwrap();
        listed.iter().map(|record| record.id()).collect()
    };
    assert_eq!(listed("user:ann").await, [ann.id()]);
    assert_eq!(listed("user:Ann").await, [other.id()]);
    assert_eq!(listed("USER:ANN").await, []);
    assert!(
        !store
            .delete_one_of("user:Ann", ann.id(), Ended::default())
            .await
            .unwrap()
    );
    assert_eq!(
        store
            .delete_all_of("USER:ANN", None, Ended::default())
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        store
            .delete_all_of("user:Ann", None, Ended::default())
            .await
            .unwrap(),
        1
    );
    assert!(
        store
            .delete_one_of("user:ann", ann.id(), Ended::default())
            .await
            .unwrap()
    );
    assert_eq!(listed("user:änn").await, [accent.id()]);

    // Nor one id for another.
    let upper = accent.id().encode().to_uppercase();
    if let Ok(id) = upper.parse::<SessionId>() {
        assert!(store.load(&id.into(), now()).await.unwrap().is_none());
    }
    let lower: SessionId = "AAAAAAAAAAAAAAAAAAAAAA".parse().unwrap();
    let record = Record::new(
        "aaaaaaaaaaaaaaaaaaaaaA".parse().unwrap(),
        "id",
        Lifetime::default(),
        now(),
    );
    store.create(&Arc::new(record), now()).await.unwrap();
    assert!(store.load(&lower.into(), now()).await.unwrap().is_none());
}

/// Its documents are kept in the order of `_id` instead of beside an index on that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clustered_collection_keeps_the_contract() {
    let server = MongoServer::start();
    make(
        &server,
        "clustered",
        doc! { "clusteredIndex": { "key": { "_id": 1 }, "unique": true } },
    );
    let store = builder(&server, "clustered").connect().await.unwrap();
    let suite = Suite::new(|| async { store.clone() }).rounds(2);
    let report = suite.time_limit(Duration::from_secs(240)).run().await;
    assert!(report.is_success(), "{report}");
}

#[tokio::test]
async fn a_validator_that_refuses_sessions_shows_at_once() {
    let server = MongoServer::start();
    let refusing = [
        ("named", doc! { "name": { "$exists": true } }),
        ("signed_in", doc! { "principal": { "$exists": true } }),
        ("anonymous", doc! { "principal": { "$exists": false } }),
        ("unchanged", doc! { "v": 1 }),
        ("without_values", doc! { "data": {} }),
        // Marks have none.
        ("without_marks", doc! { "meta": { "$exists": true } }),
        (
            "other_types",
            doc! { "$jsonSchema": { "properties": { "seen": { "bsonType": "long" } } } },
        ),
        (
            "no_more_fields",
            doc! { "$jsonSchema": { "additionalProperties": false, "properties": { "_id": {} } } },
        ),
    ];
    for (name, validator) in refusing {
        make(&server, name, doc! { "validator": &validator });
        for indexes in [true, false] {
            let builder = match indexes {
                true => builder(&server, name),
                false => builder(&server, name).indexes(false),
            };
            assert_unfit(&builder.connect().await.unwrap_err(), name, "validator");
        }
        // What was tried is not left there.
        let left = collection(&server, name)
            .await
            .count_documents(doc! {})
            .await;
        assert_eq!(left.unwrap(), 0, "{name}");
        let warn = doc! { "collMod": name, "validationAction": "warn" };
        server.command("sessions", warn);
        builder(&server, name).connect().await.unwrap();
    }
    let allowing = doc! { "$jsonSchema": { "required": ["_id", "ends", "expires"] } };
    make(&server, "fit", doc! { "validator": allowing });
    builder(&server, "fit").connect().await.unwrap();
    let left = collection(&server, "fit")
        .await
        .count_documents(doc! {})
        .await;
    assert_eq!(left.unwrap(), 0);
}

/// Principals have several sessions, and marks are alike.
#[tokio::test]
async fn a_unique_index_of_others_is_refused() {
    let server = MongoServer::start();
    let index = |name: &str, key: Document, unique: bool| {
        let index = doc! { "name": "theirs", "key": key, "unique": unique };
        server.command(
            "sessions",
            doc! { "createIndexes": name, "indexes": [index] },
        );
    };
    for (name, key) in [
        ("principal", doc! { "principal": 1 }),
        ("both", doc! { "principal": 1, "created": 1 }),
    ] {
        index(name, key, true);
        let error = builder(&server, name).connect().await.unwrap_err();
        assert_unfit(&error, name, "unique index");
        let lazy = builder(&server, name).lazy().await.unwrap();
        assert_unfit(
            &lazy.create_indexes().await.unwrap_err(),
            name,
            "unique index",
        );
    }
    index("with_id", doc! { "principal": 1, "_id": 1 }, true);
    index("not_unique", doc! { "created": 1 }, false);
    for name in ["with_id", "not_unique"] {
        builder(&server, name).connect().await.unwrap();
    }
}

#[tokio::test]
async fn a_journal_that_is_not_there_is_named() {
    let server = MongoServer::builder().arg("--nojournal").start();
    let mut journaled = WriteConcern::nodes(1);
    journaled.journal = Some(true);
    let builder = || builder(&server, "sessions");
    let text = async |builder: MongoStoreBuilder| builder.connect().await.unwrap_err().to_string();
    let said = text(builder().write_concern(journaled.clone())).await;
    assert!(said.contains("its write_concern, w=1 and j=true"), "{said}");
    let said = text(builder().touch_write_concern(journaled)).await;
    assert!(
        said.contains("its touch_write_concern, w=1 and j=true"),
        "{said}"
    );
}

/// Only with the server can it be seen.
#[tokio::test]
async fn write_concerns_that_the_server_cannot_meet_are_refused_by_name() {
    let server = MongoServer::start();
    let set = MongoReplicaSet::start();
    let patience = Duration::from_secs(10);
    let none = [
        (server.patient_uri(), WriteConcern::nodes(2)),
        (server.patient_uri(), WriteConcern::custom("nope")),
        (set.patient_uri(), WriteConcern::nodes(4)),
        (set.patient_uri(), WriteConcern::custom("nope")),
        (set.patient_uri(), WriteConcern::custom("Majority")),
    ];
    for (uri, concern) in none {
        let builder = || MongoStore::builder(&uri).call_timeout(patience);
        let text =
            async |builder: MongoStoreBuilder| builder.connect().await.unwrap_err().to_string();
        let said = text(builder().write_concern(concern.clone())).await;
        assert!(
            said.contains("its write_concern, w=") && said.contains("none that this server takes"),
            "{said}"
        );
        let said = text(builder().touch_write_concern(concern)).await;
        assert!(said.contains("its touch_write_concern, w="), "{said}");
    }
    for concern in [1, 2, 3].map(WriteConcern::nodes) {
        let builder = MongoStore::builder(set.patient_uri()).call_timeout(patience);
        builder
            .touch_write_concern(concern)
            .connect()
            .await
            .unwrap();
    }
}

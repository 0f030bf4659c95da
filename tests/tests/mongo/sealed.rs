//! Sealed values in MongoDB: nobody who reads the server reads them, and nobody who writes to it
//! makes one.

use mongodb::bson::{Bson, Document, doc};
use mongodb::{Client, Collection};
use session_core::{
    OnCorrupt, OnMaxSessions, Session, SessionId, SessionManager, SessionManagerBuilder,
    ValueSealing,
};
use session_mongo::MongoStore;
use session_tests::sealed::{
    SECRET, change, count_and_end, filled, is_refused, ring, write_at_once,
};
use session_tests::servers::MongoServer;
use session_tests::{PATIENCE, open, patient_timeouts};

async fn builder(server: &MongoServer) -> SessionManagerBuilder {
    let store = MongoStore::builder(server.patient_uri()).call_timeout(PATIENCE);
    SessionManager::builder(store.connect().await.unwrap())
        .timeouts(patient_timeouts())
        .on_corrupt(OnCorrupt::Refuse)
}

async fn site(server: &MongoServer, sealing: impl Into<ValueSealing>) -> SessionManager {
    builder(server).await.seal_values(sealing).build().unwrap()
}

async fn documents(server: &MongoServer) -> Collection<Document> {
    let client = Client::with_uri_str(server.patient_uri()).await.unwrap();
    client.database("sessions").collection("sessions")
}

/// What the server has of a session.
async fn document(documents: &Collection<Document>, id: SessionId) -> Document {
    let by_id = doc! { "_id": id.encode() };
    documents.find_one(by_id).await.unwrap().unwrap()
}

fn value(document: &Document, key: &str) -> Bson {
    let data = document.get_document("data").unwrap();
    data.get(key).unwrap().clone()
}

fn holds(document: &Document, part: &str) -> bool {
    let bytes = document.to_vec().unwrap();
    bytes
        .windows(part.len())
        .any(|there| there == part.as_bytes())
}

async fn put(documents: &Collection<Document>, id: SessionId, key: &str, value: Bson) {
    let set = doc! { "$set": { format!("data.{key}"): value } };
    let by_id = doc! { "_id": id.encode() };
    let done = documents.update_one(by_id, set).await.unwrap();
    assert_eq!(done.matched_count, 1);
}

#[tokio::test]
async fn the_server_has_no_value_that_can_be_read() {
    let server = MongoServer::start();
    let documents = documents(&server).await;
    let manager = site(&server, ring(1)).await;
    let (token, id) = filled(&manager, |session| {
        session.sign_in("user:42").unwrap();
        session.insert("diagnosis", SECRET).unwrap();
        session.insert("list", vec!["a secret"; 3]).unwrap();
    })
    .await;
    change(&manager, &token, |session| {
        session
            .modify("list", |list: &mut Option<Vec<String>>| {
                list.as_mut().unwrap().push("one more secret".to_owned());
            })
            .unwrap();
    })
    .await;
    let there = document(&documents, id).await;
    for part in ["secret", r#""a"#, r#"["a"#] {
        assert!(!holds(&there, part), "{part}");
    }
    assert!(holds(&there, "user:42") && holds(&there, "diagnosis"));
    for key in ["diagnosis", "list"] {
        let Bson::Binary(binary) = value(&there, key) else {
            panic!("{key} is text")
        };
        assert_eq!(binary.bytes[..2], [2, 1], "the codec's tag and the format");
    }
    let other = site(&server, ring(1)).await;
    let session = open(&other, &token).await;
    assert_eq!(session.get::<String>("diagnosis").unwrap().unwrap(), SECRET);
    assert_eq!(
        session.get::<Vec<String>>("list").unwrap().unwrap().len(),
        4
    );
}

#[tokio::test]
async fn a_value_that_was_copied_opens_nowhere_else() {
    let server = MongoServer::start();
    let documents = documents(&server).await;
    let manager = site(&server, ring(1)).await;
    let fill = |session: &Session| {
        session.insert("a", SECRET).unwrap();
        session.insert("b", "theirs").unwrap();
    };
    let (token, id) = filled(&manager, fill).await;
    let (other_token, other) = filled(&manager, fill).await;
    let sealed = value(&document(&documents, id).await, "a");
    assert!(!is_refused(&manager, &token).await);
    put(&documents, id, "b", sealed.clone()).await;
    assert!(is_refused(&manager, &token).await);
    put(&documents, other, "a", sealed).await;
    assert!(is_refused(&manager, &other_token).await);
    assert!(is_refused(&site(&server, ring(2)).await, &token).await);
}

#[tokio::test]
async fn keys_rotate_and_values_from_before_are_sealed_when_they_are_written() {
    let server = MongoServer::start();
    let documents = documents(&server).await;
    let plain = builder(&server).await.build().unwrap();
    let (token, id) = filled(&plain, |session| {
        session.sign_in("ann").unwrap();
        session.insert("a", "a secret").unwrap();
        session.insert("b", "another secret").unwrap();
    })
    .await;
    let first = site(&server, ring(1)).await;
    change(&first, &token, |session| {
        assert_eq!(session.get::<String>("a").unwrap().unwrap(), "a secret");
        session.insert("a", "a newer secret").unwrap();
    })
    .await;
    let there = document(&documents, id).await;
    assert!(!holds(&there, "newer") && holds(&there, "another secret"));
    assert!(is_refused(&plain, &token).await);

    let second = site(&server, ring(2).with_older([1; 32]).unwrap()).await;
    change(&second, &token, |session| {
        assert_eq!(session.principal().as_deref(), Some("ann"));
        assert_eq!(
            session.get::<String>("a").unwrap().unwrap(),
            "a newer secret"
        );
        assert_eq!(
            session.get::<String>("b").unwrap().unwrap(),
            "another secret"
        );
        session.insert("a", "the newest secret").unwrap();
        session.insert("b", "sealed").unwrap();
    })
    .await;
    assert!(!holds(&document(&documents, id).await, "secret"));
    let third = site(&server, ValueSealing::new(ring(2)).sealed_only()).await;
    let session = open(&third, &token).await;
    assert_eq!(
        session.get::<String>("a").unwrap().unwrap(),
        "the newest secret"
    );
    assert!(is_refused(&first, &token).await);
}

#[tokio::test]
async fn writers_at_once_lose_nothing() {
    let server = MongoServer::start();
    let documents = documents(&server).await;
    let managers = [site(&server, ring(1)).await, site(&server, ring(1)).await];
    let id = write_at_once(&managers).await;
    assert!(!holds(&document(&documents, id).await, "secret"));
}

#[tokio::test]
async fn sessions_are_counted_and_ended() {
    let server = MongoServer::start();
    let manager = builder(&server).await;
    let manager = manager
        .max_sessions(1, OnMaxSessions::RevokeOldest)
        .seal_values(ValueSealing::new(ring(1)).sealed_only())
        .build()
        .unwrap();
    count_and_end(&manager).await;
}

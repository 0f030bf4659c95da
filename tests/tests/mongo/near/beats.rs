//! The beats: documents that are no sessions, and what a server must have for them.

use std::time::Duration;

use mongodb::Client;
use mongodb::bson::{Document, doc};
use session_core::store::{NearCache, PrincipalIndex, SessionStore};
use session_core::{Ended, Timestamp};
use session_mongo::MongoStore;
use session_tests::servers::{MongoServer, PATIENTLY};
use tokio::time::sleep;

use super::{create, hold, near, now, number, one_node, other};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_takes_a_beat_for_a_session() {
    let server = one_node(MongoServer::builder());
    let store = near(server.patient_uri(), SECOND).connect().await.unwrap();
    let neighbour = near(server.patient_uri(), SECOND).connect().await.unwrap();
    let other = other(server.patient_uri()).await;
    let id = create(&store).await;
    hold(&store, id).await;
    hold(&neighbour, id).await;
    let client = Client::with_uri_str(server.patient_uri()).await.unwrap();
    let sessions = client
        .database("sessions")
        .collection::<Document>("sessions");
    let beats = doc! { "_id": { "$regex": "^near cache " } };
    assert_eq!(sessions.count_documents(beats.clone()).await.unwrap(), 2);

    assert_eq!(other.list_of("user:1", now()).await.unwrap().len(), 1);
    assert_eq!(other.delete_expired(now()).await.unwrap(), 0);
    let ended = Ended::default();
    assert_eq!(other.delete_all_of("user:1", None, ended).await.unwrap(), 1);
    assert_eq!(sessions.count_documents(beats.clone()).await.unwrap(), 2);

    // A beat whose process has ended goes as sessions do; one whose process goes on comes back.
    let later = Timestamp::from_millis(now().as_millis() + 3 * 3_600_000);
    assert!(other.delete_expired(later).await.unwrap() >= 2);
    let id = create(&store).await;
    sleep(SECOND * 2).await;
    hold(&store, id).await;
    assert_eq!(sessions.count_documents(beats).await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_task_ends_with_the_last_clone() {
    let server = one_node(MongoServer::builder());
    let store = near(server.patient_uri(), SECOND / 2)
        .connect()
        .await
        .unwrap();
    let clone = store.clone();
    drop(store);
    let id = create(&clone).await;
    hold(&clone, id).await;
    drop(clone);
    let client = Client::with_uri_str(server.patient_uri()).await.unwrap();
    let sessions = client
        .database("sessions")
        .collection::<Document>("sessions");
    let beat = doc! { "_id": { "$regex": "^near cache " } };
    sleep(SECOND).await;
    let before = sessions.find_one(beat.clone()).await.unwrap();
    sleep(SECOND).await;
    assert_eq!(sessions.find_one(beat).await.unwrap(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_by_itself_has_none() {
    let server = MongoServer::start();
    let error = near(server.patient_uri(), SECOND)
        .connect()
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(text.contains("replica set"), "{text}");
    // Without having asked it is a store as any other.
    let store = near(server.patient_uri(), SECOND).lazy().await.unwrap();
    let id = create(&store).await;
    assert_eq!(number(&store, id).await.unwrap(), Some(0));
    assert_eq!(store.cache_stats().leased, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_who_may_not_watch_is_told_what_is_missing() {
    let server = MongoServer::builder().login("root", "secret").start();
    // Nobody may watch here at all, but the permission is asked for first.
    let role = doc! {
        "createRole": "sessions",
        "privileges": [{
            "resource": { "db": "sessions", "collection": "" },
            "actions": ["find", "insert", "update", "remove", "createIndex"],
        }],
        "roles": [],
    };
    server.command("sessions", role);
    server.command(
        "sessions",
        doc! { "createUser": "app", "pwd": "app", "roles": ["sessions"] },
    );
    let address = server.address();
    let uri = format!("mongodb://app:app@{address}/sessions?{PATIENTLY}");
    let error = near(uri, SECOND).connect().await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("changeStream"), "{text}");
}

#[tokio::test]
async fn leases_that_no_beats_could_hold_up_are_refused() {
    for lease in [Duration::ZERO, SECOND / 11, SECOND * 61] {
        let builder = MongoStore::builder("mongodb://host/").near_cache(NearCache::new(lease));
        let error = builder.lazy().await.unwrap_err().to_string();
        assert!(error.contains("lease"), "{error}");
    }
}

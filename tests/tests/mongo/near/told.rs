//! What others do to a session is told.

use std::time::Duration;

use mongodb::Client;
use mongodb::bson::{DateTime, Document, doc};
use session_core::Ended;
use session_core::store::conformance::Suite;
use session_core::store::{PrincipalIndex, SessionStore};
use session_tests::servers::MongoServer;

use super::{LONG, create, hold, near, number, one_node, other, until, write};
use crate::commands::Watch;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_process_does_is_seen_long_before_the_lease_is_over() {
    // TTL deletions, each second.
    let server = one_node(MongoServer::builder().parameter("ttlMonitorSleepSecs", "1"));
    let store = near(server.patient_uri(), LONG).connect().await.unwrap();
    let other = other(server.patient_uri()).await;
    let client = Client::with_uri_str(server.patient_uri()).await.unwrap();
    let sessions = client
        .database("sessions")
        .collection::<Document>("sessions");
    let ended = Ended::default();

    let id = create(&other).await;
    hold(&store, id).await;
    for n in 1..10 {
        write(&other, id, n).await;
        until(&store, id, Some(n)).await;
        hold(&store, id).await;
    }
    other.delete(&id.into(), ended).await.unwrap();
    until(&store, id, None).await;

    let [one, many, gone, by_ttl] = [
        create(&other).await,
        create(&other).await,
        create(&other).await,
        create(&other).await,
    ];
    for id in [one, many, gone, by_ttl] {
        hold(&store, id).await;
    }
    assert!(other.delete_one_of("user:1", one, ended).await.unwrap());
    until(&store, one, None).await;
    let by_id = |id: session_core::SessionId| doc! { "_id": id.encode() };
    sessions.delete_one(by_id(gone)).await.unwrap();
    until(&store, gone, None).await;
    // That is a change, and so is what the server does then.
    let past = doc! { "$set": { "expires": DateTime::from_millis(1) } };
    sessions.update_one(by_id(by_ttl), past).await.unwrap();
    until(&store, by_ttl, None).await;
    assert_eq!(number(&store, many).await.unwrap(), Some(0));
    other.delete_all_of("user:1", None, ended).await.unwrap();
    until(&store, many, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_costs_no_command() {
    let server = one_node(MongoServer::builder());
    let (client, watch) = Watch::client(&server.patient_uri()).await;
    let store = near(client, LONG).connect().await.unwrap();
    let id = create(&store).await;
    hold(&store, id).await;
    watch.take();
    for _ in 0..1000 {
        assert_eq!(number(&store, id).await.unwrap(), Some(0));
    }
    let sent = watch.take();
    assert!(sent.iter().all(|sent| sent.name != "find"), "{sent:?}");

    // A write of its own is seen at once.
    for n in 1..100 {
        write(&store, id, n).await;
        assert_eq!(number(&store, id).await.unwrap(), Some(n));
    }
    store.delete(&id.into(), Ended::default()).await.unwrap();
    assert_eq!(number(&store, id).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loads_find_what_a_majority_has_and_nothing_older_than_was_told() {
    let server = one_node(MongoServer::builder());
    let (client, watch) = Watch::client(&server.patient_uri()).await;
    let store = near(client, Duration::from_secs(1))
        .connect()
        .await
        .unwrap();
    let id = create(&store).await;
    watch.take();
    number(&store, id).await.unwrap();
    let sent = watch.take();
    let find = sent.iter().find(|sent| sent.name == "find").unwrap();
    let concern = find.command.get_document("readConcern").unwrap();
    assert_eq!(concern.get_str("level").unwrap(), "majority");
    assert!(concern.get_timestamp("afterClusterTime").is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collection_that_is_dropped_ends_all_leases() {
    let server = one_node(MongoServer::builder());
    let store = near(server.patient_uri(), LONG).connect().await.unwrap();
    let client = Client::with_uri_str(server.patient_uri()).await.unwrap();
    let sessions = client
        .database("sessions")
        .collection::<Document>("sessions");
    let id = create(&store).await;
    hold(&store, id).await;
    sessions.drop().await.unwrap();
    until(&store, id, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_with_leases() {
    let server = one_node(MongoServer::builder());
    let store = near(server.patient_uri(), LONG).connect().await.unwrap();
    let suite = Suite::new(|| async { store.clone() }).rounds(40);
    let report = suite.time_limit(LONG * 4).run().await;
    assert!(report.is_success(), "{report}");
    assert!(store.cache_stats().leased > 0, "{:?}", store.cache_stats());
}

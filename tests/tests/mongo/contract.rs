//! The store in MongoDB keeps the contract of stores, wherever its collection comes from.

use std::time::Duration;

use mongodb::bson::{Document, oid::ObjectId};
use mongodb::{Client, Collection};
use session_core::store::conformance::Suite;
use session_mongo::MongoStore;
use session_tests::servers::{MongoReplicaSet, MongoServer, PlainMongo, plain_mongo};

/// Of the cases with random ones; all of them are for one server and one set.
const FEW: u32 = 4;

/// Runs the suite, with all rounds if none are said. The driver's clients belong to the runtime of
/// the test.
async fn check(store: &MongoStore, rounds: Option<u32>) {
    let suite = Suite::new(|| async { store.clone() }).time_limit(Duration::from_secs(240));
    let suite = match rounds {
        Some(rounds) => suite.rounds(rounds),
        None => suite,
    };
    let report = suite.run().await;
    assert!(report.is_success(), "{report}");
}

/// A client to a server of the user's or ours, and the name of a database that nobody has.
async fn client() -> (PlainMongo, Client, String) {
    let server = plain_mongo();
    let client = Client::with_uri_str(server.uri()).await.unwrap();
    (
        server,
        client,
        format!("session_tests_{}", ObjectId::new().to_hex()),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_one_server() {
    let server = MongoServer::start();
    check(
        &MongoStore::connect(server.patient_uri()).await.unwrap(),
        None,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_replica_set() {
    let set = MongoReplicaSet::start();
    check(&MongoStore::connect(set.patient_uri()).await.unwrap(), None).await;

    // What others want to read, and where, is not what sessions need.
    let uri = format!(
        "{}&readConcernLevel=majority&readPreference=secondary",
        set.patient_uri()
    );
    check(&MongoStore::connect(uri).await.unwrap(), Some(FEW)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_client() {
    let (_server, client, name) = client().await;
    let builder = MongoStore::builder(client.clone()).database(&name);
    check(&builder.connect().await.unwrap(), Some(FEW)).await;
    client.database(&name).drop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_database() {
    let (_server, client, name) = client().await;
    let database = client.database(&name);
    let builder = MongoStore::builder(database.clone()).collection("others");
    check(&builder.connect().await.unwrap(), Some(FEW)).await;
    assert_eq!(database.list_collection_names().await.unwrap(), ["others"]);
    database.drop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_collection() {
    let (_server, client, name) = client().await;
    let collection: Collection<Document> = client.database(&name).collection("own");
    let builder = MongoStore::builder(collection.clone());
    check(&builder.connect().await.unwrap(), Some(FEW)).await;
    let names = client
        .database(&name)
        .list_collection_names()
        .await
        .unwrap();
    assert_eq!(names, ["own"]);
    client.database(&name).drop().await.unwrap();
}

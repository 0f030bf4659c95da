//! On MongoDB.

use std::time::Duration;

use mongodb::Client;
use session_mongo::{MongoStore, Source};
use session_tests::servers::MongoServer;
use tokio::runtime::{Builder, Runtime};

use super::counted::counted;
use crate::ran_alone;

fn counts(source: impl Into<Source>, runtime: &Runtime) -> [u64; 2] {
    let builder = MongoStore::builder(source).call_timeout(Duration::from_secs(20));
    let store = runtime.block_on(builder.connect()).unwrap();
    counted(runtime, &store)
}

#[test]
fn allocations_of_a_load_and_an_update() {
    if ran_alone("allocations::mongo::allocations_of_a_load_and_an_update") {
        return;
    }
    let server = MongoServer::start();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let client = runtime.block_on(Client::with_uri_str(server.patient_uri()));
    let source: Source = client.unwrap().into();
    // With the feature `metrics` a client that is made here listens to the driver's connections,
    // and the driver tells of each one that a call takes.
    for (name, source, load, update) in [
        ("a client of the user's own", source, 96, 112),
        ("a URI, with metrics", server.patient_uri().into(), 99, 115),
    ] {
        let [loads, updates] = counts(source, &runtime);
        println!("{name}: load {loads}, update {updates}");
        assert!(
            loads <= load && updates <= update,
            "{name}: load {loads}, update {updates}"
        );
    }
}

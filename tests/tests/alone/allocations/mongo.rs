//! On MongoDB.

use std::time::Duration;

use session_mongo::MongoStore;
use session_tests::servers::MongoServer;
use tokio::runtime::Builder;

use super::counted::counted;
use crate::ran_alone;

fn counts(server: &MongoServer) -> [u64; 2] {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let builder = MongoStore::builder(server.patient_uri()).call_timeout(Duration::from_secs(20));
    let store = runtime.block_on(builder.connect()).unwrap();
    counted(&runtime, &store)
}

#[test]
fn allocations_of_a_load_and_an_update() {
    if ran_alone("allocations::mongo::allocations_of_a_load_and_an_update") {
        return;
    }
    let [loads, updates] = counts(&MongoServer::start());
    println!("load {loads}, update {updates}");
    assert!(
        loads <= 98 && updates <= 113,
        "load {loads}, update {updates}"
    );
}

//! What a load and an update of a session of eight keys allocate, the driver's share in it: budgets
//! that hold.
#![allow(clippy::unwrap_used, reason = "these are tests")]
#![allow(clippy::print_stdout, reason = "the counts are worth seeing")]

#[path = "allocations/counted.rs"]
mod counted;

use std::time::Duration;

use counted::counted;
use session_mongo::MongoStore;
use session_tests::servers::MongoServer;
use tokio::runtime::Builder;

fn counts(server: &MongoServer) -> [u64; 2] {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let builder = MongoStore::builder(server.uri()).deadline(Duration::from_secs(20));
    let store = runtime.block_on(builder.connect()).unwrap();
    counted(&runtime, &store)
}

#[test]
fn allocations_of_a_load_and_an_update() {
    let [loads, updates] = counts(&MongoServer::start());
    println!("load {loads}, update {updates}");
    assert!(
        loads <= 98 && updates <= 112,
        "load {loads}, update {updates}"
    );
}

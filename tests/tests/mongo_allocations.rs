//! What a load and an update of a session of eight keys allocate, the driver's share in it: budgets that hold.
#![allow(clippy::unwrap_used, reason = "these are tests")]
#![allow(clippy::print_stdout, reason = "the counts are worth seeing")]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use session_core::{
    Changes, Codec, Lifetime, Limits, Record, SessionId, SessionStore, Timestamp, Update, Updated,
};
use session_mongo::MongoStore;
use session_tests::servers::MongoServer;
use tokio::runtime::Builder;

const TIMES: u64 = 50;

fn record(now: Timestamp) -> Record {
    let mut record = Record::new(
        SessionId::random().unwrap(),
        "__Host-id",
        Lifetime::default(),
        now,
    );
    for key in [
        "user",
        "cart",
        "visits",
        "theme",
        "locale",
        "zone",
        "seen_banner",
        "last_search",
    ] {
        record = record.with_value(key, Codec::Json.encode(&"some text or other").unwrap());
    }
    record
}

/// Allocations of a load and of an update; what is rare (a buffer that grows, a heartbeat) comes to less than one each.
fn counted(server: &MongoServer) -> [u64; 2] {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let builder = MongoStore::builder(server.uri()).deadline(Duration::from_secs(20));
    let store = runtime.block_on(builder.connect()).unwrap();
    let now: Timestamp = SystemTime::now().into();
    let record = Arc::new(record(now));
    runtime.block_on(store.create(&record, now)).unwrap();
    let key = record.id().into();
    let load = || runtime.block_on(store.load(&key, now)).unwrap().unwrap();
    let update = |update: Update<'_>| {
        let updated = runtime.block_on(store.update(&key, update, now)).unwrap();
        assert!(matches!(updated, Updated::Saved { .. }), "{updated:?}");
    };
    let (mut loads, mut updates) = (0, 0);
    // The first one of each makes the connection.
    for round in 0..=TIMES {
        let mut base = None;
        let loaded = allocation_counter::measure(|| base = Some(load())).count_total;
        let base = base.unwrap();
        let changes = Changes::new().set("visits", Codec::Json.encode(&round).unwrap());
        let after = Arc::new(changes.apply(&base));
        let limits = Limits::default();
        let next = Update {
            record: &after,
            changes: &changes,
            epoch: 0,
            expected: None,
            limits: &limits,
        };
        let updated = allocation_counter::measure(|| update(next)).count_total;
        if round > 0 {
            loads += loaded;
            updates += updated;
        }
    }
    [loads / TIMES, updates / TIMES]
}

#[test]
fn allocations_of_a_load_and_an_update() {
    let [loads, updates] = counted(&MongoServer::start());
    println!("load {loads}, update {updates}");
    assert!(loads <= 98 && updates <= 112, "load {loads}, update {updates}");
}

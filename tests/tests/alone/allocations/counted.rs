//! What a load and an update of a session of eight keys allocate.

use std::sync::Arc;
use std::time::SystemTime;

use session_core::store::{Changes, Record, SessionStore, Update, Updated};
use session_core::{Codec, Lifetime, SessionId, Timestamp};
use tokio::runtime::Runtime;

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

/// Allocations of a load and of an update: the median, since what is rare (a buffer that grows, a
/// heartbeat) happens the more often the slower the machine is.
pub(crate) fn counted(runtime: &Runtime, store: &impl SessionStore) -> [u64; 2] {
    let now: Timestamp = SystemTime::now().into();
    let record = Arc::new(record(now));
    runtime.block_on(store.create(&record, now)).unwrap();
    let key = record.id().into();
    let load = || runtime.block_on(store.load(&key, now)).unwrap().unwrap();
    let update = |update: &Update| {
        let updated = runtime.block_on(store.update(&key, update, now)).unwrap();
        assert!(matches!(updated, Updated::Saved { .. }), "{updated:?}");
    };
    let (mut loads, mut updates) = (Vec::new(), Vec::new());
    // The first one of each makes the connection, and brings the script.
    for round in 0..=TIMES {
        let mut base = None;
        let loaded = allocation_counter::measure(|| base = Some(load())).count_total;
        let base = base.unwrap();
        let changes = Changes::new().set("visits", Codec::Json.encode(&round).unwrap());
        let after = Arc::new(changes.apply(&base));
        let next = Update::new(after, changes, 0).with_base_tag(base.tag());
        let updated = allocation_counter::measure(|| update(&next)).count_total;
        if round > 0 {
            loads.push(loaded);
            updates.push(updated);
        }
    }
    [loads, updates].map(|mut counts| {
        counts.sort_unstable();
        counts[counts.len() / 2]
    })
}

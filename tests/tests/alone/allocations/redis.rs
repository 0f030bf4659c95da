//! On Redis.

use std::time::Duration;

use session_redis::{Layout, RedisStore};
use session_tests::servers::{Engine, RedisServer};
use tokio::runtime::Builder;

use super::counted::counted;
use crate::ran_alone;

fn counts(server: &RedisServer, layout: Layout) -> [u64; 2] {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let patience = Duration::from_secs(20);
    let builder = RedisStore::builder(server.url())
        .layout(layout)
        .call_timeout(patience);
    let store = runtime
        .block_on(builder.connect_timeout(patience).connect())
        .unwrap();
    counted(&runtime, &store)
}

#[test]
fn allocations_of_a_load_and_an_update() {
    if ran_alone("allocations::redis::allocations_of_a_load_and_an_update") {
        return;
    }
    let server = RedisServer::start(Engine::Redis7);
    // Each field costs the driver two.
    for (layout, load, update) in [(Layout::Fields, 39, 6), (Layout::Packed, 11, 7)] {
        let [loads, updates] = counts(&server, layout);
        println!("{layout:?}: load {loads}, update {updates}");
        assert!(
            loads <= load && updates <= update,
            "{layout:?}: load {loads}, update {updates}"
        );
    }
}

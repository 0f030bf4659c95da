//! On Redis.

use std::time::Duration;

use session_redis::{Layout, RedisStore};
use session_tests::servers::{Engine, RedisServer};
use tokio::runtime::Builder;

use super::counted::counted;
use crate::ran_alone;

/// 16 MiB, as if nothing is set.
const CACHE: usize = 16 << 20;

fn counts(server: &RedisServer, layout: Layout, cache: usize) -> [u64; 2] {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let patience = Duration::from_secs(20);
    let builder = RedisStore::builder(server.url())
        .layout(layout)
        .cache_bytes(cache)
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
    // Each field costs the driver two, and short values are copied into one buffer, which costs two
    // and stays. With a cache a load is told that the record is unchanged.
    for (layout, cache, load, update) in [
        (Layout::Fields, 0, 41, 7),
        (Layout::Packed, 0, 11, 8),
        (Layout::Fields, CACHE, 8, 7),
        (Layout::Packed, CACHE, 8, 8),
    ] {
        let [loads, updates] = counts(&server, layout, cache);
        println!("{layout:?}, {cache} bytes: load {loads}, update {updates}");
        assert!(
            loads <= load && updates <= update,
            "{layout:?}, {cache} bytes: load {loads}, update {updates}"
        );
    }
}

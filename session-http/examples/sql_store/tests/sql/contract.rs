//! The store keeps the contract of stores.

use std::time::{Duration, Instant};

use session_core::store::conformance::Suite;

use crate::site::Site;

async fn check(site: Site) {
    let store = site.store("").await;
    let suite = Suite::new(|| async { store.clone() }).time_limit(Duration::from_secs(240));
    let start = Instant::now();
    let report = suite.run().await;
    assert!(report.is_success(), "{report}");
    println!("{}: {:.1?}", site.name(), start.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_sqlite() {
    check(Site::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_postgres() {
    check(Site::postgres()).await;
}

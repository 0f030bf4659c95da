//! The contract of stores, on a real server.

use session_core::conformance::Suite;
use session_redis::RedisStore;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_the_contract() {
    let url = std::env::var("REDIS_URL").unwrap();
    let report = Suite::new(|| async { RedisStore::connect(&url).await.unwrap() })
        .run()
        .await;
    println!("{report}");
    assert!(report.is_success());
}

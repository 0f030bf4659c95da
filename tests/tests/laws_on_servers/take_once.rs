//! On real servers, too, one request only gets a value that is taken now.

use futures_util::future::join_all;
use session_core::{Outcome, SessionManager};
use session_redis::Layout;
use session_tests::{create, open};

use crate::two_stores::{self, TwoStores};

const ROUNDS: u64 = 40;
const REQUESTS: usize = 12;

/// Requests at once over two processes, a third of which write another key.
async fn races(name: &str, stores: TwoStores) {
    let managers = stores.map(SessionManager::new);
    for round in 0..ROUNDS {
        let token = create(&managers[0], [("code", round), ("other", 0)]).await;
        let requests = (0..REQUESTS).map(|who| {
            let (manager, token) = (managers[who % 2].clone(), token.clone());
            tokio::spawn(async move {
                let session = open(&manager, &token).await;
                if who % 3 == 0 {
                    session.insert("other", who).unwrap();
                }
                let taken = session.take_now::<u64>("code").await.unwrap();
                session.finish(Outcome::Success).await.unwrap();
                taken
            })
        });
        let taken = join_all(requests).await.into_iter().map(Result::unwrap);
        let taken: Vec<u64> = taken.flatten().collect();
        assert_eq!(taken, [round], "{name}, round {round}");
        assert_eq!(open(&managers[1], &token).await.keys(), ["other"], "{name}");
    }
}

async fn on_redis(layout: Layout) {
    let (_server, stores) = two_stores::on_redis(layout).await;
    races(&format!("Redis, {layout:?}"), stores).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_redis_in_fields() {
    on_redis(Layout::Fields).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_redis_packed() {
    on_redis(Layout::Packed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_mongodb() {
    let (_server, stores) = two_stores::on_mongodb().await;
    races("MongoDB", stores).await;
}

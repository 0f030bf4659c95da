//! Hundreds of requests of one session at the same time, from two processes, over Redis (law 1).

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use session_core::{Outcome, SessionManager};
use session_redis::RedisStore;
use session_tests::servers::{Engine, RedisServer};
use session_tests::{create, numbers, open};

const CLIENTS: usize = 500;
const REQUESTS: usize = 8;
/// Half of the time after which a commit gives up.
const LONGEST: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_at_once_from_two_processes_all_succeed() {
    let server = RedisServer::start(Engine::Redis7);
    let mut managers = Vec::new();
    for _ in 0..2 {
        managers.push(SessionManager::new(
            RedisStore::connect(server.url()).await.unwrap(),
        ));
    }
    let token = create(&managers[0], [("n", 0)]).await;
    let waits = Arc::new(Mutex::new(Vec::new()));
    let mut clients = Vec::new();
    for client in 0..CLIENTS {
        let (manager, token, waits) = (
            managers[client % 2].clone(),
            token.clone(),
            Arc::clone(&waits),
        );
        clients.push(tokio::spawn(async move {
            for _ in 0..REQUESTS {
                let begun = Instant::now();
                let session = open(&manager, &token).await;
                session
                    .update("n", |n: Option<u64>| n.unwrap_or(0) + 1)
                    .unwrap();
                session.finish(Outcome::Success).await.unwrap();
                waits.lock().unwrap().push(begun.elapsed());
            }
        }));
    }
    for client in clients {
        client.await.unwrap();
    }
    let session = open(&managers[0], &token).await;
    assert_eq!(numbers(&session)["n"], (CLIENTS * REQUESTS) as u64);
    let waits = waits.lock().unwrap();
    let worst = waits.iter().max().copied().unwrap_or_default();
    assert!(worst < LONGEST, "{worst:?}");
}

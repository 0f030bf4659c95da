//! A sign-out on one node while many requests read on another.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use session_core::store::NearCache;
use session_core::{Outcome, SessionManager};
use session_mongo::MongoStore;
use session_tests::servers::MongoServer;
use session_tests::{PATIENCE, open, patient, sign_in};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::one_node;

const LEASE: Duration = Duration::from_millis(500);
const READERS: usize = 64;

async fn node(server: &MongoServer, near: Option<NearCache>) -> SessionManager {
    let builder = MongoStore::builder(server.patient_uri()).call_timeout(PATIENCE);
    let builder = match near {
        Some(near) => builder.near_cache(near),
        None => builder,
    };
    patient(builder.connect().await.unwrap())
}

/// How long after a sign-out on one node had returned another one last answered as signed in: the
/// latest begin of such a request. Nothing, if none began after that.
async fn signed_in_after(out: &SessionManager, read: &SessionManager) -> Duration {
    let (token, _) = sign_in(out, "user:1").await;
    let over = Arc::new(AtomicBool::new(false));
    let mut readers = JoinSet::new();
    for _ in 0..READERS {
        let (read, token, over) = (read.clone(), token.clone(), Arc::clone(&over));
        readers.spawn(async move {
            let mut last = Instant::now();
            while !over.load(Ordering::Relaxed) {
                let began = Instant::now();
                if open(&read, &token).await.principal().is_some() {
                    last = began;
                }
                tokio::task::yield_now().await;
            }
            last
        });
    }
    sleep(LEASE).await;
    let session = open(out, &token).await;
    session.destroy().unwrap();
    session.finish(Outcome::Success).await.unwrap();
    let signed_out = Instant::now();
    sleep(LEASE * 2).await;
    over.store(true, Ordering::Relaxed);
    let last = readers.join_all().await.into_iter().max().unwrap();
    last.saturating_duration_since(signed_out)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_request_that_is_answered_as_signed_in() {
    let server = one_node(MongoServer::builder());
    let near = NearCache::new(LEASE);
    for (what, near, most) in [
        ("without a near cache", None, Duration::ZERO),
        ("near cache", Some(near), LEASE),
        (
            "waiting ends",
            Some(near.with_waiting_ends()),
            Duration::ZERO,
        ),
    ] {
        let (out, read) = (node(&server, near).await, node(&server, near).await);
        let mut longest = Duration::ZERO;
        for _ in 0..5 {
            longest = longest.max(signed_in_after(&out, &read).await);
        }
        println!("{what}: {longest:?} after the sign-out");
        assert!(longest <= most, "{what}: {longest:?}");
    }
}

//! From MongoDB to Redis while people use the site.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use session_core::store::conformance::Suite;
use session_core::store::{MigratingStore, PrincipalIndex, SessionStore};
use session_core::{Outcome, SessionManager};
use session_mongo::MongoStore;
use session_redis::RedisStore;
use session_tests::servers::{Engine, MongoServer, RedisServer};
use session_tests::{MigratingSite, PATIENCE, anonymous, open, patient, token_of};

const VISITORS: usize = 40;

/// One person's browser, two tabs of it, until the site has moved.
async fn visit(
    managers: Arc<Vec<SessionManager>>,
    phase: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    at: usize,
) -> (String, u64) {
    let first = &managers[0];
    let session = anonymous(first).await;
    session.sign_in(&format!("user:{at}")).unwrap();
    session.insert("n", 0).unwrap();
    let token = token_of(&session.finish(Outcome::Success).await.unwrap());
    let mut acknowledged = 0;
    for step in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        // Nodes are changed one after the other: there are always two kinds.
        let phase = phase.load(Ordering::Relaxed) as usize;
        let tabs = [phase, phase + 1].map(|node| {
            let manager = managers[node.min(managers.len() - 1)].clone();
            let token = token.clone();
            async move {
                let session = open(&manager, &token).await;
                assert!(
                    !session.is_new(),
                    "visitor {at} was signed out at step {step}, node {node}"
                );
                assert_eq!(session.principal().as_deref(), Some(&*format!("user:{at}")));
                session
                    .update("n", |n: Option<u64>| n.unwrap_or(0) + 1)
                    .unwrap();
                session.insert(&format!("step-{}", step % 5), step).unwrap();
                session.finish(Outcome::Success).await.unwrap();
            }
        });
        let [one, two] = tabs;
        futures_util::future::join(one, two).await;
        acknowledged += 2;
    }
    (token, acknowledged)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_mongo_to_redis_under_load_nobody_is_signed_out() {
    let (mongo, redis) = (MongoServer::start(), RedisServer::start(Engine::Redis7));
    let old = || async {
        let builder = MongoStore::builder(mongo.patient_uri()).call_timeout(PATIENCE);
        Arc::new(builder.connect().await.unwrap())
    };
    let new = || async {
        Arc::new(
            RedisStore::builder(redis.url())
                .call_timeout(PATIENCE)
                .connect()
                .await
                .unwrap(),
        )
    };
    let managers = Arc::new(vec![
        patient(old().await),
        patient(
            MigratingStore::new(new().await, old().await)
                .unwrap()
                .standing_by(),
        ),
        patient(MigratingStore::new(new().await, old().await).unwrap()),
        patient(new().await),
    ]);
    let (phase, stop) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let visitors: Vec<_> = (0..VISITORS)
        .map(|at| {
            tokio::spawn(visit(
                Arc::clone(&managers),
                Arc::clone(&phase),
                Arc::clone(&stop),
                at,
            ))
        })
        .collect();
    for next in 0..=2 {
        phase.store(next, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(2)).await;
        if next == 1 {
            // Everybody has been active; what is left in the old store would be idle.
            let store = old().await;
            for at in 0..VISITORS {
                let left = store.list_of(&format!("user:{at}"), now()).await.unwrap();
                assert!(left.is_empty(), "visitor {at} has not moved");
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    let mut requests = 0;
    for visitor in visitors {
        let (token, acknowledged) = visitor.await.unwrap();
        let session = open(&managers[3], &token).await;
        assert_eq!(
            session.get::<u64>("n").unwrap(),
            Some(acknowledged),
            "updates are lost"
        );
        requests += acknowledged;
    }
    println!("{VISITORS} visitors, {requests} requests, nobody signed out, nothing lost");
    assert!(requests > 1_000, "{requests} requests are no load");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_on_servers_both_ways() {
    let (mongo, redis) = (MongoServer::start(), RedisServer::start(Engine::Redis7));
    let stores = || async {
        let mongo = MongoStore::builder(mongo.patient_uri())
            .call_timeout(PATIENCE)
            .connect();
        let redis = RedisStore::builder(redis.url())
            .call_timeout(PATIENCE)
            .connect();
        let (mongo, redis) = (mongo.await.unwrap(), redis.await.unwrap());
        let both: [Arc<dyn SessionStore>; 2] = [Arc::new(mongo), Arc::new(redis)];
        both
    };
    for back in [false, true] {
        let factory = || async {
            let [old, new] = stores().await;
            let (new, old) = if back { (old, new) } else { (new, old) };
            // Whatever is created lies in the old store, and half of what comes then moves it.
            MigratingSite::over(new, old, 1).with(0, 5)
        };
        let report = Suite::new(factory).rounds(4).run().await;
        assert!(report.is_success(), "back {back}: {report}");
    }
}

fn now() -> session_core::Timestamp {
    std::time::SystemTime::now().into()
}

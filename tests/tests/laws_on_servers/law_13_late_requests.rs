//! Law 13 on real servers, by two processes: pages that are under way while a session changes
//! hands, and what is left of a session that has ended.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use session_core::store::SessionStore;
use session_core::{Directive, EndReason, Outcome, SessionGuard, SessionManager};
use session_mongo::MongoStore;
use session_redis::{Layout, RedisStore};
use session_tests::servers::{Engine, MongoServer, RedisCluster, RedisServer};
use session_tests::{PATIENCE, Rng, open, patient, sign_in};

const ROUNDS: u64 = 400;

type Managers = [SessionManager; 2];

fn managers(stores: [Arc<dyn SessionStore>; 2]) -> Managers {
    stores.map(patient)
}

async fn redis(url: &str, layout: Layout) -> Managers {
    let store = async || {
        let builder = RedisStore::builder(url)
            .call_timeout(PATIENCE)
            .layout(layout);
        Arc::new(builder.connect().await.unwrap()) as Arc<dyn SessionStore>
    };
    managers([store().await, store().await])
}

async fn mongo(server: &MongoServer) -> Managers {
    let store = async || {
        let builder = MongoStore::builder(server.patient_uri()).call_timeout(PATIENCE);
        Arc::new(builder.connect().await.unwrap()) as Arc<dyn SessionStore>
    };
    managers([store().await, store().await])
}

/// A browser's cookie, as the answers change it in the order in which they arrive.
#[derive(Clone, Default)]
struct Jar(Arc<Mutex<Option<String>>>);

impl Jar {
    fn hears(&self, directive: &Directive) {
        match directive {
            Directive::Hold(token) => *self.0.lock().unwrap() = Some(token.as_str().to_owned()),
            Directive::Forget => *self.0.lock().unwrap() = None,
            Directive::Nothing => {}
        }
    }

    async fn open(&self, manager: &SessionManager) -> SessionGuard {
        let token = self.0.lock().unwrap().clone();
        let tokens: Vec<_> = token.as_deref().into_iter().collect();
        manager.begin(&tokens).await.unwrap()
    }
}

/// How Ann's session ends before Bob signs in.
#[derive(Clone, Copy, Debug)]
enum End {
    /// Bob signs in in its place.
    Exchange,
    SignOut,
    /// From elsewhere.
    Everywhere,
}

/// A page that counts its views: it begins a session where there is none. Whether Ann was signed
/// in.
async fn view(manager: SessionManager, jar: Jar, token: String, pause: Duration) -> bool {
    let arrived = manager.now();
    // The timer knows nothing shorter than a millisecond.
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
    let session = manager.begin_at(&[token.as_str()], arrived).await.unwrap();
    session
        .update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1)
        .unwrap();
    let was_ann = session.principal().is_some();
    jar.hears(&session.finish(Outcome::Success).await.unwrap());
    was_ann
}

/// Bob signs in in the place of Ann, or after her session has ended. Returns how long it took.
async fn switch(manager: SessionManager, jar: Jar, end: End) -> Duration {
    let start = Instant::now();
    match end {
        End::Exchange => {}
        End::SignOut => {
            let session = jar.open(&manager).await;
            session.destroy().unwrap();
            jar.hears(&session.finish(Outcome::Success).await.unwrap());
        }
        End::Everywhere => {
            manager.sign_out_everywhere("ann").await.unwrap();
        }
    }
    let session = jar.open(&manager).await;
    session.sign_in("bob").unwrap();
    jar.hears(&session.finish(Outcome::Success).await.unwrap());
    start.elapsed()
}

/// How often Bob was not the one who was signed in afterwards. Pages come before the end and after
/// it: each waits for up to twice as long as the session took to change hands in the last round.
async fn changes_hands(managers: &Managers, views: usize, end: End) -> usize {
    let (mut lost, mut before, mut after) = (0, 0, 0);
    let mut took = Duration::ZERO;
    for round in 0..ROUNDS {
        let jar = Jar::default();
        let (token, _) = sign_in(&managers[0], "ann").await;
        *jar.0.lock().unwrap() = Some(token.clone());
        let rng = Rng::new(round);
        let switching = tokio::spawn(switch(managers[0].clone(), jar.clone(), end));
        let mut all = Vec::new();
        let longest = (2 * took.as_millis() as usize).max(3);
        for at in 0..views {
            let pause = Duration::from_millis(rng.below(longest + 1) as u64);
            let manager = managers[(at + 1) % 2].clone();
            all.push(tokio::spawn(view(
                manager,
                jar.clone(),
                token.clone(),
                pause,
            )));
        }
        for was_ann in join_all(all).await {
            *if was_ann.unwrap() {
                &mut before
            } else {
                &mut after
            } += 1;
        }
        took = switching.await.unwrap();
        let signed_in = jar.open(&managers[1]).await;
        lost += usize::from(signed_in.principal().as_deref() != Some("bob"));
    }
    assert!(
        before > 10 && after > 10,
        "{before} pages before, {after} after"
    );
    lost
}

/// What ends on one server is told by the other one.
async fn ends_are_told(managers: &Managers) {
    let (token, id) = sign_in(&managers[0], "carol").await;
    assert_eq!(managers[1].sign_out_everywhere("carol").await.unwrap(), 1);
    assert!(managers[0].sessions_of("carol").await.unwrap().is_empty());
    let ended = managers[0].why_ended(id).await.unwrap().unwrap();
    assert_eq!(ended.reason, EndReason::Revoked);
    let session = open(&managers[0], &token).await;
    session.insert("a", 1).unwrap();
    assert_eq!(
        session.finish(Outcome::Success).await.unwrap(),
        Directive::Nothing
    );
    let (token, id) = sign_in(&managers[0], "carol").await;
    let session = open(&managers[1], &token).await;
    session.destroy().unwrap();
    assert_eq!(
        session.finish(Outcome::Success).await.unwrap(),
        Directive::Forget
    );
    let ended = managers[0].why_ended(id).await.unwrap().unwrap();
    assert_eq!(ended.reason, EndReason::Destroyed);
}

async fn law_13(name: &str, managers: &Managers) {
    ends_are_told(managers).await;
    let start = Instant::now();
    for views in [1, 3] {
        for end in [End::Exchange, End::SignOut, End::Everywhere] {
            let lost = changes_hands(managers, views, end).await;
            assert_eq!(lost, 0, "{name}, {views} views, {end:?}");
        }
    }
    println!(
        "{name}: {ROUNDS} rounds six times, nobody lost a sign-in, {:.1?}",
        start.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redis_with_a_field_a_value() {
    let server = RedisServer::start(Engine::Redis7);
    law_13("Redis, fields", &redis(&server.url(), Layout::Fields).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redis_packed() {
    let server = RedisServer::start(Engine::Redis7);
    law_13("Redis, packed", &redis(&server.url(), Layout::Packed).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redis_cluster() {
    let cluster = RedisCluster::start(Engine::Redis7);
    law_13(
        "Redis Cluster",
        &redis(&cluster.url(), Layout::Fields).await,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn mongodb() {
    let server = MongoServer::start();
    law_13("MongoDB", &mongo(&server).await).await;
}

//! Sessions that are bound to a device, by two managers with connections of their own: bound by the
//! one and proved by the other, while the token rotates.

use std::time::Duration;

use futures_util::future::join_all;
use session_core::{
    DeviceBinding, DeviceKey, Directive, Outcome, Rotation, SessionGuard, SessionManager,
};
use session_tests::anonymous;
use session_tests::servers::{Engine, MongoServer, RedisCluster, RedisServer};

use crate::site::{Site, mongo, redis};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// A browser with a device: what it presents, and what its device has to sign next.
#[derive(Clone)]
struct Browser {
    token: String,
    proof: String,
    challenge: String,
    /// What it knows the binding by.
    name: String,
}

impl Browser {
    async fn open(&self, manager: &SessionManager) -> SessionGuard {
        let (tokens, proofs) = ([self.token.as_str()], [self.proof.as_str()]);
        let begun = manager.begin_with_proofs(&tokens, &proofs, manager.now());
        begun.await.unwrap()
    }

    /// Signs in at one process, and is bound at the other.
    async fn bound([one, other]: &[SessionManager; 2], key: DeviceKey) -> Self {
        let guard = anonymous(one).await;
        guard.sign_in("user:1").unwrap();
        let directive = guard.finish(Outcome::Success).await.unwrap();
        let Directive::Hold(token) = directive else {
            panic!("no token")
        };
        let guard = other.begin(&[token.as_str()]).await.unwrap();
        let challenge = token.device_challenge().unwrap();
        let bound = guard.bind_device_now(key, challenge).await.unwrap();
        let browser = Self {
            token: token.as_str().to_owned(),
            proof: bound.proof(),
            challenge: bound.challenge().unwrap(),
            name: bound.name(),
        };
        guard.finish(Outcome::Success).await.unwrap();
        browser
    }

    /// Proves the device again; its key was checked before.
    async fn refresh(&mut self, manager: &SessionManager, key: DeviceKey) {
        let now = manager.now();
        let bound = manager
            .bound_session(&[self.token.as_str()], &self.name, now)
            .await
            .unwrap();
        let bound = bound.unwrap();
        assert_eq!(bound.key(), key);
        if !bound.accepts_challenge(&self.challenge) {
            self.challenge = bound.challenge().unwrap();
            assert!(bound.accepts_challenge(&self.challenge));
        }
        self.proof = bound.proof();
        self.challenge = bound.challenge().unwrap();
    }
}

/// Many requests at the moment at which the proof is over: some with the former one, which is good
/// for a while, and two that get the next one at the same time. The token rotates beside it.
async fn expiries(site: &Site, rounds: usize) {
    let managers = site.managers(|builder| {
        builder
            .rotation(Rotation::every(SECOND))
            .bound(DeviceBinding::require())
    });
    let key = DeviceKey::from_bytes([7; 64]);
    let mut browser = Browser::bound(&managers, key).await;
    let stolen = browser.token.clone();
    for round in 0..rounds {
        let name = format!("{}, round {round}", site.name);
        site.clock.advance(10 * MINUTE);
        let requests = (0..12).map(|who| {
            let (managers, mut browser) = (managers.clone(), browser.clone());
            let name = name.clone();
            tokio::spawn(async move {
                if who % 6 == 0 {
                    browser.refresh(&managers[who / 6], key).await;
                }
                let session = browser.open(&managers[who % 2]).await;
                assert_eq!(session.principal().as_deref(), Some("user:1"), "{name}");
                session.insert(&format!("own{who}"), round).unwrap();
                match session.finish(Outcome::Success).await.unwrap() {
                    Directive::Hold(token) => browser.token = token.as_str().to_owned(),
                    Directive::Nothing => {}
                    Directive::Forget => panic!("{name}: told to forget"),
                }
                (browser, who)
            })
        });
        let told = join_all(requests).await.into_iter().map(Result::unwrap);
        let told: Vec<_> = told.collect();
        let successors = told
            .iter()
            .filter(|(other, _)| other.token != browser.token);
        let successors: Vec<_> = successors.map(|(other, _)| other.token.clone()).collect();
        // More than one if the requests took more than a second: each of them is good.
        assert!(!successors.is_empty(), "{name}: no successor");
        browser = told[0].0.clone();
        browser.token = successors.last().unwrap().clone();
        // Nobody gets in by the token alone, new or old.
        for token in [&browser.token, &stolen] {
            let session = managers[1].begin(&[token]).await.unwrap();
            assert!(session.is_new(), "{name}");
            session.insert("own0", "forged").unwrap();
            session.destroy().unwrap();
            let told = session.finish(Outcome::Success).await.unwrap();
            assert_eq!(told, Directive::Nothing, "{name}");
        }
    }
    let session = browser.open(&managers[0]).await;
    for who in 0..12 {
        assert_eq!(session.get(&format!("own{who}")).unwrap(), Some(rounds - 1));
    }
    assert_eq!(managers[0].sessions_of("user:1").await.unwrap().len(), 1);
    println!(
        "{}: {rounds} proofs were over under 12 requests each",
        site.name
    );
    managers[0].sign_out_everywhere("user:1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_redis() {
    let server = RedisServer::start(Engine::Redis7);
    expiries(&Site::new("Redis", redis(server.url()).await), 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_redis_cluster() {
    let cluster = RedisCluster::start(Engine::Redis7);
    expiries(&Site::new("Redis Cluster", redis(cluster.url()).await), 50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_mongodb() {
    let server = MongoServer::start();
    expiries(&Site::new("MongoDB", mongo(&server).await), 50).await;
}

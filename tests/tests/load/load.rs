//! The load, by way of the session manager, on whatever `super::site::Site` starts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use session_core::store::RecordKey;
use session_core::{
    Clock, Codec, Directive, Ended, Outcome, SessionError, SessionId, SessionManager, SystemClock,
};
use session_tests::{Rng, anonymous, open, patient_timeouts, token_of};
use tokio::task::JoinSet;

use super::client::Client;
use super::is_session;
use super::site::Site;

pub(crate) const PREFIX: &str = "load:";
const TASKS: usize = 64;

/// How much, and of what.
#[derive(Clone, Copy, Debug)]
struct Load {
    managers: usize,
    sessions: usize,
    requests: usize,
    codec: Codec,
    seed: u64,
}

/// What happened in all.
#[derive(Debug, Default)]
struct Figures {
    /// How often a closure ran anew: somebody else had been faster.
    conflicts: AtomicU64,
    gone: AtomicU64,
    strangers: AtomicU64,
    renewed: AtomicU64,
    ended: AtomicU64,
}

/// The servers' side, and the clients.
struct World {
    managers: Vec<SessionManager>,
    /// The sessions by place; the next one takes the place of one that has ended.
    clients: Vec<Mutex<Arc<Client>>>,
    ended: Mutex<Vec<Arc<Client>>>,
    order: AtomicU64,
    figures: Figures,
}

pub(crate) async fn manager(site: &Site, codec: Codec) -> SessionManager {
    let builder = SessionManager::builder(site.store(PREFIX).await);
    builder
        .codec(codec)
        .timeouts(patient_timeouts())
        .build()
        .unwrap()
}

/// Every other session is never ended, so that what was acknowledged adds up; the rest are renewed
/// and ended, some with all of their principal.
const fn has_principal(place: usize) -> bool {
    place % 4 == 3
}

const fn stays(place: usize) -> bool {
    place.is_multiple_of(2)
}

async fn fresh(manager: &SessionManager, place: usize) -> Client {
    let session = anonymous(manager).await;
    session.insert("n", 0).unwrap();
    // Nobody else's, so that the end of all of them is the end of this one.
    let principal =
        has_principal(place).then(|| format!("user:{}", SessionId::random().unwrap().encode()));
    if let Some(principal) = &principal {
        session.sign_in(principal).unwrap();
    }
    let token = token_of(&session.finish(Outcome::Success).await.unwrap());
    Client::new(session.id().unwrap(), principal, token)
}

impl World {
    fn client(&self, place: usize) -> Arc<Client> {
        Arc::clone(&self.clients[place].lock().unwrap())
    }

    fn now(&self) -> u64 {
        self.order.fetch_add(1, Ordering::SeqCst)
    }

    async fn request(&self, who: usize, number: u64, rng: &Rng) {
        let manager = &self.managers[rng.below(self.managers.len())];
        let place = rng.below(self.clients.len());
        let client = self.client(place);
        match rng.below(100) {
            0..=3 if !stays(place) => return self.end(manager, place, &client).await,
            4..=5 if !stays(place) => return self.renew(manager, &client).await,
            _ => {}
        }
        let begin = self.now();
        let ended_before = client.ended.load(Ordering::SeqCst);
        let session = open(manager, &client.token()).await;
        if session.is_new() {
            assert!(
                client.may_be_a_stranger(),
                "a session that nobody ended is gone"
            );
            self.figures.strangers.fetch_add(1, Ordering::Relaxed);
            return;
        }
        assert!(!ended_before, "a session that has ended is opened");
        let (own, value) = (format!("own{who}"), number + 1);
        if session.id() == Some(client.id) {
            // This task alone writes it, and waits for each answer.
            assert_eq!(
                session.get(&own).unwrap(),
                client.inserted(&own),
                "an acknowledged insert is not there"
            );
        }
        let runs = Arc::new(AtomicU64::new(0));
        let (add, insert, last) = (rng.below(10) < 5, rng.below(10) < 3, rng.below(10) < 1);
        if add {
            let runs = Arc::clone(&runs);
            let add = move |n: Option<u64>| {
                runs.fetch_add(1, Ordering::Relaxed);
                n.unwrap() + 1
            };
            session.update("n", add).unwrap();
        }
        if insert {
            session.insert(&own, value).unwrap();
        }
        if last {
            session.insert("last", value).unwrap();
        }
        for _ in 0..rng.below(3) {
            tokio::task::yield_now().await;
        }
        // A commit passes where a save says that the session has gone.
        let saved = match stays(place) {
            true => Ok(()),
            false => session.save().await,
        };
        let ended = client.ended.load(Ordering::SeqCst);
        let directive = session.finish(Outcome::Success).await.unwrap();
        assert!(
            matches!(directive, Directive::Nothing),
            "{directive:?}, after its end: {ended}"
        );
        self.figures.conflicts.fetch_add(
            runs.load(Ordering::Relaxed).saturating_sub(1),
            Ordering::Relaxed,
        );
        match saved {
            Ok(()) => {
                if add {
                    client.was_added();
                }
                if insert {
                    client.was_inserted(&own, value);
                }
                if last {
                    client.was_last(begin, self.now(), value);
                }
            }
            Err(SessionError::Gone) => {
                assert!(
                    client.may_be_a_stranger(),
                    "a session that nobody ended is gone"
                );
                self.figures.gone.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => panic!("{error}"),
        }
    }

    async fn renew(&self, manager: &SessionManager, client: &Client) {
        client.renewing.store(true, Ordering::SeqCst);
        let session = open(manager, &client.token()).await;
        session.renew().unwrap();
        tokio::task::yield_now().await;
        let ended = client.ended.load(Ordering::SeqCst);
        match session.finish(Outcome::Success).await.unwrap() {
            Directive::Hold(token) => {
                assert!(!ended, "a token for a session that had ended");
                client.hold(token.as_str());
                self.figures.renewed.fetch_add(1, Ordering::Relaxed);
            }
            Directive::Nothing => {}
            Directive::Forget => panic!("nobody ended it here"),
        }
    }

    async fn end(&self, manager: &SessionManager, place: usize, client: &Arc<Client>) {
        client.ending.store(true, Ordering::SeqCst);
        match &client.principal {
            Some(principal) => {
                manager
                    .store()
                    .principals()
                    .unwrap()
                    .delete_all_of(principal, None, Ended::default())
                    .await
                    .unwrap();
            }
            None => {
                let session = open(manager, &client.token()).await;
                if session.is_new() {
                    return; // another one was faster, or has renewed the token
                }
                session.destroy().unwrap();
                assert_eq!(
                    session.finish(Outcome::Success).await.unwrap(),
                    Directive::Forget
                );
            }
        }
        let first = !client.ended.swap(true, Ordering::SeqCst);
        if first {
            self.figures.ended.fetch_add(1, Ordering::Relaxed);
            self.ended.lock().unwrap().push(Arc::clone(client));
            let next = Arc::new(fresh(manager, place).await);
            *self.clients[place].lock().unwrap() = next;
        }
    }

    /// What has ended is nowhere; what lives holds what was acknowledged.
    async fn check(&self, site: &Site) {
        let truth = site.truth(PREFIX);
        let now = SystemClock.now();
        let ended = self.ended.lock().unwrap().clone();
        for client in ended {
            assert!(
                !is_session(&truth, client.id),
                "an ended session is back: {client:?}"
            );
            let manager = &self.managers[0];
            let found = manager
                .store()
                .load(&RecordKey::Id(client.id), now)
                .await
                .unwrap();
            assert!(found.is_none_or(|record| record.ended().is_some()));
            assert!(open(manager, &client.token()).await.is_new());
        }
        for place in 0..self.clients.len() {
            let client = self.client(place);
            assert!(
                is_session(&truth, client.id),
                "a session that nobody ended is gone: {client:?}"
            );
            let session = open(&self.managers[0], &client.token()).await;
            assert_eq!(session.id(), Some(client.id));
            client.check(&session);
        }
        assert!(truth.lost(0).is_empty(), "{truth:?}");
    }
}

async fn run(site: &Site, load: Load) {
    site.empty();
    let mut managers = Vec::new();
    for _ in 0..load.managers {
        managers.push(manager(site, load.codec).await);
    }
    let mut clients = Vec::new();
    for place in 0..load.sessions {
        clients.push(Mutex::new(Arc::new(fresh(&managers[0], place).await)));
    }
    let world = Arc::new(World {
        managers,
        clients,
        ended: Mutex::default(),
        order: AtomicU64::new(0),
        figures: Figures::default(),
    });
    let left = Arc::new(AtomicU64::new(load.requests as u64));
    let begin = Instant::now();
    let mut tasks = JoinSet::new();
    for who in 0..TASKS {
        let (world, left, rng) = (
            world.clone(),
            left.clone(),
            Rng::new(load.seed * 1_000 + who as u64),
        );
        tasks.spawn(async move {
            while let Ok(left) = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            }) {
                world.request(who, left, &rng).await;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let took = begin.elapsed();
    let figures = &world.figures;
    println!(
        "{}, {load:?}: {:.0} requests/s, {figures:?}",
        site.name(),
        load.requests as f64 / took.as_secs_f64()
    );
    assert!(
        figures.ended.load(Ordering::Relaxed) > 0 && figures.gone.load(Ordering::Relaxed) > 0,
        "no race"
    );
    assert!(figures.conflicts.load(Ordering::Relaxed) > 0, "no race");
    let begin = Instant::now();
    world.check(site).await;
    // Nor does it come back by something that was still under way.
    while begin.elapsed() < Duration::from_secs(2) {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let truth = site.truth(PREFIX);
        let ended = world.ended.lock().unwrap().clone();
        assert!(
            !ended.iter().any(|client| is_session(&truth, client.id)),
            "it is back"
        );
    }
    world.check(site).await;
}

pub(crate) async fn seeds(
    site: &Site,
    loads: impl IntoIterator<Item = (usize, usize, usize, Codec)>,
) {
    for (seed, (managers, sessions, requests, codec)) in loads.into_iter().enumerate() {
        let seed = seed as u64 + 1;
        run(
            site,
            Load {
                managers,
                sessions,
                requests,
                codec,
                seed,
            },
        )
        .await;
    }
}

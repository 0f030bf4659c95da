//! Law 10: parallel requests at the instant of a rotation all stay signed in, agree on one
//! successor, and leave one session (S16).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use session_core::{
    Directive, Event, EventKind, KeyRing, Lifetime, OnReuse, Outcome, Rotation, SessionManager,
    SessionManagerBuilder,
};
use session_tests::sim::pause;
use session_tests::story::clock;
use session_tests::{Backend, Call, Counts, Fault, FaultStore, Sim, create, open, stage, token_of};

const TTL: Duration = Duration::from_secs(5);
const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn rotating(builder: SessionManagerBuilder) -> SessionManagerBuilder {
    builder
        .rotation(Rotation::default())
        .on_reuse(OnReuse::Revoke)
}

fn keys() -> KeyRing {
    KeyRing::new([7; 32]).unwrap()
}

/// What a request does and what it was told; `None` if it was not signed in.
async fn request(manager: SessionManager, token: String, who: usize) -> Option<Directive> {
    let session = open(&manager, &token).await;
    let known = !session.is_new() && session.principal().as_deref() == Some("user:1");
    pause().await;
    match who % 4 {
        0 => session.insert(&format!("own{who}"), who).unwrap(),
        1 => {
            session
                .update("sum", |sum: Option<u64>| sum.unwrap_or(0) + 1)
                .unwrap();
        }
        _ => {}
    }
    let told = session.finish(Outcome::Success).await.unwrap();
    known.then_some(told)
}

async fn signed_in(manager: &SessionManager) -> String {
    let session = manager.begin(&[]).await.unwrap();
    session.sign_in("user:1").unwrap();
    token_of(&session.finish(Outcome::Success).await.unwrap())
}

/// Rounds of fifty requests at the instant when a rotation is due, on two processes.
fn fifty_at_once(backend: Backend, seed: u64, rounds: usize) {
    let mut sim = Sim::new(seed);
    let store = backend.yielding(seed);
    let build = |keys: Option<KeyRing>| {
        let builder = rotating(SessionManager::builder(Arc::clone(&store)).clock(sim.clock()));
        match keys {
            Some(keys) => builder.keys(keys).build().unwrap(),
            None => builder.build().unwrap(),
        }
    };
    let signed = seed.is_multiple_of(2);
    let processes = [build(signed.then(keys)), build(signed.then(keys))];
    let mut token = sim.block_on(signed_in(&processes[0]));
    for round in 1..=rounds {
        sim.clock().advance(TTL);
        let outputs: Vec<_> = (0..50)
            .map(|who| sim.spawn(request(processes[who % 2].clone(), token.clone(), who)))
            .collect();
        sim.run();
        let mut successors = Vec::new();
        for output in outputs {
            match output.take() {
                Some(Directive::Hold(new)) => successors.push(new.as_str().to_owned()),
                Some(Directive::Nothing) => {}
                told => panic!("{backend:?}, seed {seed}, round {round}: {told:?}"),
            }
        }
        assert_eq!(
            successors.len(),
            1,
            "{backend:?}, seed {seed}, round {round}"
        );
        sim.block_on(async {
            let old = open(&processes[0], &token).await;
            let new = open(&processes[1], &successors[0]).await;
            assert_eq!(
                old.id(),
                new.id(),
                "{backend:?}, seed {seed}, round {round}"
            );
            assert_eq!(new.len(), 14, "thirteen keys and the sum");
            assert_eq!(
                new.get("sum").unwrap(),
                Some(13 * round),
                "{backend:?}, seed {seed}"
            );
            let all = processes[0].sessions_of("user:1").await.unwrap();
            assert_eq!(all.len(), 1);
        });
        token = successors.remove(0);
    }
}

#[test]
fn fifty_requests_at_the_instant_of_a_rotation_agree_on_one_successor() {
    for backend in Backend::SERVER {
        (0..250).for_each(|seed| fifty_at_once(backend, seed, 4));
    }
}

/// A browser: what it holds is what the last response that arrived has told it.
struct Browser {
    holds: String,
    /// Responses on their way, with the time when they left.
    coming: Vec<(session_core::Timestamp, Option<String>)>,
}

/// A browser over a bad network: requests at once, responses that overtake each other or are lost.
/// It is never thrown out, and never taken for a thief.
fn over_a_bad_network(backend: Backend, seed: u64) {
    let mut sim = Sim::new(seed);
    let store = backend.yielding(seed);
    let thefts = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&thefts);
    let builder = rotating(SessionManager::builder(store).clock(sim.clock())).observer(
        move |event: &Event<'_>| {
            if event.kind == EventKind::Reused {
                count.fetch_add(1, Ordering::Relaxed);
            }
        },
    );
    let manager = match seed % 2 {
        0 => builder.keys(keys()).build().unwrap(),
        _ => builder
            .lifetime(Lifetime::default().persistent())
            .build()
            .unwrap(),
    };
    let holds = sim.block_on(signed_in(&manager));
    let mut browser = Browser {
        holds,
        coming: Vec::new(),
    };
    for step in 0..60 {
        let now = sim.clock().now();
        match sim.rng().below(6) {
            0 | 1 => {
                let outputs: Vec<_> = (0..1 + sim.rng().below(4))
                    .map(|_| {
                        let who = sim.rng().below(8);
                        sim.spawn(request(manager.clone(), browser.holds.clone(), who))
                    })
                    .collect();
                sim.run();
                for output in outputs {
                    let told = output.take();
                    let told = told.unwrap_or_else(|| {
                        panic!("{backend:?}, seed {seed}, step {step}: thrown out")
                    });
                    let token = match told {
                        Directive::Hold(token) => Some(token.as_str().to_owned()),
                        _ => None,
                    };
                    browser.coming.push((now, token));
                }
            }
            2 | 3 if !browser.coming.is_empty() => {
                let at = sim.rng().below(browser.coming.len());
                if let (_, Some(token)) = browser.coming.swap_remove(at) {
                    browser.holds = token;
                }
            }
            4 if !browser.coming.is_empty() => {
                let at = sim.rng().below(browser.coming.len());
                browser.coming.swap_remove(at);
            }
            _ => {
                let wait = MILLI * u32::try_from(sim.rng().below(7_000)).unwrap();
                sim.clock().advance(wait);
                // What takes longer than the overlap is lost.
                let now = sim.clock().now();
                browser
                    .coming
                    .retain(|(left, _)| now.duration_since(*left) < 9 * SECOND);
            }
        }
    }
    assert_eq!(
        thefts.load(Ordering::Relaxed),
        0,
        "{backend:?}, seed {seed}"
    );
}

#[test]
fn a_browser_over_a_bad_network_is_never_thrown_out() {
    for backend in Backend::SERVER {
        (0..400).for_each(|seed| over_a_bad_network(backend, seed));
    }
}

async fn read(manager: &SessionManager, token: &str) -> Directive {
    let session = open(manager, token).await;
    assert!(!session.is_new());
    session.finish(Outcome::Success).await.unwrap()
}

#[test]
fn a_request_costs_what_it_did_but_for_one_write_where_a_rotation_is_due() {
    for backend in Backend::SERVER {
        let (manager, store, clock) = stage(backend.store(), rotating);
        let run = async {
            let token = create(&manager, [("n", 1)]).await;
            store.take();
            clock.advance(TTL - MILLI);
            assert_eq!(read(&manager, &token).await, Directive::Nothing);
            assert_eq!(store.take(), Counts::LOAD, "{backend:?}: not due");

            clock.advance(MILLI);
            let next = token_of(&read(&manager, &token).await);
            assert_eq!(store.take(), Counts::LOAD_UPDATE, "{backend:?}: due");
            assert_eq!(read(&manager, &token).await, Directive::Nothing);
            assert_eq!(store.take(), Counts::LOAD, "{backend:?}: the predecessor");

            assert_eq!(read(&manager, &next).await, Directive::Nothing);
            assert_eq!(
                store.take(),
                Counts::LOAD_UPDATE,
                "{backend:?}: presented for the first time"
            );
            assert_eq!(read(&manager, &next).await, Directive::Nothing);
            assert_eq!(store.take(), Counts::LOAD, "{backend:?}: and again");

            // With other changes it costs nothing more.
            clock.advance(TTL);
            let session = open(&manager, &next).await;
            session.insert("n", 2).unwrap();
            let last = token_of(&session.finish(Outcome::Success).await.unwrap());
            assert_eq!(store.take(), Counts::LOAD_UPDATE, "{backend:?}");
            let session = open(&manager, &last).await;
            session.insert("n", 3).unwrap();
            assert_eq!(
                session.finish(Outcome::Success).await.unwrap(),
                Directive::Nothing
            );
            assert_eq!(store.take(), Counts::LOAD_UPDATE, "{backend:?}");
            assert_eq!(open(&manager, &last).await.get("n").unwrap(), Some(3));
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn a_very_long_ttl_writes_nothing() {
    for backend in Backend::SERVER {
        let long = Rotation::every(Duration::from_secs(10 * 365 * 24 * 3600));
        let (manager, store, clock) = stage(backend.store(), |builder| builder.rotation(long));
        let run = async {
            let token = create(&manager, [("n", 1)]).await;
            store.take();
            for _ in 0..50 {
                clock.advance(SECOND);
                assert_eq!(read(&manager, &token).await, Directive::Nothing);
            }
            let loads = Counts {
                loads: 50,
                ..Counts::NONE
            };
            assert_eq!(store.take(), loads, "{backend:?}");
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn rotation_moves_neither_deadline_nor_epoch_nor_csrf_token_nor_data() {
    for backend in Backend::SERVER {
        let (manager, _, clock) = stage(backend.store(), rotating);
        let run = async {
            let session = manager.begin(&[]).await.unwrap();
            session.insert("n", 1).unwrap();
            session.sign_in("user:1").unwrap();
            let csrf = session.csrf_token().unwrap();
            let mut token = token_of(&session.finish(Outcome::Success).await.unwrap());
            let before = open(&manager, &token).await;
            let deadline = before.created_at().unwrap() + Lifetime::default().absolute();
            for _ in 0..20 {
                clock.advance(TTL);
                token = token_of(&read(&manager, &token).await);
            }
            let after = open(&manager, &token).await;
            assert_eq!(after.id(), before.id());
            assert_eq!(after.authenticated_at(), before.authenticated_at());
            assert_eq!(after.get("n").unwrap(), Some(1));
            assert!(after.verify_csrf(&csrf), "{backend:?}");
            // Active to the end, it ends at its deadline.
            while clock.now() < deadline {
                let step = Duration::from_secs(3600).min(deadline.duration_since(clock.now()));
                clock.advance(step);
                let session = open(&manager, &token).await;
                assert_eq!(session.is_new(), clock.now() >= deadline, "{backend:?}");
                if let Directive::Hold(next) = session.finish(Outcome::Success).await.unwrap() {
                    token = next.as_str().to_owned();
                }
            }
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn nothing_is_rotated_where_no_token_can_be_told() {
    for backend in Backend::SERVER {
        let (manager, store, clock) = stage(backend.store(), rotating);
        let run = async {
            let token = create(&manager, [("n", 1)]).await;
            clock.advance(TTL);
            let session = open(&manager, &token).await;
            store.take();
            assert_eq!(
                session.finish(Outcome::SuccessWithoutToken).await.unwrap(),
                Directive::Nothing
            );
            assert_eq!(store.take(), Counts::NONE, "{backend:?}");

            // An explicit save does not rotate either; its commit does.
            let session = open(&manager, &token).await;
            session.insert("n", 2).unwrap();
            session.save().await.unwrap();
            assert!(matches!(
                session.finish(Outcome::Success).await.unwrap(),
                Directive::Hold(_)
            ));

            // After the response has left nobody could be told.
            clock.advance(TTL);
            let session = open(&manager, &token).await.session().clone();
            session.insert("n", 3).unwrap();
            session.save().await.unwrap();
            let session = open(&manager, &token).await;
            assert_eq!(session.get("n").unwrap(), Some(3));
            // So it is left to the next request.
            assert!(matches!(
                session.finish(Outcome::Success).await.unwrap(),
                Directive::Hold(_)
            ));
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn a_token_is_never_told_twice_where_tokens_rotate() {
    for backend in Backend::SERVER {
        let (manager, _, clock) = stage(backend.store(), |builder| {
            rotating(builder)
                .rotation(Rotation::every(10_000 * TTL))
                .lifetime(Lifetime::default().persistent())
        });
        let run = async {
            let token = create(&manager, [("n", 1)]).await;
            // Activity alone moves nothing.
            clock.advance(Duration::from_secs(60));
            assert_eq!(
                read(&manager, &token).await,
                Directive::Nothing,
                "{backend:?}"
            );
            // The Max-Age moves with a token of its own, since answers may overtake each other.
            clock.advance(Duration::from_secs(3540));
            let session = open(&manager, &token).await;
            let Directive::Hold(next) = session.finish(Outcome::Success).await.unwrap() else {
                panic!("{backend:?}: the Max-Age has to move");
            };
            // So much longer that it does not end before the next one comes.
            assert_eq!(next.max_age(), Some(Lifetime::default().idle() * 3 / 2));
            assert_ne!(next.as_str(), token);
            // What was superseded moves nothing.
            assert_eq!(read(&manager, next.as_str()).await, Directive::Nothing);
            clock.advance(SECOND);
            let session = open(&manager, &token).await;
            session.insert("n", 2).unwrap();
            assert_eq!(
                session.finish(Outcome::Success).await.unwrap(),
                Directive::Nothing,
                "{backend:?}"
            );
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn a_rotation_that_fails_costs_nothing_but_an_event() {
    for fault in [Fault::Unavailable, Fault::LostRequest, Fault::LostAnswer] {
        let store = FaultStore::new(Backend::Memory.store());
        let clock = clock();
        let unsaved = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&unsaved);
        let manager =
            rotating(SessionManager::builder(Arc::clone(&store)).clock(Arc::clone(&clock)))
                .observer(move |event: &Event<'_>| {
                    if event.kind == EventKind::Unsaved {
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                })
                .build()
                .unwrap();
        let run = async {
            let token = create(&manager, [("n", 1)]).await;
            clock.advance(TTL);
            store.plan(Call::Update, fault);
            assert_eq!(
                read(&manager, &token).await,
                Directive::Nothing,
                "{fault:?}"
            );
            assert_eq!(unsaved.load(Ordering::Relaxed), 1);
            // The client still holds the old token, and gets a successor when that can be written.
            clock.advance(TTL);
            let next = token_of(&read(&manager, &token).await);
            assert_eq!(read(&manager, &next).await, Directive::Nothing);
        };
        run.now_or_never().unwrap();
    }
}

//! Law 2: no resurrection (S18, S23, S43).

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use session_core::store::RecordKey;
use session_core::{
    Directive, Ended, Lifetime, MemoryStore, Outcome, SessionError, SessionId, SessionManager,
    Timestamp,
};
use session_tests::sim::pause;
use session_tests::{
    Backend, Call, Fault, FaultStore, Rng, Sim, TimelessStore, anonymous, create, numbers, open,
    token_of,
};

fn add_one(n: Option<u64>) -> u64 {
    n.unwrap_or(0) + 1
}

/// One request that writes in one way or another, and may save on its way.
async fn write(manager: SessionManager, token: String, seed: u64, ended: Rc<Cell<bool>>) {
    let rng = Rng::new(seed);
    let session = open(&manager, &token).await;
    let loaded = !session.is_new();
    for _ in 0..=rng.below(3) {
        match rng.below(5) {
            0 => session.insert("a", rng.next()).unwrap(),
            1 => {
                session.update("n", add_one).unwrap();
            }
            2 => session.clear(),
            3 => session.renew().unwrap(),
            _ => session.set_label("phone").unwrap(),
        }
        pause().await;
        if rng.below(3) == 0 {
            let saved = session.save().await;
            assert!(
                matches!(saved, Ok(()) | Err(SessionError::Gone)),
                "seed {seed}: {saved:?}"
            );
        }
    }
    let already = ended.get();
    let directive = session.finish(Outcome::Success).await.unwrap();
    if already && loaded {
        assert_eq!(directive, Directive::Nothing, "seed {seed}");
    }
}

#[derive(Clone, Copy, Debug)]
enum End {
    Destroyed,
    Expired,
    Swept,
    SignedOut,
}

fn race(backend: Backend, end: End, seed: u64) {
    let mut sim = Sim::new(seed);
    let store = backend.yielding(seed);
    // Shorter than the deadline of a call, which is not to pass with it.
    let lifetime = Lifetime::new(Duration::from_secs(1), Duration::from_secs(3600)).unwrap();
    let managers = [0, 1].map(|_| {
        let builder = SessionManager::builder(Arc::clone(&store)).clock(sim.clock());
        builder.lifetime(lifetime).build().unwrap()
    });
    let clock = sim.clock();
    // Loaded before the others begin, or a renewal could make it a stranger's.
    let (token, id, session) = sim.block_on(async {
        let session = anonymous(&managers[0]).await;
        session.insert("n", 1).unwrap();
        session.insert("a", 1).unwrap();
        session.sign_in("user:1").unwrap();
        let token = token_of(&session.finish(Outcome::Success).await.unwrap());
        let id = session.id().unwrap();
        let session = open(&managers[0], &token).await;
        (token, id, session)
    });
    let ended = Rc::new(Cell::new(false));
    for who in 0..4 {
        let manager = managers[who % 2].clone();
        let seed = seed * 4 + who as u64;
        sim.spawn(write(manager, token.clone(), seed, Rc::clone(&ended)));
    }
    let before = sim.rng().below(12);
    let manager = managers[0].clone();
    let ending = Rc::clone(&ended);
    let idle = manager.lifetime().idle();
    sim.spawn(async move {
        for _ in 0..before {
            pause().await;
        }
        match end {
            End::Destroyed => {
                session.destroy().unwrap();
                session.finish(Outcome::Success).await.unwrap();
            }
            End::Expired => clock.advance(idle),
            End::Swept => {
                clock.advance(idle);
                manager.store().delete_expired(clock.now()).await.unwrap();
            }
            End::SignedOut => {
                manager
                    .store()
                    .principals()
                    .unwrap()
                    .delete_all_of("user:1", None, Ended::default())
                    .await
                    .unwrap();
            }
        }
        ending.set(true);
    });
    sim.run();

    let now = sim.clock().now();
    let left = sim.block_on(is_stored(&managers[0], id, now));
    assert!(!left, "{backend:?}, {end:?}, seed {seed}: it is back");
    let session = sim.block_on(open(&managers[1], &token));
    assert!(session.is_new());
}

async fn is_stored(manager: &SessionManager, id: SessionId, now: Timestamp) -> bool {
    let loaded = manager.store().load(&RecordKey::Id(id), now).await.unwrap();
    loaded.is_some_and(|record| record.is_live(now) && record.ended().is_none())
}

#[test]
fn a_destroyed_session_is_not_brought_back_by_writes_under_way() {
    for backend in Backend::SERVER {
        (0..700).for_each(|seed| race(backend, End::Destroyed, seed));
        (0..300).for_each(|seed| race(backend, End::SignedOut, seed));
    }
}

#[test]
fn an_expired_or_swept_session_is_not_brought_back_by_writes_under_way() {
    for backend in Backend::SERVER {
        (0..400).for_each(|seed| race(backend, End::Expired, seed));
        (0..400).for_each(|seed| race(backend, End::Swept, seed));
    }
}

#[test]
fn a_save_of_a_session_that_has_ended_is_gone_and_a_commit_passes_without_a_token() {
    for backend in Backend::SERVER {
        let mut sim = Sim::new(1);
        let manager = sim.manager(backend.store());
        sim.block_on(async {
            let token = create(&manager, [("n", 1)]).await;
            let [saving, updating, renewing, ending] =
                [0; 4].map(|_| open(&manager, &token).now_or_never());
            let [saving, updating, renewing, ending] =
                [saving, updating, renewing, ending].map(Option::unwrap);
            ending.destroy().unwrap();
            assert_eq!(
                ending.finish(Outcome::Success).await.unwrap(),
                Directive::Forget
            );

            saving.insert("n", 2).unwrap();
            assert!(matches!(saving.save().await, Err(SessionError::Gone)));
            saving.insert("n", 3).unwrap();
            assert!(
                matches!(saving.save().await, Err(SessionError::Gone)),
                "gone for good"
            );
            assert_eq!(
                saving.finish(Outcome::Success).await.unwrap(),
                Directive::Nothing
            );

            assert!(matches!(
                updating.update_now("n", add_one).await,
                Err(SessionError::Gone)
            ));
            renewing.renew().unwrap();
            assert_eq!(
                renewing.finish(Outcome::Success).await.unwrap(),
                Directive::Nothing
            );
            assert!(open(&manager, &token).await.is_new());
        });
    }
}

#[test]
fn a_sign_in_whose_commit_finds_the_session_gone_starts_another() {
    for backend in Backend::SERVER {
        let mut sim = Sim::new(1);
        let manager = sim.manager(backend.store());
        sim.block_on(async {
            let token = create(&manager, [("old", 1)]).await;
            let session = open(&manager, &token).await;
            let former = session.id();
            let ending = open(&manager, &token).await;
            ending.destroy().unwrap();
            ending.finish(Outcome::Success).await.unwrap();
            session.insert("mine", 7).unwrap();
            session.sign_in("user:1").unwrap();
            let token = token_of(&session.finish(Outcome::Success).await.unwrap());
            let session = open(&manager, &token).await;
            assert_ne!(session.id(), former);
            assert_eq!(session.principal().as_deref(), Some("user:1"));
            assert_eq!(
                numbers(&session).into_iter().collect::<Vec<_>>(),
                [("mine".into(), 7)]
            );
        });
    }
}

#[test]
fn a_write_does_not_revive_an_expired_session_in_a_store_that_ignores_time() {
    // Expiry is the manager's to enforce, so it may not depend on the store's answer.
    for backend in [Backend::Memory, Backend::Replace] {
        let mut sim = Sim::new(1);
        let manager = sim.manager(TimelessStore::new(backend.store()));
        let clock = sim.clock();
        sim.block_on(async {
            let token = create(&manager, [("n", 1)]).await;
            let session = open(&manager, &token).await;
            clock.advance(manager.lifetime().idle());
            session.insert("n", 2).unwrap();
            let saved = session.save().await;
            let directive = session.finish(Outcome::Success).await.unwrap();
            let again = open(&manager, &token).await;
            assert!(
                again.is_new(),
                "{backend:?}: it lives again after {saved:?} and {directive:?}"
            );
            assert!(matches!(saved, Err(SessionError::Gone)), "{saved:?}");
        });
    }
}

#[test]
fn a_commit_yields_no_token_for_a_session_that_has_expired_since_it_was_saved() {
    for backend in Backend::ALL {
        let mut sim = Sim::new(1);
        let manager = sim.manager(backend.store());
        let clock = sim.clock();
        sim.block_on(async {
            let session = anonymous(&manager).await;
            session.insert("n", 1).unwrap();
            session.save().await.unwrap();
            clock.advance(manager.lifetime().idle());
            let directive = session.finish(Outcome::Success).await.unwrap();
            assert_eq!(directive, Directive::Nothing, "{backend:?}");
        });
    }
}

#[test]
fn a_destroy_while_the_session_is_being_created_ends_it() {
    for backend in Backend::SERVER {
        let mut sim = Sim::new(1);
        let store = FaultStore::new(backend.store());
        let manager = sim.manager(Arc::clone(&store));
        sim.block_on(async {
            let session = anonymous(&manager).await;
            session.insert("n", 1).unwrap();
            store.plan(Call::Create, Fault::Slow);
            let mut save = Box::pin(session.save());
            assert!((&mut save).now_or_never().is_none());
            session.destroy().unwrap();
            let _ = save.await;
            let directive = session.finish(Outcome::Success).await.unwrap();
            assert!(
                !matches!(directive, Directive::Hold(_)),
                "{backend:?}: {directive:?}"
            );
        });
    }
}

#[test]
fn a_destroy_is_not_forgotten_when_a_save_of_it_fails_or_is_cancelled() {
    for fault in [Fault::Unavailable, Fault::LostRequest, Fault::Hang] {
        let mut sim = Sim::new(1);
        let store = FaultStore::new(MemoryStore::new());
        let manager = sim.manager(Arc::clone(&store));
        sim.block_on(async {
            let token = create(&manager, [("n", 1)]).await;
            let session = open(&manager, &token).await;
            session.destroy().unwrap();
            store.plan(Call::Delete, fault);
            // A delete may be sent twice, so nothing stands in the way of the next attempt.
            let saved = session.save().now_or_never();
            assert!(!matches!(saved, Some(Ok(()))), "{fault:?}");
            let directive = session.finish(Outcome::Success).await.unwrap();
            let left = open(&manager, &token).await.id();
            assert_eq!((left, directive), (None, Directive::Forget), "{fault:?}");
        });
    }
}

#[test]
fn a_destroy_whose_commit_failed_is_carried_out_by_its_abort() {
    for fault in [Fault::Unavailable, Fault::LostRequest] {
        let mut sim = Sim::new(1);
        let store = FaultStore::new(MemoryStore::new());
        let manager = sim.manager(Arc::clone(&store));
        sim.block_on(async {
            let token = create(&manager, [("n", 1)]).await;
            let session = open(&manager, &token).await;
            session.destroy().unwrap();
            store.plan(Call::Delete, fault);
            let failed = session.finish(Outcome::Success).await.unwrap_err();
            let directive = failed.directive;
            let left = open(&manager, &token).await.id();
            assert_eq!((left, directive), (None, Directive::Forget), "{fault:?}");
        });
    }
}

/// While a save of the old session is under way, the handler destroys it and starts anew.
fn anew_during_a_save(ended_by_another: bool) {
    let mut sim = Sim::new(1);
    let store = FaultStore::new(MemoryStore::new());
    let manager = sim.manager(Arc::clone(&store));
    sim.block_on(async {
        let token = create(&manager, [("n", 1)]).await;
        let session = open(&manager, &token).await;
        let former = session.id().unwrap();
        for n in 2..5 {
            session.insert("n", n).unwrap();
        }
        store.plan(Call::Update, Fault::Slow);
        let mut save = Box::pin(session.save());
        assert!((&mut save).now_or_never().is_none());
        if ended_by_another {
            manager
                .store()
                .delete(&RecordKey::Id(former), Ended::default())
                .await
                .unwrap();
        }
        session.destroy().unwrap();
        session.insert("fresh", 1).unwrap();
        let _ = save.await;
        let directive = session.finish(Outcome::Success).await.unwrap();
        let Directive::Hold(token) = &directive else {
            panic!("the new session is lost: {directive:?}");
        };
        let session = open(&manager, token.as_str()).await;
        assert_ne!(session.id(), Some(former));
        assert_eq!(
            numbers(&session).into_iter().collect::<Vec<_>>(),
            [("fresh".into(), 1)]
        );
    });
}

#[test]
fn what_a_new_session_holds_is_not_settled_by_a_save_of_the_one_before() {
    anew_during_a_save(false);
}

#[test]
fn a_new_session_is_not_taken_for_the_one_that_was_gone() {
    anew_during_a_save(true);
}

#[test]
fn no_closure_runs_for_a_session_that_is_gone() {
    for backend in Backend::SERVER {
        let mut sim = Sim::new(1);
        let manager = sim.manager(backend.store());
        sim.block_on(async {
            let token = create(&manager, [("n", 1)]).await;
            let session = open(&manager, &token).await;
            let runs = Arc::new(AtomicU64::new(0));
            let counted = Arc::clone(&runs);
            let add = move |n: Option<u64>| {
                counted.fetch_add(1, Ordering::Relaxed);
                add_one(n)
            };
            session.update("n", add).unwrap();
            let ending = open(&manager, &token).await;
            ending.destroy().unwrap();
            ending.finish(Outcome::Success).await.unwrap();
            assert!(matches!(session.save().await, Err(SessionError::Gone)));
            assert_eq!(runs.load(Ordering::Relaxed), 1, "{backend:?}: what for?");
        });
    }
}

#[test]
fn a_retry_does_not_outlive_the_session() {
    // Between a conflict and the next attempt the session ends by time.
    let mut sim = Sim::new(1);
    let store = FaultStore::new(TimelessStore::new(MemoryStore::new()));
    let hour = Duration::from_secs(3600);
    let lifetime = Lifetime::new(Duration::from_millis(1), hour).unwrap();
    let manager = SessionManager::builder(Arc::clone(&store))
        .clock(sim.clock())
        .lifetime(lifetime)
        .build()
        .unwrap();
    for _ in 0..8 {
        store.plan(Call::Update, Fault::Conflict);
    }
    let (token, session) = sim.block_on(async {
        let token = create(&manager, [("n", 1)]).await;
        let session = open(&manager, &token).await;
        session.insert("n", 2).unwrap();
        (token, session)
    });
    let begin = sim.clock().now();
    let saved = sim.block_on(session.save());
    assert!(sim.clock().now() > begin, "it waited between attempts");
    assert!(matches!(saved, Err(SessionError::Gone)), "{saved:?}");
    assert!(sim.block_on(open(&manager, &token)).is_new());
}

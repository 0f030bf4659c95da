//! Law 6: one step each way.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use session_core::store::StoreError;
use session_core::{Directive, Lifetime, Outcome, SessionError, SessionManager};
use session_tests::story::clock;
use session_tests::{
    Backend, Call, Counts, Fault, FaultStore, Sim, anonymous, create, open, stage, token_of,
};

#[test]
fn a_reading_request_costs_one_command_a_writing_one_two_an_untouched_one_none() {
    for backend in Backend::ALL {
        let (manager, store, _) = stage(backend.store(), |builder| {
            builder.lifetime(Lifetime::default())
        });
        let run = async {
            let token = create(&manager, [("n", 1)]).await;
            assert_eq!(store.take(), Counts::CREATE);

            // Untouched: nobody opens it.
            assert_eq!(store.take(), Counts::NONE);

            let session = open(&manager, &token).await;
            assert_eq!(session.get("n").unwrap(), Some(1));
            assert_eq!(session.keys(), ["n"]);
            session.finish(Outcome::Success).await.unwrap();
            assert_eq!(store.take(), Counts::LOAD, "{backend:?}");

            let session = open(&manager, &token).await;
            session.insert("a", 1).unwrap();
            session.remove("n");
            session
                .update("b", |b: Option<u64>| b.unwrap_or(0) + 1)
                .unwrap();
            session.finish(Outcome::Success).await.unwrap();
            assert_eq!(store.take(), Counts::LOAD_UPDATE, "{backend:?}");

            let session = open(&manager, &token).await;
            session.renew().unwrap();
            let token = token_of(&session.finish(Outcome::Success).await.unwrap());
            assert_eq!(store.take(), Counts::LOAD_UPDATE, "{backend:?}");

            let session = open(&manager, &token).await;
            session.destroy().unwrap();
            session.finish(Outcome::Success).await.unwrap();
            assert_eq!(store.take(), Counts::LOAD_DELETE, "{backend:?}");
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn a_sign_in_on_a_new_session_is_one_creation_and_on_a_stored_one_one_update() {
    for backend in Backend::ALL {
        let (manager, store, _) = stage(backend.store(), |builder| {
            builder.lifetime(Lifetime::default())
        });
        let run = async {
            let session = anonymous(&manager).await;
            session.sign_in("user:1").unwrap();
            token_of(&session.finish(Outcome::Success).await.unwrap());
            assert_eq!(store.take(), Counts::CREATE, "{backend:?}");

            let token = create(&manager, [("n", 1)]).await;
            store.take();
            let session = open(&manager, &token).await;
            session.sign_in("user:1").unwrap();
            token_of(&session.finish(Outcome::Success).await.unwrap());
            assert_eq!(store.take(), Counts::LOAD_UPDATE, "{backend:?}");
        };
        run.now_or_never().unwrap();
    }
}

/// Reads once a second for so long; how many writes that makes.
fn touches(backend: Backend, idle: Duration, step: Duration, steps: u32) -> u64 {
    let lifetime = Lifetime::new(idle, Duration::from_secs(365 * 86_400)).unwrap();
    let (manager, store, clock) = stage(backend.store(), |builder| builder.lifetime(lifetime));
    let run = async {
        let mut token = create(&manager, [("n", 1)]).await;
        store.take();
        let mut writes = 0;
        for _ in 0..steps {
            clock.advance(step);
            let session = open(&manager, &token).await;
            assert_eq!(
                session.get("n").unwrap(),
                Some(1),
                "activity keeps it alive"
            );
            // Sealed sessions hand out a new token with each write.
            if let Directive::Hold(new) = session.finish(Outcome::Success).await.unwrap() {
                assert!(backend.is_sealed());
                token = new.as_str().to_owned();
            }
            let counts = store.take();
            assert_eq!(counts.loads, 1);
            assert!(counts.updates <= 1);
            writes += counts.updates;
        }
        writes
    };
    run.now_or_never().unwrap()
}

#[test]
fn activity_is_written_at_most_once_per_touch_interval() {
    let second = Duration::from_secs(1);
    for backend in Backend::ALL {
        // The smaller of 60 s ...
        assert_eq!(
            touches(backend, 7_200 * second, second, 600),
            10,
            "{backend:?}"
        );
        // ... and a quarter of the idle time.
        assert_eq!(
            touches(backend, 40 * second, second, 600),
            60,
            "{backend:?}"
        );
        assert_eq!(
            touches(backend, 40 * second, 10 * second, 10),
            10,
            "{backend:?}"
        );
        assert_eq!(
            touches(backend, 40 * second, Duration::from_millis(9_999), 10),
            5,
            "{backend:?}"
        );
    }
}

#[test]
fn activity_travels_with_other_changes() {
    for backend in Backend::ALL {
        let (manager, store, clock) = stage(backend.store(), |builder| {
            builder.lifetime(Lifetime::default())
        });
        let run = async {
            let token = create(&manager, [("n", 1)]).await;
            clock.advance(Duration::from_secs(60));
            store.take();
            let session = open(&manager, &token).await;
            let before = session.expires_at().unwrap();
            session.insert("n", 2).unwrap();
            session.finish(Outcome::Success).await.unwrap();
            assert_eq!(store.take(), Counts::LOAD_UPDATE, "{backend:?}");
            let moved = session.expires_at().unwrap().duration_since(before);
            assert_eq!(moved, Duration::from_secs(60), "{backend:?}");
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn if_only_a_touch_fails_the_response_passes() {
    for fault in [
        Fault::Unavailable,
        Fault::LostRequest,
        Fault::LostAnswer,
        Fault::Hang,
        Fault::HangAfter,
        Fault::Corrupt,
    ] {
        let mut sim = Sim::new(1);
        let store = FaultStore::new(Backend::Memory.store());
        let manager = SessionManager::builder(Arc::clone(&store))
            .clock(sim.clock())
            .build()
            .unwrap();
        let clock = sim.clock();
        sim.block_on(async {
            let token = create(&manager, [("n", 1)]).await;
            clock.advance(Duration::from_secs(60));
            store.plan(Call::Update, fault);
            let session = open(&manager, &token).await;
            let directive = session.finish(Outcome::Success).await.unwrap();
            assert_eq!(directive, Directive::Nothing, "{fault:?}");

            // Other changes that fail are not passed over.
            store.plan(Call::Update, fault);
            let session = open(&manager, &token).await;
            session.insert("n", 2).unwrap();
            let failed = session.finish(Outcome::Success).await.unwrap_err();
            assert!(
                matches!(failed.error, SessionError::Store(_)),
                "{fault:?}: {failed:?}"
            );
        });
    }
}

#[test]
fn after_a_touch_that_failed_a_handle_that_lives_on_can_still_save() {
    for (backend, fault) in Backend::SERVER.into_iter().flat_map(|backend| {
        [Fault::Unavailable, Fault::LostRequest, Fault::LostAnswer].map(|fault| (backend, fault))
    }) {
        let clock = clock();
        let store = FaultStore::new(backend.store());
        let manager = SessionManager::builder(Arc::clone(&store))
            .clock(Arc::clone(&clock))
            .build()
            .unwrap();
        let run = async {
            let token = create(&manager, [("n", 1)]).await;
            clock.advance(Duration::from_secs(60));
            store.plan(Call::Update, fault);
            let session = open(&manager, &token).await;
            session.finish(Outcome::Success).await.unwrap();
            let now = session
                .update_now("n", |n: Option<u64>| n.unwrap() + 1)
                .await
                .unwrap();
            assert_eq!(now, 2);
            let stored = open(&manager, &token).await.get::<u64>("n").unwrap();
            assert_eq!(stored, Some(2), "{backend:?}, {fault:?}");
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn a_full_store_is_an_error_that_passes() {
    let store = session_core::MemoryStore::with_capacity(1);
    let manager = SessionManager::new(store);
    let run = async {
        let token = create(&manager, [("n", 1)]).await;
        let session = anonymous(&manager).await;
        session.insert("n", 1).unwrap();
        let error = session.finish(Outcome::Success).await.unwrap_err().error;
        assert!(matches!(
            error,
            SessionError::Store(StoreError::Full { capacity: 1 })
        ));
        assert!(error.is_temporary());
        assert_eq!(open(&manager, &token).await.get("n").unwrap(), Some(1));
    };
    run.now_or_never().unwrap();
}

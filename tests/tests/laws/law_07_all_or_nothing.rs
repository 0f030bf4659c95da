//! Law 7: all or nothing.

use std::sync::Arc;

use futures_util::FutureExt;
use session_core::{Directive, Lifetime, Outcome, SessionError, SessionManager};
use session_tests::sim::pause;
use session_tests::{
    Backend, Call, CountingStore, Counts, Fault, FaultStore, Sim, anonymous, create, numbers, open,
    token_of,
};

#[test]
fn a_commit_is_one_step_for_everyone_who_looks() {
    for backend in Backend::SERVER {
        for seed in 0..700 {
            let mut sim = Sim::new(seed);
            let manager = sim.manager(backend.yielding(seed));
            let start = [("a", 0), ("b", 0), ("c", 0), ("0", 0)];
            let token = sim.block_on(create(&manager, start));
            for writer in 1..=2 {
                let manager = manager.clone();
                let token = token.clone();
                sim.spawn(async move {
                    for round in 0..3 {
                        let session = open(&manager, &token).await;
                        let mark = writer * 10 + round;
                        // One sign on every key, and one key that goes while another comes.
                        if round == 1 {
                            session.clear();
                        }
                        for key in ["a", "b", "c"] {
                            session.insert(key, mark).unwrap();
                            pause().await;
                        }
                        for digit in 0..40 {
                            session.remove(&digit.to_string());
                        }
                        session.insert(&mark.to_string(), 0).unwrap();
                        session.finish(Outcome::Success).await.unwrap();
                    }
                });
            }
            for _ in 0..2 {
                let manager = manager.clone();
                let token = token.clone();
                sim.spawn(async move {
                    for _ in 0..6 {
                        let seen = numbers(open(&manager, &token).await.session());
                        assert!(
                            seen["a"] == seen["b"] && seen["b"] == seen["c"],
                            "seed {seed}: {seen:?}"
                        );
                        let mark = seen["a"].to_string();
                        assert!(
                            seen.contains_key(&mark),
                            "{backend:?}, seed {seed}: {seen:?}"
                        );
                        pause().await;
                    }
                });
            }
            sim.run();
        }
    }
}

/// Does everything that an aborted request may have done.
fn change(session: &session_core::Session) {
    session.insert("n", 2).unwrap();
    session.insert("new", 1).unwrap();
    session.remove("m");
    session
        .update("k", |k: Option<u64>| k.unwrap_or(0) + 1)
        .unwrap();
    session.renew().unwrap();
    session.set_label("phone").unwrap();
    session.set_lifetime(Lifetime::aal3());
}

#[test]
fn an_aborted_request_leaves_the_session_as_it_was() {
    for backend in Backend::ALL {
        let store = CountingStore::new(backend.store());
        let manager = SessionManager::new(Arc::clone(&store));
        let run = async {
            let token = create(&manager, [("n", 1), ("m", 1)]).await;
            let before = open(&manager, &token).await;
            store.take();

            let session = open(&manager, &token).await;
            change(&session);
            session.sign_in("user:1").unwrap();
            assert_eq!(
                session.finish(Outcome::Failure).await.unwrap(),
                Directive::Nothing
            );
            // There is nothing to save, so it asks whether the session is still there.
            session.save().await.unwrap();
            // A panic or a cancellation: nobody commits.
            let session = open(&manager, &token).await;
            change(&session);
            drop(session);

            assert_eq!(
                store.take(),
                Counts {
                    loads: 3,
                    ..Counts::NONE
                },
                "{backend:?}"
            );
            let after = open(&manager, &token).await;
            assert_eq!(numbers(&after), numbers(&before));
            assert_eq!(after.principal(), None);
            assert_eq!(after.expires_at(), before.expires_at());
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn an_aborted_request_creates_nothing() {
    for backend in Backend::ALL {
        let store = CountingStore::new(backend.store());
        let manager = SessionManager::new(Arc::clone(&store));
        let run = async {
            let session = anonymous(&manager).await;
            session.insert("n", 1).unwrap();
            session.sign_in("user:1").unwrap();
            assert_eq!(
                session.finish(Outcome::Failure).await.unwrap(),
                Directive::Nothing
            );
            assert_eq!(store.take(), Counts::NONE, "{backend:?}");
            // And it stays so: what comes late has no response to tell of it.
            session.insert("n", 2).unwrap();
            assert!(
                matches!(session.save().await, Err(SessionError::Detached)),
                "{backend:?}"
            );
            assert!(matches!(session.destroy(), Err(SessionError::Detached)));
            assert!(matches!(session.renew(), Err(SessionError::Detached)));
            assert!(matches!(
                session.sign_in("user:1"),
                Err(SessionError::Detached)
            ));
            assert_eq!(store.take(), Counts::NONE, "{backend:?}");
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn a_destroy_is_carried_out_by_an_aborted_request() {
    for backend in Backend::ALL {
        let manager = SessionManager::new(backend.store());
        let run = async {
            let token = create(&manager, [("n", 1)]).await;
            let session = open(&manager, &token).await;
            session.destroy().unwrap();
            session.insert("n", 2).unwrap();
            assert_eq!(
                session.finish(Outcome::Failure).await.unwrap(),
                Directive::Forget,
                "{backend:?}"
            );
            assert!(backend.is_sealed() || open(&manager, &token).await.is_new());
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn what_a_save_wrote_stays_and_a_renewal_does_not() {
    for backend in Backend::ALL {
        let manager = SessionManager::new(backend.store());
        let run = async {
            let session = anonymous(&manager).await;
            session.insert("n", 1).unwrap();
            session.save().await.unwrap();
            session.insert("n", 2).unwrap();
            session.sign_in("user:1").unwrap();
            let token = token_of(&session.finish(Outcome::Failure).await.unwrap());
            let session = open(&manager, &token).await;
            assert_eq!(session.get("n").unwrap(), Some(1), "{backend:?}");
            assert_eq!(session.principal(), None);

            session.insert("n", 3).unwrap();
            session.renew().unwrap();
            session.save().await.unwrap();
            session.insert("n", 4).unwrap();
            let token = match session.finish(Outcome::Failure).await.unwrap() {
                Directive::Hold(new) if backend.is_sealed() => new.as_str().to_owned(),
                other => {
                    assert_eq!(other, Directive::Nothing, "{backend:?}");
                    token
                }
            };
            let session = open(&manager, &token).await;
            assert_eq!(session.get("n").unwrap(), Some(3), "{backend:?}");
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn a_commit_that_fails_has_written_nothing() {
    for backend in Backend::SERVER {
        let store = FaultStore::new(backend.store());
        let manager = SessionManager::new(Arc::clone(&store));
        let run = async {
            let token = create(&manager, [("n", 1), ("m", 1)]).await;
            store.plan(Call::Update, Fault::Unavailable);
            let session = open(&manager, &token).await;
            change(&session);
            let error = session.finish(Outcome::Success).await.unwrap_err();
            assert!(error.error.is_temporary());
            assert_eq!(error.directive, Directive::Nothing);
            let after = open(&manager, &token).await;
            assert_eq!(after.keys(), ["m", "n"], "{backend:?}");

            // A closure that cannot run on the fresh value fails the commit as a whole.
            let session = open(&manager, &token).await;
            session.insert("other", 1).unwrap();
            session
                .update("n", |n: Option<u64>| n.unwrap() + 1)
                .unwrap();
            let rival = open(&manager, &token).await;
            rival.insert("n", "text").unwrap();
            rival.finish(Outcome::Success).await.unwrap();
            let error = session.finish(Outcome::Success).await.unwrap_err().error;
            assert!(matches!(error, SessionError::Decode { .. }), "{error:?}");
            assert!(
                !open(&manager, &token).await.contains_key("other"),
                "{backend:?}"
            );
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn once_the_response_has_left_data_of_a_known_session_can_be_saved_and_nothing_else() {
    for backend in Backend::SERVER {
        let manager = SessionManager::new(backend.store());
        let run = async {
            let token = create(&manager, [("n", 1)]).await;
            let session = open(&manager, &token).await;
            session.finish(Outcome::Success).await.unwrap();
            session.insert("n", 2).unwrap();
            session.save().await.unwrap();
            assert!(matches!(session.destroy(), Err(SessionError::Detached)));
            assert!(matches!(session.renew(), Err(SessionError::Detached)));
            assert!(matches!(
                session.sign_in("user:1"),
                Err(SessionError::Detached)
            ));
            assert_eq!(
                open(&manager, &token).await.get("n").unwrap(),
                Some(2),
                "{backend:?}"
            );
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn a_commit_that_keeps_the_token_creates_and_renews_nothing() {
    for backend in Backend::SERVER {
        let store = CountingStore::new(backend.store());
        let manager = SessionManager::new(Arc::clone(&store));
        let run = async {
            let session = anonymous(&manager).await;
            session.insert("n", 1).unwrap();
            session.sign_in("user:1").unwrap();
            let directive = session.finish(Outcome::SuccessWithoutToken).await.unwrap();
            assert_eq!(
                (directive, store.take()),
                (Directive::Nothing, Counts::NONE)
            );

            let token = create(&manager, [("n", 1)]).await;
            let session = open(&manager, &token).await;
            session.insert("n", 2).unwrap();
            session.renew().unwrap();
            let directive = session.finish(Outcome::SuccessWithoutToken).await.unwrap();
            assert_eq!(directive, Directive::Nothing, "{backend:?}");
            assert_eq!(open(&manager, &token).await.get("n").unwrap(), Some(2));
        };
        run.now_or_never().unwrap();
    }
}

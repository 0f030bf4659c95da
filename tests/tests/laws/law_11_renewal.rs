//! Law 11: renewal strands nobody and admits nobody (S8).

use std::convert::identity;
use std::time::Duration;

use futures_util::FutureExt;
use session_core::{Directive, Outcome, SessionError, SessionManager};
use session_tests::sim::pause;
use session_tests::{Backend, Counts, Sim, anonymous, create, numbers, open, stage, token_of};

const MILLI: Duration = Duration::from_millis(1);
const GRACE: Duration = Duration::from_secs(60);

async fn renew(manager: &SessionManager, token: &str) -> String {
    let session = open(manager, token).await;
    session.renew().unwrap();
    token_of(&session.finish(Outcome::Success).await.unwrap())
}

#[test]
fn what_was_loaded_before_a_renewal_cannot_write_after_it() {
    for backend in Backend::SERVER {
        let (manager, _, _) = stage(backend.store(), identity);
        let run = async {
            let token = create(&manager, [("n", 1)]).await;
            let writing = open(&manager, &token).await;
            let updating = open(&manager, &token).await;
            let reading = open(&manager, &token).await;
            let id = reading.id();
            let token = renew(&manager, &token).await;
            assert_eq!(open(&manager, &token).await.id(), id, "the id stays");

            writing.insert("n", 2).unwrap();
            assert!(
                matches!(writing.save().await, Err(SessionError::Gone)),
                "{backend:?}"
            );
            assert_eq!(
                writing.finish(Outcome::Success).await.unwrap(),
                Directive::Nothing
            );
            updating
                .update("n", |n: Option<u64>| n.unwrap_or(0) + 1)
                .unwrap();
            assert_eq!(
                updating.finish(Outcome::Success).await.unwrap(),
                Directive::Nothing
            );
            assert_eq!(reading.get("n").unwrap(), Some(1));
            assert_eq!(
                reading.finish(Outcome::Success).await.unwrap(),
                Directive::Nothing
            );
            assert_eq!(
                open(&manager, &token).await.get("n").unwrap(),
                Some(1),
                "{backend:?}"
            );
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn a_token_that_was_just_retired_is_answered_as_anonymous_and_stores_nothing() {
    for backend in Backend::SERVER {
        let (manager, store, clock) = stage(backend.store(), identity);
        let run = async {
            let old = create(&manager, [("n", 1)]).await;
            let new = renew(&manager, &old).await;
            for wait in [Duration::ZERO, GRACE - MILLI] {
                clock.advance(wait);
                store.take();
                let session = open(&manager, &old).await;
                assert!(session.is_new() && session.is_empty());
                assert_eq!(session.get::<u64>("n").unwrap(), None);
                session.insert("n", 3).unwrap();
                session
                    .update("m", |m: Option<u64>| m.unwrap_or(0) + 1)
                    .unwrap();
                assert!(session.save().await.is_err());
                assert_eq!(
                    session.finish(Outcome::Success).await.unwrap(),
                    Directive::Nothing
                );
                assert_eq!(store.take(), Counts::LOAD, "{backend:?}");
            }
            // From a minute on it is a stranger's, who may begin a session like anybody else.
            clock.advance(MILLI);
            let session = open(&manager, &old).await;
            assert!(session.is_new());
            session.insert("n", 3).unwrap();
            token_of(&session.finish(Outcome::Success).await.unwrap());
            assert_eq!(
                open(&manager, &new).await.get("n").unwrap(),
                Some(1),
                "{backend:?}"
            );
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn a_retired_token_beside_the_new_one_does_no_harm() {
    for backend in Backend::SERVER {
        let (manager, _, _) = stage(backend.store(), identity);
        let run = async {
            let old = create(&manager, [("n", 1)]).await;
            let new = renew(&manager, &old).await;
            for tokens in [[old.as_str(), new.as_str()], [new.as_str(), old.as_str()]] {
                let session = manager.begin(&tokens).await.unwrap();
                assert_eq!(session.get("n").unwrap(), Some(1), "{backend:?}");
                session.insert("m", 1).unwrap();
                assert_eq!(
                    session.finish(Outcome::Success).await.unwrap(),
                    Directive::Nothing
                );
                let session = open(&manager, &new).await;
                assert!(session.remove("m"), "it was stored");
                session.finish(Outcome::Success).await.unwrap();
            }
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn a_sign_in_with_a_retired_token_starts_a_session_with_this_requests_inserts() {
    for backend in Backend::SERVER {
        let (manager, _, _) = stage(backend.store(), identity);
        let run = async {
            let old = create(&manager, [("theirs", 1)]).await;
            let former = open(&manager, &old).await.id();
            let new = renew(&manager, &old).await;
            let session = open(&manager, &old).await;
            session.insert("mine", 1).unwrap();
            session.sign_in("user:2").unwrap();
            let token = token_of(&session.finish(Outcome::Success).await.unwrap());
            let session = open(&manager, &token).await;
            assert_ne!(session.id(), former);
            assert_eq!(session.principal().as_deref(), Some("user:2"));
            assert_eq!(session.keys(), ["mine"], "{backend:?}");
            assert_eq!(open(&manager, &new).await.keys(), ["theirs"]);
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn a_sign_in_retires_every_former_token_at_once() {
    for backend in Backend::SERVER {
        let (manager, _, clock) = stage(backend.store(), identity);
        let run = async {
            let first = create(&manager, [("basket", 1)]).await;
            let second = renew(&manager, &first).await;
            let session = open(&manager, &second).await;
            let id = session.id();
            session.sign_in("user:1").unwrap();
            let third = token_of(&session.finish(Outcome::Success).await.unwrap());
            for old in [&first, &second] {
                assert!(open(&manager, old).await.is_new(), "{backend:?}");
            }
            clock.advance(2 * GRACE);
            for old in [&first, &second] {
                assert!(open(&manager, old).await.is_new(), "{backend:?}");
            }
            let session = open(&manager, &third).await;
            assert_eq!(
                (session.id(), session.keys()),
                (id, vec!["basket".to_owned()])
            );
            assert_eq!(session.principal().as_deref(), Some("user:1"));
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn another_principal_inherits_nothing() {
    for backend in Backend::ALL {
        let (manager, _, _) = stage(backend.store(), identity);
        let run = async {
            let session = anonymous(&manager).await;
            session.insert("secret", 1).unwrap();
            session.sign_in("user:1").unwrap();
            let token = token_of(&session.finish(Outcome::Success).await.unwrap());
            let session = open(&manager, &token).await;
            let former = session.id();
            session.insert("late", 1).unwrap();
            session.sign_in("user:2").unwrap();
            assert!(session.is_empty(), "at once");
            session.insert("mine", 1).unwrap();
            let new = token_of(&session.finish(Outcome::Success).await.unwrap());
            let session = open(&manager, &new).await;
            assert_ne!(session.id(), former);
            assert_eq!(session.keys(), ["mine"], "{backend:?}");
            assert_eq!(session.principal().as_deref(), Some("user:2"));
            assert!(backend.is_sealed() || open(&manager, &token).await.is_new());

            // Two of them in one request: the last one's session holds nothing of the first one's.
            let session = anonymous(&manager).await;
            session.sign_in("user:1").unwrap();
            session.insert("secret", 1).unwrap();
            session.sign_in("user:2").unwrap();
            let token = token_of(&session.finish(Outcome::Success).await.unwrap());
            assert!(open(&manager, &token).await.is_empty(), "{backend:?}");
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn parallel_renewals_and_writers_leave_one_live_token_in_any_interleaving() {
    for backend in Backend::SERVER {
        for seed in 0..600 {
            let mut sim = Sim::new(seed);
            let store = backend.yielding(seed);
            let manager = SessionManager::builder(store)
                .clock(sim.clock())
                .build()
                .unwrap();
            let token = sim.block_on(create(&manager, [("n", 0)]));
            let outputs: Vec<_> = (0..5)
                .map(|who| {
                    let manager = manager.clone();
                    let token = token.clone();
                    sim.spawn(async move {
                        let session = open(&manager, &token).await;
                        let loaded = !session.is_new();
                        pause().await;
                        match who {
                            0 | 1 => session.renew().unwrap(),
                            2 => session.sign_in("user:1").unwrap(),
                            _ => session.insert("n", who).unwrap(),
                        }
                        (loaded, who, session.finish(Outcome::Success).await.unwrap())
                    })
                })
                .collect();
            sim.run();
            let mut tokens = vec![token.clone()];
            for output in outputs {
                let (loaded, who, directive) = output.take();
                if let Directive::Hold(new) = directive {
                    assert!(who < 3, "only a renewal sends a token");
                    assert!(
                        loaded || who == 2,
                        "seed {seed}: a retired token was given a new one"
                    );
                    tokens.push(new.as_str().to_owned());
                }
            }
            sim.block_on(async {
                let mut live = Vec::new();
                for token in &tokens {
                    live.extend(open(&manager, token).await.id());
                }
                // One renewal won. A sign-in that came too late has a session of its own.
                assert!(
                    (1..=2).contains(&live.len()),
                    "{backend:?}, seed {seed}: {live:?}"
                );
                assert!(
                    live.len() == 1 || live[0] != live[1],
                    "{backend:?}, seed {seed}"
                );
                assert!(
                    open(&manager, &token).await.is_new(),
                    "{backend:?}, seed {seed}"
                );
            });
        }
    }
}

#[test]
fn a_renewal_keeps_what_others_wrote_before_it() {
    for backend in Backend::SERVER {
        let (manager, _, _) = stage(backend.store(), identity);
        let run = async {
            let token = create(&manager, [("n", 1)]).await;
            let renewing = open(&manager, &token).await;
            let writing = open(&manager, &token).await;
            writing.insert("m", 2).unwrap();
            writing.finish(Outcome::Success).await.unwrap();
            renewing.insert("k", 3).unwrap();
            renewing.renew().unwrap();
            let token = token_of(&renewing.finish(Outcome::Success).await.unwrap());
            let stored = numbers(open(&manager, &token).await.session());
            assert_eq!(
                stored.into_values().collect::<Vec<_>>(),
                [3, 2, 1],
                "{backend:?}"
            );
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn retired_tokens_are_known_for_a_minute() {
    let (manager, _, clock) = stage(Backend::Memory.store(), identity);
    let run = async {
        let mut tokens = vec![create(&manager, [("n", 1)]).await];
        for _ in 0..8 {
            clock.advance(Duration::from_millis(100));
            let next = renew(&manager, tokens.last().unwrap()).await;
            tokens.push(next);
        }
        tokens.pop();
        for (at, token) in tokens.iter().enumerate() {
            let session = open(&manager, token).await;
            session.insert("n", 2).unwrap();
            let directive = session.finish(Outcome::Success).await.unwrap();
            assert_eq!(directive, Directive::Nothing, "token {at}");
        }
    };
    run.now_or_never().unwrap();
}

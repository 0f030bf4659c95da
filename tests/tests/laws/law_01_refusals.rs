//! Law 1: a closure that may refuse decides on what is stored when its request commits.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use futures_util::FutureExt;
use session_core::{
    Directive, Limits, MemoryStore, Outcome, Session, SessionError, SessionManager,
};
use session_tests::sim::pause;
use session_tests::{Backend, CountingStore, Sim, anonymous, create, numbers, open, token_of};

#[derive(Debug)]
enum SpendError {
    TooFew(u64),
    Session(SessionError),
}

impl fmt::Display for SpendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFew(left) => write!(f, "{left} are too few"),
            Self::Session(error) => error.fmt(f),
        }
    }
}

impl StdError for SpendError {}

impl From<SessionError> for SpendError {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}

/// Takes one of what is left; the last one removes the key.
fn spend(session: &Session) -> Result<(), SpendError> {
    session.try_modify("left", |left: &mut Option<u64>| {
        let rest = left.unwrap_or(0).checked_sub(1);
        let rest = rest.ok_or(SpendError::TooFew(left.unwrap_or(0)))?;
        *left = Some(rest).filter(|rest| *rest > 0);
        Ok(())
    })
}

/// What became of a request that spends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Became {
    Spent,
    RefusedAtOnce,
    RefusedAtCommit,
}

/// Requests that spend and note that they did, more than there is for.
fn run_out(backend: Backend, seed: u64) -> Vec<Became> {
    let mut sim = Sim::new(seed);
    let store = backend.yielding(seed);
    let processes = [0, 1].map(|_| sim.manager(Arc::clone(&store)));
    let there = 1 + sim.rng().below(3);
    let count = there + sim.rng().below(3);
    let token = sim.block_on(create(&processes[0], [("left", there as u64)]));
    let outputs: Vec<_> = (0..count)
        .map(|who| {
            let (manager, token) = (processes[who % 2].clone(), token.clone());
            sim.spawn(async move {
                let session = open(&manager, &token).await;
                pause().await;
                session.insert(&format!("spent{who}"), 1).unwrap();
                pause().await;
                match spend(&session) {
                    Err(SpendError::TooFew(0)) => {
                        session.finish(Outcome::Failure).await.unwrap();
                        return Became::RefusedAtOnce;
                    }
                    spent => spent.unwrap(),
                }
                pause().await;
                let finished = session.finish(Outcome::Success).await;
                match finished.map_err(SessionError::from) {
                    Ok(_) => Became::Spent,
                    Err(SessionError::Refused(cause)) => {
                        let cause = cause.downcast_ref::<SpendError>();
                        assert!(matches!(cause, Some(SpendError::TooFew(0))), "{cause:?}");
                        Became::RefusedAtCommit
                    }
                    Err(error) => panic!("{backend:?}, seed {seed}: {error}"),
                }
            })
        })
        .collect();
    sim.run();
    let became: Vec<_> = outputs.into_iter().map(|output| output.take()).collect();
    let spent = became
        .iter()
        .enumerate()
        .filter(|(_, it)| **it == Became::Spent);
    let spent: BTreeMap<_, _> = spent.map(|(who, _)| (format!("spent{who}"), 1)).collect();
    assert_eq!(spent.len(), there, "{backend:?}, seed {seed}: {became:?}");
    let after = sim.block_on(async { numbers(open(&processes[0], &token).await.session()) });
    let after: BTreeMap<_, _> = after.into_iter().collect();
    assert_eq!(
        after, spent,
        "{backend:?}, seed {seed}: a refusal leaves nothing"
    );
    became
}

#[test]
fn as_many_succeed_as_there_is_for_in_any_interleaving() {
    let mut all = Vec::new();
    for backend in Backend::SERVER {
        for seed in 0..1_500 {
            all.extend(run_out(backend, seed));
        }
    }
    // The seeds reach all of it.
    for became in [
        Became::Spent,
        Became::RefusedAtOnce,
        Became::RefusedAtCommit,
    ] {
        let count = all.iter().filter(|it| **it == became).count();
        assert!(count > 500, "{became:?}: {count}");
    }
}

#[test]
fn a_refusal_at_the_commit_says_why_and_leaves_nothing() {
    for backend in Backend::SERVER {
        let mut sim = Sim::new(1);
        let manager = sim.manager(backend.store());
        sim.block_on(async {
            let token = create(&manager, [("left", 1)]).await;
            let session = open(&manager, &token).await;
            session.insert("order", 7).unwrap();
            spend(&session).unwrap();
            let rival = open(&manager, &token).await;
            spend(&rival).unwrap();
            rival.finish(Outcome::Success).await.unwrap();

            let refused = session.save().await.unwrap_err();
            assert!(matches!(refused, SessionError::Refused(_)), "{refused:?}");
            assert!(!refused.is_temporary());
            assert_eq!(refused.source().unwrap().to_string(), "0 are too few");
            assert!(!refused.to_string().contains("too few"), "{refused}");
            // It stays refused, so nothing is done by half.
            assert!(matches!(
                session.save().await,
                Err(SessionError::Refused(_))
            ));
            assert!(open(&manager, &token).await.is_empty(), "{backend:?}");

            // Unless the value allows it again.
            rival.insert("left", 5).unwrap();
            rival.save().await.unwrap();
            session.save().await.unwrap();
            let after = numbers(open(&manager, &token).await.session());
            assert_eq!((after["left"], after["order"]), (4, 7), "{backend:?}");
        });
    }
}

#[test]
fn a_check_that_changes_nothing_holds_at_the_commit_too() {
    for backend in Backend::SERVER {
        let mut sim = Sim::new(1);
        let manager = sim.manager(backend.store());
        sim.block_on(async {
            let token = create(&manager, [("left", 1)]).await;
            let session = open(&manager, &token).await;
            let any_left = |left: &mut Option<u64>| match left {
                Some(_) => Ok(()),
                None => Err(SpendError::TooFew(0)),
            };
            session.try_modify("left", any_left).unwrap();
            session.insert("order", 7).unwrap();
            let rival = open(&manager, &token).await;
            spend(&rival).unwrap();
            rival.finish(Outcome::Success).await.unwrap();
            let failed = session.finish(Outcome::Success).await.unwrap_err();
            assert!(
                matches!(failed.error, SessionError::Refused(_)),
                "{backend:?}"
            );
            assert_eq!(failed.directive, Directive::Nothing);
            assert!(open(&manager, &token).await.is_empty(), "{backend:?}");
        });
    }
}

#[test]
fn what_leaves_the_value_as_it_is_writes_nothing() {
    for backend in Backend::SERVER {
        let mut sim = Sim::new(1);
        let store = CountingStore::new(backend.store());
        let manager = sim.manager(Arc::clone(&store));
        sim.block_on(async {
            let session = anonymous(&manager).await;
            let map: BTreeMap<&str, u8> = [("tea", 1), ("milk", 2)].into();
            session.insert("map", map).unwrap();
            let token = token_of(&session.finish(Outcome::Success).await.unwrap());
            store.take();
            let session = open(&manager, &token).await;
            session
                .modify("map", |_: &mut Option<BTreeMap<String, u8>>| ())
                .unwrap();
            session.modify("none", |_: &mut Option<u64>| ()).unwrap();
            let back_and_forth = |value: &mut Option<u64>| *value = value.take();
            session.modify("none", back_and_forth).unwrap();
            let refuse = |map: &mut Option<BTreeMap<String, u8>>| {
                *map = None;
                Err::<(), _>(SpendError::TooFew(0))
            };
            session.try_modify("map", refuse).unwrap_err();
            assert_eq!(session.keys(), ["map"]);
            session.finish(Outcome::Success).await.unwrap();
            let counts = store.take();
            assert_eq!((counts.loads, counts.updates), (1, 0), "{backend:?}");
        });
    }
}

#[test]
fn of_a_new_session_only_what_a_closure_leaves_is_stored() {
    for backend in Backend::SERVER {
        let mut sim = Sim::new(1);
        let store = CountingStore::new(backend.store());
        let manager = sim.manager(Arc::clone(&store));
        sim.block_on(async {
            let session = anonymous(&manager).await;
            session
                .modify("n", |n: &mut Option<u64>| *n = Some(1))
                .unwrap();
            session
                .modify("n", |n: &mut Option<u64>| *n = None)
                .unwrap();
            session.finish(Outcome::Success).await.unwrap();
            assert!(session.is_new() && session.is_empty());
            assert_eq!(store.take().creates, 0, "{backend:?}");
        });
    }
}

/// The application's error may look at the session while it is made, so it is made without a lock.
#[test]
fn an_error_is_made_and_a_value_dropped_without_a_lock() {
    thread_local! {
        static SESSION: RefCell<Option<Session>> = const { RefCell::new(None) };
    }
    fn look() {
        SESSION.with_borrow(|session| assert!(session.as_ref().unwrap().keys().len() < 9));
    }
    struct Looks;
    impl Drop for Looks {
        fn drop(&mut self) {
            look();
        }
    }
    #[derive(Debug)]
    struct Curious;
    impl fmt::Display for Curious {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("curious")
        }
    }
    impl StdError for Curious {}
    impl From<SessionError> for Curious {
        fn from(_: SessionError) -> Self {
            look();
            Self
        }
    }
    let (done, over) = mpsc::channel();
    std::thread::spawn(move || {
        let manager = SessionManager::builder(MemoryStore::new())
            .limits(Limits::default().with_record_bytes(2_000))
            .build()
            .unwrap();
        let guard = anonymous(&manager).now_or_never().unwrap();
        let session = guard.session().clone();
        SESSION.set(Some(session.clone()));
        let captured = Looks;
        let too_much = move |text: &mut Option<String>| {
            let _ = &captured;
            *text = Some("x".repeat(4_000));
            Ok::<_, Curious>(Looks)
        };
        assert!(session.try_modify("text", too_much).is_err());
        // A clone was faster: what the first run returned is dropped.
        let (is_first, clone) = (AtomicBool::new(true), session.clone());
        let raced = move |text: &mut Option<String>| {
            if is_first.swap(false, Ordering::Relaxed) {
                clone.insert("text", "faster").unwrap();
            }
            *text = text.take().map(|text| text + "!");
            Ok::<_, Curious>(Looks)
        };
        drop(session.try_modify("text", raced));
        assert_eq!(
            session.get::<String>("text").unwrap().as_deref(),
            Some("faster!")
        );
        done.send(()).unwrap();
    });
    over.recv_timeout(Duration::from_secs(20))
        .expect("a deadlock");
}

/// The closure's panic goes to whoever polls the commit, and nothing of ours is left behind.
#[test]
fn a_closure_that_panics_in_a_replay_leaves_the_session_usable() {
    for backend in Backend::SERVER {
        let mut sim = Sim::new(1);
        let manager = sim.manager(backend.store());
        let token = sim.block_on(create(&manager, [("n", 1)]));
        let panics = |n: &mut Option<u64>| {
            assert_ne!(*n, Some(5), "five");
            *n = Some(n.unwrap_or(0) + 1);
        };
        let guard = sim.block_on(open(&manager, &token));
        guard.modify("n", panics).unwrap();
        sim.block_on(async {
            let rival = open(&manager, &token).await;
            rival.insert("n", 5).unwrap();
            rival.finish(Outcome::Success).await.unwrap();
        });
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            guard.finish(Outcome::Success).now_or_never()
        }));
        assert!(unwound.is_err(), "{backend:?}");
        let rival = sim.block_on(open(&manager, &token));
        rival.insert("n", 7).unwrap();
        sim.block_on(rival.finish(Outcome::Success)).unwrap();
        sim.block_on(guard.finish(Outcome::Success)).unwrap();
        let after = sim.block_on(async { numbers(open(&manager, &token).await.session()) });
        assert_eq!(after["n"], 8, "{backend:?}");
    }
}

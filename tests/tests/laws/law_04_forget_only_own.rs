//! Law 4: a response tells the client to forget its token only if this request destroyed the
//! session.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use proptest::prelude::*;
use session_core::{Directive, Outcome, SessionManager};
use session_tests::cases;
use session_tests::story::{Step, clock, play};
use session_tests::{Backend, Call, Fault, FaultStore, anonymous, create, open, token_of};

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => any::<u8>().prop_map(Step::Insert),
        1 => Just(Step::Clear),
        2 => Just(Step::Destroy),
        1 => Just(Step::Renew),
        1 => any::<u8>().prop_map(Step::SignIn),
        1 => Just(Step::Save),
        3 => Just(Step::Commit),
        1 => Just(Step::Abort),
        2 => any::<u8>().prop_map(Step::Old),
        1 => any::<u8>().prop_map(Step::Forged),
        1 => Just(Step::None),
        1 => Just(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(cases(1500))]

    #[test]
    fn forget_is_said_only_by_the_request_that_destroyed_the_session(
        backend in proptest::sample::select(Backend::ALL.as_slice()),
        steps in prop::collection::vec(step(), 1..24),
    ) {
        for told in play(backend, clock(), &steps).now_or_never().unwrap() {
            let ended_mine = told.loaded.is_some_and(|id| told.destroyed.contains(&id));
            match told.directive {
                Directive::Forget => prop_assert!(ended_mine, "{told:?}"),
                Directive::Nothing => {
                    prop_assert!(!ended_mine, "a destroyed session was kept: {told:?}");
                }
                Directive::Hold(_) => {}
            }
        }
    }
}

#[test]
fn a_miss_says_nothing() {
    for backend in Backend::ALL {
        let clock = clock();
        let manager = SessionManager::builder(backend.store())
            .clock(Arc::clone(&clock))
            .build()
            .unwrap();
        let check = async {
            let expired = create(&manager, [("n", 1)]).await;
            clock.advance(manager.lifetime().idle());
            let forged = "A".repeat(43);
            let tokens = [expired.as_str(), forged.as_str(), "", "x", "ÄÖÜ"];
            for token in tokens {
                let session = open(&manager, token).await;
                assert!(session.is_new());
                session.clear();
                session.remove("n");
                session.renew().unwrap();
                session.destroy().unwrap();
                assert_eq!(
                    session.finish(Outcome::Success).await.unwrap(),
                    Directive::Nothing,
                    "{backend:?}"
                );
                let session = open(&manager, token).await;
                assert_eq!(
                    session.finish(Outcome::Failure).await.unwrap(),
                    Directive::Nothing
                );
            }
        };
        check.now_or_never().unwrap();
    }
}

#[test]
fn a_corrupt_record_says_nothing() {
    let faults = FaultStore::new(Backend::Memory.store());
    let manager = SessionManager::new(Arc::clone(&faults));
    let check = async {
        let token = create(&manager, [("n", 1)]).await;
        faults.plan(Call::Load, Fault::Corrupt);
        let session = open(&manager, &token).await;
        assert_eq!(
            session.finish(Outcome::Success).await.unwrap(),
            Directive::Nothing
        );
    };
    check.now_or_never().unwrap();
}

#[test]
fn a_late_answer_does_not_wipe_out_a_newer_login() {
    for backend in Backend::SERVER {
        let clock = clock();
        let manager = SessionManager::builder(backend.store())
            .clock(Arc::clone(&clock))
            .build()
            .unwrap();
        let check = async {
            let before = create(&manager, [("n", 1)]).await;
            let late = open(&manager, &before).await;
            late.insert("n", 2).unwrap();
            let login = open(&manager, &before).await;
            login.sign_in("user:1").unwrap();
            token_of(&login.finish(Outcome::Success).await.unwrap());
            assert_eq!(
                late.finish(Outcome::Success).await.unwrap(),
                Directive::Nothing
            );
            for wait in [0, 9, 1, 1, 60] {
                clock.advance(Duration::from_secs(wait));
                let old = open(&manager, &before).await;
                assert_eq!(old.get::<u64>("n").unwrap(), None);
                assert_eq!(
                    old.finish(Outcome::Success).await.unwrap(),
                    Directive::Nothing,
                    "{backend:?}"
                );
            }
        };
        check.now_or_never().unwrap();
    }
}

#[test]
fn a_session_that_the_client_never_held_needs_no_forgetting() {
    for backend in Backend::ALL {
        let manager = SessionManager::new(backend.store());
        let check = async {
            let session = anonymous(&manager).await;
            session.insert("n", 1).unwrap();
            session.save().await.unwrap();
            session.destroy().unwrap();
            assert_eq!(
                session.finish(Outcome::Success).await.unwrap(),
                Directive::Nothing,
                "{backend:?}"
            );
        };
        check.now_or_never().unwrap();
    }
}

#[test]
fn the_second_of_two_logouts_forgets_as_well_and_a_refused_response_too() {
    for backend in Backend::ALL {
        let manager = SessionManager::new(backend.store());
        let check = async {
            let token = create(&manager, [("n", 1)]).await;
            let first = open(&manager, &token).await;
            let second = open(&manager, &token).await;
            first.destroy().unwrap();
            second.destroy().unwrap();
            assert_eq!(
                first.finish(Outcome::Success).await.unwrap(),
                Directive::Forget
            );
            assert_eq!(
                second.finish(Outcome::Failure).await.unwrap(),
                Directive::Forget,
                "{backend:?}"
            );
            assert!(backend.is_sealed() || open(&manager, &token).await.is_new());
        };
        check.now_or_never().unwrap();
    }
}

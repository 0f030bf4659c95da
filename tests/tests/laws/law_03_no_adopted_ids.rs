//! Law 3: no adopted ids (S1, S3, S4).

use futures_util::FutureExt;
use proptest::prelude::*;
use session_core::{Directive, Outcome, SessionManager};
use session_tests::cases;
use session_tests::story::{Step, clock, play};
use session_tests::{
    Backend, Call, CountingStore, Counts, Fault, FaultStore, anonymous, create, open, token_of,
};

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<u8>().prop_map(Step::Insert),
        1 => Just(Step::Clear),
        2 => Just(Step::Destroy),
        1 => Just(Step::Renew),
        1 => any::<u8>().prop_map(Step::SignIn),
        2 => Just(Step::Save),
        3 => Just(Step::Commit),
        1 => Just(Step::Abort),
        1 => any::<u8>().prop_map(Step::Old),
        1 => any::<u8>().prop_map(Step::Forged),
        1 => Just(Step::None),
        1 => Just(Step::Wait),
    ]
}

fn backend() -> impl Strategy<Value = Backend> {
    proptest::sample::select(Backend::ALL.as_slice())
}

proptest! {
    #![proptest_config(cases(1500))]

    #[test]
    fn every_id_that_is_sent_was_drawn_by_us_or_loaded_in_this_request(
        backend in backend(),
        steps in prop::collection::vec(step(), 1..24),
    ) {
        for told in play(backend, clock(), &steps).now_or_never().unwrap() {
            let Some(sent) = told.sent else { continue };
            let drawn = !told.known.contains(&sent);
            prop_assert!(drawn || told.loaded == Some(sent), "{told:?}");
            prop_assert!(!told.destroyed.contains(&sent), "a destroyed session was sent: {told:?}");
        }
    }

    #[test]
    fn after_a_destroy_an_insert_starts_a_new_session(
        backend in backend(),
        before in prop::collection::vec(step(), 0..12),
        between in prop::collection::vec(
            prop_oneof![Just(Step::Clear), Just(Step::Renew), Just(Step::Save)],
            0..3,
        ),
    ) {
        let mut steps = before;
        steps.push(Step::None);
        steps.extend([Step::Insert(9), Step::Commit, Step::Destroy]);
        steps.extend(between);
        steps.extend([Step::Insert(6), Step::Commit]);
        let told = play(backend, clock(), &steps).now_or_never().unwrap();
        let [.., last, _] = told.as_slice() else { unreachable!() };
        prop_assert!(last.loaded.is_some());
        let sent = last.sent.expect("a new session");
        prop_assert!(!last.known.contains(&sent));
        prop_assert_eq!(&last.stored, &["k2"]);
    }

    #[test]
    fn what_a_handler_saw_at_the_end_is_what_is_stored(
        backend in backend(),
        steps in prop::collection::vec(step(), 1..24),
    ) {
        for told in play(backend, clock(), &steps).now_or_never().unwrap() {
            if told.committed && told.sent.is_some() {
                prop_assert_eq!(&told.seen, &told.stored, "{:?}", told);
            }
        }
    }
}

#[test]
fn a_token_that_opens_nothing_is_not_adopted() {
    for backend in Backend::ALL {
        let manager = SessionManager::new(backend.store());
        let check = async {
            let forged = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
            let session = open(&manager, forged).await;
            assert!(session.is_new() && session.id().is_none());
            session.insert("n", 1).unwrap();
            let token = token_of(&session.finish(Outcome::Success).await.unwrap());
            assert_ne!(token, forged);
            assert_ne!(session.id().unwrap().as_bytes(), &[0; 16]);
            assert!(open(&manager, forged).await.is_new());
            assert!(!open(&manager, &token).await.is_new());
        };
        check.now_or_never().unwrap();
    }
}

#[test]
fn a_known_id_with_another_secret_opens_nothing() {
    let manager = SessionManager::new(Backend::Memory.store());
    let check = async {
        let token = create(&manager, [("n", 1)]).await;
        let last = if token.ends_with('A') { 'E' } else { 'A' };
        let other = format!("{}{last}", &token[..42]);
        let session = open(&manager, &other).await;
        assert!(session.is_new());
        session.insert("n", 2).unwrap();
        let sent = token_of(&session.finish(Outcome::Success).await.unwrap());
        assert_ne!(sent[..21], token[..21]);
        assert_eq!(open(&manager, &token).await.get("n").unwrap(), Some(1));
    };
    check.now_or_never().unwrap();
}

#[test]
fn an_unknown_token_creates_no_record() {
    for backend in Backend::ALL {
        let store = CountingStore::new(backend.store());
        let manager = SessionManager::new(std::sync::Arc::clone(&store));
        let check = async {
            let session = open(&manager, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").await;
            assert_eq!(session.get::<u64>("n").unwrap(), None);
            assert_eq!(
                session.finish(Outcome::Success).await.unwrap(),
                Directive::Nothing
            );
            assert_eq!(store.take(), Counts::LOAD, "{backend:?}");
        };
        check.now_or_never().unwrap();
    }
}

#[test]
fn an_id_that_is_taken_is_drawn_anew_and_not_for_ever() {
    let check = async {
        let faults = FaultStore::new(Backend::Memory.store());
        let store = CountingStore::new(std::sync::Arc::clone(&faults));
        let manager = SessionManager::new(std::sync::Arc::clone(&store));
        faults.plan(Call::Create, Fault::IdTaken);
        faults.plan(Call::Create, Fault::IdTaken);
        let session = anonymous(&manager).await;
        session.insert("n", 1).unwrap();
        token_of(&session.finish(Outcome::Success).await.unwrap());
        assert_eq!(store.take().creates, 3);

        faults.always(Call::Create, Fault::IdTaken);
        let session = anonymous(&manager).await;
        session.insert("n", 1).unwrap();
        session.finish(Outcome::Success).await.unwrap_err();
        assert_eq!(store.take().creates, 5, "the first draw, and four more");
    };
    check.now_or_never().unwrap();
}

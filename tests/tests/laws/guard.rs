//! The guard of a request: what finishing a second time, cancelling and dropping it mean.

use std::error::Error as _;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::FutureExt;
use session_core::store::StoreError;
use session_core::{
    Directive, Event, EventKind, MemoryStore, Outcome, SessionError, SessionManager,
};
use session_tests::{
    Backend, Call, CountingStore, Counts, Fault, FaultStore, create, open, sign_in, token_of,
};

type Counted = CountingStore<Arc<FaultStore<Arc<MemoryStore>>>>;

fn stage() -> (
    SessionManager,
    Arc<Counted>,
    Arc<FaultStore<Arc<MemoryStore>>>,
) {
    let faults = FaultStore::new(Arc::new(MemoryStore::new()));
    let counted = CountingStore::new(Arc::clone(&faults));
    (SessionManager::new(Arc::clone(&counted)), counted, faults)
}

fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().unwrap()
}

fn poll<F: Future>(future: &mut Pin<Box<F>>) -> Option<F::Output> {
    future.as_mut().now_or_never()
}

const ALL: [Outcome; 3] = [
    Outcome::Success,
    Outcome::SuccessWithoutToken,
    Outcome::Failure,
];

#[test]
fn finishing_again_writes_nothing_and_tells_nothing() {
    for backend in Backend::ALL {
        for (first, second) in ALL.map(|first| ALL.map(|second| (first, second))).concat() {
            let store = CountingStore::new(backend.store());
            let manager = SessionManager::new(Arc::clone(&store));
            let token = now(create(&manager, [("n", 1)]));
            let guard = now(open(&manager, &token));
            guard.insert("n", 2).unwrap();
            now(guard.finish(first)).unwrap();
            store.take();
            // A handle that outlives its response changes it, and nobody saves that.
            guard.insert("n", 3).unwrap();
            let what = format!("{backend:?}, {first:?}, {second:?}");
            assert_eq!(guard.finish_now(second), Some(Directive::Nothing), "{what}");
            assert_eq!(
                now(guard.finish(second)).unwrap(),
                Directive::Nothing,
                "{what}"
            );
            assert_eq!(store.take(), Counts::NONE, "{what}");
            assert_eq!(guard.get("n").unwrap(), Some(3), "{what}: nor drops it");
        }
    }
}

/// A save of a clone that hangs does not hold it up either.
#[test]
fn finishing_again_waits_for_nobody() {
    let (manager, _, faults) = stage();
    let token = now(create(&manager, [("n", 1)]));
    for outcome in ALL {
        let guard = now(open(&manager, &token));
        assert_eq!(guard.finish_now(Outcome::Success), Some(Directive::Nothing));
        let clone = guard.session().clone();
        clone.insert("n", 2).unwrap();
        faults.plan(Call::Update, Fault::Hang);
        let mut save = Box::pin(clone.save());
        assert!(poll(&mut save).is_none());
        assert_eq!(now(guard.finish(outcome)).unwrap(), Directive::Nothing);
    }
}

/// Of two calls at once the one that comes second waits, and has nothing to do.
#[test]
fn of_two_at_once_one_writes() {
    for second in ALL {
        let (manager, counted, faults) = stage();
        let token = now(create(&manager, [("n", 1)]));
        let guard = now(open(&manager, &token));
        guard.renew().unwrap();
        counted.take();
        faults.plan(Call::Update, Fault::Slow);
        let mut one = Box::pin(guard.finish(Outcome::Success));
        assert!(poll(&mut one).is_none());
        let mut other = Box::pin(guard.finish(second));
        assert!(poll(&mut other).is_none());
        let told = poll(&mut one).unwrap().unwrap();
        guard.insert("n", 2).unwrap(); // too late for either of them
        assert_eq!(
            poll(&mut other).unwrap().unwrap(),
            Directive::Nothing,
            "{second:?}"
        );
        assert_eq!(counted.take().updates, 1);
        assert!(!now(open(&manager, &token_of(&told))).is_new());
    }
}

#[test]
fn a_finish_that_is_cancelled_does_not_count() {
    // Before anything was sent, the next call does it all.
    let (manager, counted, faults) = stage();
    let guard = now(manager.begin(&[])).unwrap();
    guard.insert("n", 1).unwrap();
    now(guard.save()).unwrap();
    faults.plan(Call::Load, Fault::Hang); // it looks whether the session still is
    assert!(guard.finish(Outcome::Success).now_or_never().is_none());
    let token = token_of(&now(guard.finish(Outcome::Success)).unwrap());
    assert_eq!(now(open(&manager, &token)).get("n").unwrap(), Some(1));

    // After a write was sent, nobody knows what became of it.
    for fault in [Fault::Hang, Fault::HangAfter] {
        let guard = now(open(&manager, &token));
        guard.insert("n", 2).unwrap();
        faults.plan(Call::Update, fault);
        assert!(guard.finish(Outcome::Success).now_or_never().is_none());
        counted.take();
        let failed = now(guard.finish(Outcome::Success)).unwrap_err();
        let unknown = matches!(
            failed.error,
            SessionError::Store(StoreError::OutcomeUnknown(_))
        );
        assert!(unknown && failed.directive == Directive::Nothing);
        assert_eq!(counted.take(), Counts::NONE, "{fault:?}");
        assert_eq!(
            now(guard.finish(Outcome::Success)).unwrap(),
            Directive::Nothing
        );
    }
}

#[test]
fn a_finish_that_fails_says_what_the_client_must_be_told_all_the_same() {
    // It ended one session, and could not begin another.
    let (manager, _, faults) = stage();
    let (token, _) = now(sign_in(&manager, "ann"));
    let guard = now(open(&manager, &token));
    guard.destroy().unwrap();
    guard.insert("n", 1).unwrap();
    faults.plan(Call::Create, Fault::Unavailable);
    let failed = now(guard.finish(Outcome::Success)).unwrap_err();
    assert_eq!(failed.directive, Directive::Forget);
    assert!(now(open(&manager, &token)).is_new());
    let source = failed.source().unwrap();
    assert_eq!(source.to_string(), failed.error.to_string());
    assert!(!failed.to_string().contains(&source.to_string()));
    assert!(SessionError::from(failed).is_temporary());

    // A handler saved a session, and what it wrote later on failed.
    let guard = now(manager.begin(&[])).unwrap();
    guard.insert("n", 1).unwrap();
    now(guard.save()).unwrap();
    guard.insert("n", 2).unwrap();
    faults.plan(Call::Update, Fault::Unavailable);
    let failed = now(guard.finish(Outcome::Success)).unwrap_err();
    let stored = now(open(&manager, &token_of(&failed.directive)));
    assert_eq!(stored.get("n").unwrap(), Some(1));
    assert_eq!(guard.get("n").unwrap(), Some(1), "the rest is dropped");
}

#[test]
fn a_request_that_only_read_is_finished_without_waiting_also_if_it_failed() {
    for backend in Backend::ALL {
        let store = CountingStore::new(backend.store());
        let manager = SessionManager::new(Arc::clone(&store));
        let token = now(create(&manager, [("n", 1)]));
        for outcome in ALL {
            let guard = now(open(&manager, &token));
            store.take();
            assert_eq!(guard.finish_now(outcome), Some(Directive::Nothing));
            assert!(matches!(guard.renew(), Err(SessionError::Detached)));
            let guard = now(open(&manager, &token));
            guard.destroy().unwrap();
            assert_eq!(guard.finish_now(outcome), None, "{backend:?}, {outcome:?}");
            guard.sign_in("ann").unwrap(); // it is still open
            assert_eq!(store.take(), Counts::LOAD, "{backend:?}");
        }
    }
}

/// As in a task that is cancelled: its handles go on with what the client knows.
#[test]
fn a_guard_that_is_dropped_detaches_its_session_and_writes_nothing() {
    let seen = Arc::<std::sync::Mutex<Vec<EventKind>>>::default();
    let kinds = Arc::clone(&seen);
    let store = CountingStore::new(MemoryStore::new());
    let builder = SessionManager::builder(Arc::clone(&store))
        .observer(move |event: &Event<'_>| kinds.lock().unwrap().push(event.kind));
    let manager = builder.build().unwrap();
    let token = now(create(&manager, [("n", 1)]));
    let guard = now(open(&manager, &token));
    let handle = guard.session().clone();
    handle.insert("n", 2).unwrap();
    handle.renew().unwrap();
    store.take();
    drop(guard);
    assert_eq!(store.take(), Counts::NONE);
    assert!(matches!(handle.destroy(), Err(SessionError::Detached)));
    assert!(matches!(handle.sign_in("ann"), Err(SessionError::Detached)));
    seen.lock().unwrap().clear();
    drop(handle);
    assert_eq!(*seen.lock().unwrap(), [EventKind::Unsaved]);
    assert_eq!(now(open(&manager, &token)).get("n").unwrap(), Some(1));
}

#[test]
fn debug_of_a_guard_shows_no_secret() {
    let manager = SessionManager::new(MemoryStore::new());
    let token = now(create(&manager, [("hunter2", 1)]));
    let guard = now(open(&manager, &token));
    let text = format!("{guard:?}");
    assert_eq!(text, format!("SessionGuard({:?})", guard.session()));
    assert!(!text.contains("hunter2") && !text.contains(&token));
}

/// Whatever the outcome, a session that was destroyed is deleted, and its client is told.
#[test]
fn who_destroyed_a_session_forgets_it_whatever_the_outcome() {
    for outcome in ALL {
        let (manager, _, _) = stage();
        let (token, _) = now(sign_in(&manager, "ann"));
        let guard = now(open(&manager, &token));
        guard.destroy().unwrap();
        assert_eq!(now(guard.finish(outcome)).unwrap(), Directive::Forget);
    }
}

/// What was written before the failure stays, and the client is told of it.
#[test]
fn a_finish_may_fail_after_it_has_written() {
    let (manager, _, faults) = stage();
    let (token, _) = now(sign_in(&manager, "ann"));
    let guard = now(open(&manager, &token));
    guard.sign_in("bob").unwrap();
    faults.plan(Call::Delete, Fault::Unavailable);
    let failed = now(guard.finish(Outcome::Success)).unwrap_err();
    let bobs = now(open(&manager, &token_of(&failed.directive)));
    assert_eq!(bobs.principal().as_deref(), Some("bob"));
    assert_eq!(
        now(open(&manager, &token)).principal().as_deref(),
        Some("ann")
    );
}

/// What the cancelled call wrote is there, so the client is told, however the request goes on.
#[test]
fn a_finish_that_was_cancelled_after_it_wrote_tells_the_client_also_if_the_request_fails() {
    let (manager, counted, faults) = stage();
    let (token, _) = now(sign_in(&manager, "ann"));
    let guard = now(open(&manager, &token));
    guard.sign_in("bob").unwrap();
    guard.insert("n", 1).unwrap();
    faults.plan(Call::Delete, Fault::Hang); // bob's session is stored by then
    assert!(guard.finish(Outcome::Success).now_or_never().is_none());
    guard.insert("n", 2).unwrap();
    counted.take();
    let told = now(guard.finish(Outcome::Failure)).unwrap();
    assert_eq!(counted.take().updates, 0);
    let bobs = now(open(&manager, &token_of(&told)));
    assert_eq!(bobs.principal().as_deref(), Some("bob"));
    assert_eq!(bobs.get("n").unwrap(), Some(1));
}

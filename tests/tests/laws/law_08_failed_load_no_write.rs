//! Law 8: a failed load is never followed by a write (S42).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use session_core::store::StoreError;
use session_core::{
    Directive, MemoryStore, OnCorrupt, Outcome, SessionError, SessionManager, Timeouts,
};
use session_tests::{
    Backend, Call, CountingStore, Counts, Fault, FaultStore, Sim, anonymous, create, open, token_of,
};

type Faults = Arc<FaultStore<Arc<dyn session_core::store::SessionStore>>>;
type Counted = Arc<CountingStore<Faults>>;

fn stage(sim: &Sim, backend: Backend) -> (SessionManager, Faults, Counted) {
    let faults = FaultStore::new(backend.store());
    let counted = CountingStore::new(Arc::clone(&faults));
    let manager = SessionManager::builder(Arc::clone(&counted))
        .clock(sim.clock())
        .build()
        .unwrap();
    (manager, faults, counted)
}

#[test]
fn a_store_that_is_down_is_an_error_and_no_empty_session() {
    for backend in Backend::ALL {
        for fault in [Fault::Unavailable, Fault::LostRequest, Fault::Hang] {
            let mut sim = Sim::new(1);
            let (manager, faults, counted) = stage(&sim, backend);
            let token = sim.block_on(create(&manager, [("n", 1)]));
            counted.take();
            faults.plan(Call::Load, fault);
            let begin = sim.clock().now();
            let error = sim.block_on(manager.begin(&[&token])).unwrap_err();
            assert!(
                matches!(error, SessionError::Store(_)) && error.is_temporary(),
                "{fault:?}"
            );
            let waited = sim.clock().now().duration_since(begin);
            let expected = if fault == Fault::Hang { 2 } else { 0 };
            assert_eq!(waited, Duration::from_secs(expected), "{fault:?}");
            assert_eq!(
                counted.take(),
                Counts::LOAD,
                "one call, and nothing after it"
            );
        }
    }
}

#[test]
fn the_second_of_two_tokens_that_fails_to_load_is_an_error_too() {
    let mut sim = Sim::new(1);
    let (manager, faults, counted) = stage(&sim, Backend::Memory);
    let token = sim.block_on(create(&manager, [("n", 1)]));
    counted.take();
    faults.plan(Call::Load, Fault::None);
    faults.plan(Call::Load, Fault::Unavailable);
    let other = "A".repeat(43);
    sim.block_on(manager.begin(&[&token, &other])).unwrap_err();
    assert_eq!(
        counted.take(),
        Counts {
            loads: 2,
            ..Counts::NONE
        }
    );
}

#[test]
fn a_write_that_hangs_ends_at_the_deadline_of_a_call_with_an_unknown_outcome() {
    for backend in Backend::ALL {
        let mut sim = Sim::new(1);
        let faults = FaultStore::new(backend.store());
        let timeouts = Timeouts::default().with_call(Duration::from_millis(700));
        let manager = SessionManager::builder(Arc::clone(&faults))
            .clock(sim.clock())
            .timeouts(timeouts)
            .build()
            .unwrap();
        let token = sim.block_on(create(&manager, [("n", 1)]));
        for (call, session) in [
            (Call::Update, sim.block_on(open(&manager, &token))),
            (Call::Create, sim.block_on(anonymous(&manager))),
        ] {
            faults.plan(call, Fault::Hang);
            session.insert("n", 2).unwrap();
            let begin = sim.clock().now();
            let failed = sim.block_on(session.finish(Outcome::Success));
            let error = failed.unwrap_err().error;
            assert!(
                matches!(error, SessionError::Store(StoreError::OutcomeUnknown(_))),
                "{error:?}"
            );
            assert_eq!(sim.clock().now().duration_since(begin), timeouts.call());
        }
    }
}

#[test]
fn a_write_whose_outcome_is_unknown_is_never_sent_again() {
    for backend in Backend::ALL {
        for fault in [
            Fault::LostRequest,
            Fault::LostAnswer,
            Fault::Hang,
            Fault::HangAfter,
        ] {
            for call in [Call::Update, Call::Create] {
                let mut sim = Sim::new(1);
                let (manager, faults, counted) = stage(&sim, backend);
                sim.block_on(async {
                    let token = create(&manager, [("n", 1)]).await;
                    let session = match call {
                        Call::Update => open(&manager, &token).await,
                        _ => anonymous(&manager).await,
                    };
                    counted.take();
                    faults.plan(call, fault);
                    session
                        .update("n", |n: Option<u64>| n.unwrap_or(0) + 1)
                        .unwrap();
                    for attempt in [session.save().await, session.save().await] {
                        let unknown = matches!(
                            attempt,
                            Err(SessionError::Store(StoreError::OutcomeUnknown(_)))
                        );
                        assert!(unknown, "{backend:?}, {fault:?}: {attempt:?}");
                    }
                    session.finish(Outcome::Success).await.unwrap_err();
                    let sent = counted.take();
                    assert_eq!(sent.updates + sent.creates, 1, "{backend:?}, {fault:?}");
                    if call == Call::Update && !backend.is_sealed() {
                        let applied = matches!(fault, Fault::LostAnswer | Fault::HangAfter);
                        let expected = if applied { 2 } else { 1 };
                        assert_eq!(
                            open(&manager, &token).await.get("n").unwrap(),
                            Some(expected)
                        );
                    }
                });
            }
        }
    }
}

#[test]
fn a_save_that_was_cancelled_never_applies_a_closure_twice() {
    for backend in Backend::SERVER {
        // Cancelled while the call hangs, whether it was carried out or not.
        for fault in [Fault::Hang, Fault::HangAfter] {
            let mut sim = Sim::new(1);
            let (manager, faults, _) = stage(&sim, backend);
            sim.block_on(async {
                let token = create(&manager, [("n", 1)]).await;
                let session = open(&manager, &token).await;
                let runs = Arc::new(AtomicU64::new(0));
                let counted = Arc::clone(&runs);
                let add = move |n: Option<u64>| {
                    counted.fetch_add(1, Ordering::Relaxed);
                    n.unwrap() + 1
                };
                faults.plan(Call::Update, fault);
                assert!(
                    session.update_now("n", add).now_or_never().is_none(),
                    "cancelled"
                );
                let again = session.save().await;
                assert!(matches!(
                    again,
                    Err(SessionError::Store(StoreError::OutcomeUnknown(_)))
                ));
                session.finish(Outcome::Success).await.unwrap_err();
                let stored = open(&manager, &token)
                    .await
                    .get::<u64>("n")
                    .unwrap()
                    .unwrap();
                let expected = if fault == Fault::HangAfter { 2 } else { 1 };
                assert_eq!(stored, expected, "{backend:?}, {fault:?}");
                assert_eq!(runs.load(Ordering::Relaxed), 1);
            });
        }
    }
}

#[test]
fn a_save_that_was_cancelled_before_it_wrote_can_be_made_up_for() {
    for backend in Backend::SERVER {
        let mut sim = Sim::new(1);
        let (manager, faults, _) = stage(&sim, backend);
        sim.block_on(async {
            let token = create(&manager, [("n", 1)]).await;
            let session = open(&manager, &token).await;
            session
                .update("n", |n: Option<u64>| n.unwrap() + 1)
                .unwrap();
            // It conflicts, and is cancelled while it loads what the other one wrote.
            faults.plan(Call::Update, Fault::Conflict);
            faults.plan(Call::Load, Fault::Hang);
            assert!(session.save().now_or_never().is_none());
            session.finish(Outcome::Success).await.unwrap();
            assert_eq!(
                open(&manager, &token).await.get("n").unwrap(),
                Some(2),
                "{backend:?}"
            );
        });
    }
}

#[test]
fn a_load_that_fails_between_two_attempts_writes_nothing() {
    for fault in [Fault::Unavailable, Fault::Corrupt, Fault::Hang] {
        let mut sim = Sim::new(1);
        let (manager, faults, counted) = stage(&sim, Backend::Replace);
        sim.block_on(async {
            let token = create(&manager, [("n", 1)]).await;
            let session = open(&manager, &token).await;
            let rival = open(&manager, &token).await;
            rival.insert("n", 5).unwrap();
            rival.finish(Outcome::Success).await.unwrap();
            session
                .update("n", |n: Option<u64>| n.unwrap() + 1)
                .unwrap();
            counted.take();
            faults.plan(Call::Load, fault);
            session.finish(Outcome::Success).await.unwrap_err();
            assert_eq!(counted.take(), Counts::LOAD_UPDATE, "{fault:?}");
            assert_eq!(open(&manager, &token).await.get("n").unwrap(), Some(5));
        });
    }
}

#[test]
fn a_corrupt_record_is_refused_or_left_for_a_new_session_by_policy() {
    for backend in Backend::ALL {
        for policy in [OnCorrupt::Refuse, OnCorrupt::StartEmpty] {
            let faults = FaultStore::new(backend.store());
            let counted = CountingStore::new(Arc::clone(&faults));
            let manager = SessionManager::builder(Arc::clone(&counted))
                .on_corrupt(policy)
                .build()
                .unwrap();
            let run = async {
                let token = create(&manager, [("n", 1)]).await;
                let former = open(&manager, &token).await.id().unwrap();
                faults.plan(Call::Load, Fault::Corrupt);
                counted.take();
                match (policy, manager.begin(&[&token]).await) {
                    (OnCorrupt::Refuse, Err(SessionError::Store(StoreError::Corrupt(_)))) => {
                        assert_eq!(counted.take(), Counts::LOAD);
                    }
                    (OnCorrupt::StartEmpty, Ok(session)) => {
                        assert!(session.is_new() && session.is_empty());
                        session.insert("n", 2).unwrap();
                        let new = token_of(&session.finish(Outcome::Success).await.unwrap());
                        assert_ne!(session.id(), Some(former));
                        let counts = counted.take();
                        assert_eq!(
                            (counts.loads, counts.creates, counts.updates, counts.deletes),
                            (1, 1, 0, 0)
                        );
                        assert_eq!(open(&manager, &new).await.get("n").unwrap(), Some(2));
                    }
                    (policy, other) => panic!("{backend:?}, {policy:?}: {other:?}"),
                }
            };
            run.now_or_never().unwrap();
        }
    }
}

#[test]
fn who_only_reads_a_store_that_cannot_write_is_served() {
    let faults = FaultStore::new(MemoryStore::new());
    let manager = SessionManager::new(Arc::clone(&faults));
    let run = async {
        let token = create(&manager, [("n", 1)]).await;
        for call in [Call::Update, Call::Create, Call::Delete] {
            faults.always(call, Fault::Unavailable);
        }
        let session = open(&manager, &token).await;
        assert_eq!(session.get("n").unwrap(), Some(1));
        assert_eq!(
            session.finish(Outcome::Success).await.unwrap(),
            Directive::Nothing
        );
        session.insert("n", 2).unwrap();
        assert!(matches!(
            session.save().await,
            Err(SessionError::Store(StoreError::Unavailable(_)))
        ));
        // What is Unavailable wrote nothing and may be tried again.
        faults.repair();
        session.save().await.unwrap();
        assert_eq!(open(&manager, &token).await.get("n").unwrap(), Some(2));
    };
    run.now_or_never().unwrap();
}

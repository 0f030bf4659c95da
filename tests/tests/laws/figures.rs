//! The figures that an observer receives: openings, store calls and commits.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use session_core::store::SessionStore;
use session_core::{
    Commit, CommitOutcome, Event, EventKind, KeyRing, MemoryStore, Observer, Opened, Opening,
    Outcome, Rotation, SessionManager, StoreCall, StoreOperation, StoreOutcome,
};
use session_tests::{Call, Fault, FaultStore, Sim, SlowStore, create, open, sign_in};

const LATENCY: Duration = Duration::from_millis(20);

/// Everything that was received, in order of its kind.
#[derive(Clone, Debug, Default)]
struct Received(Arc<Mutex<Lists>>);

#[derive(Debug, Default)]
struct Lists {
    events: Vec<EventKind>,
    opened: Vec<Opened>,
    calls: Vec<StoreCall>,
    commits: Vec<(CommitOutcome, u32)>,
}

impl Observer for Received {
    fn observe(&self, event: &Event<'_>) {
        self.0.lock().unwrap().events.push(event.kind);
    }

    fn opened(&self, opening: &Opening) {
        self.0.lock().unwrap().opened.push(opening.result);
    }

    fn store_call(&self, call: &StoreCall) {
        self.0.lock().unwrap().calls.push(*call);
    }

    fn committed(&self, commit: &Commit) {
        let commit = (commit.outcome, commit.attempts);
        self.0.lock().unwrap().commits.push(commit);
    }
}

impl Received {
    fn take(&self) -> Lists {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// Operation, outcome and duration of each call.
    fn calls(&self) -> Vec<(StoreOperation, StoreOutcome, Option<Duration>)> {
        let of = |call: StoreCall| (call.operation, call.outcome, call.elapsed);
        self.take().calls.into_iter().map(of).collect()
    }
}

fn stage(sim: &Sim, store: impl SessionStore) -> (SessionManager, Received) {
    let received = Received::default();
    let manager = SessionManager::builder(store)
        .clock(sim.clock())
        .keys(KeyRing::new([7; 32]).unwrap())
        .observer(received.clone())
        .build()
        .unwrap();
    (manager, received)
}

#[test]
fn each_opening_has_its_result() {
    let mut sim = Sim::new(1);
    let store = FaultStore::new(MemoryStore::new());
    let (manager, received) = stage(&sim, Arc::clone(&store));
    sim.block_on(async {
        let token = create(&manager, [("n", 1)]).await;
        let other = create(&manager, [("n", 2)]).await;
        received.take();
        drop(manager.begin(&[]).await.unwrap());
        drop(open(&manager, &token).await);
        drop(manager.begin(&["forged"]).await.unwrap());
        drop(manager.begin(&[&token, &other]).await.unwrap());
        store.plan(Call::Load, Fault::Unavailable);
        manager.begin(&[&token]).await.unwrap_err();
    });
    use Opened::*;
    let expected = [NoToken, Session, Refused, Refused, Failed];
    assert_eq!(received.take().opened, expected);

    let token = sim.block_on(create(&manager, [("n", 1)]));
    received.take();
    sim.clock().advance(Duration::from_secs(86_400));
    sim.block_on(async { drop(manager.begin(&[&token]).await.unwrap()) });
    assert_eq!(received.take().opened, [Expired]);
}

#[test]
fn calls_are_timed_where_a_store_takes_time() {
    use StoreOperation::*;
    let mut sim = Sim::new(1);
    let store = SlowStore::new(MemoryStore::new(), sim.clock(), LATENCY);
    let (manager, received) = stage(&sim, store);
    sim.block_on(async {
        let (token, id) = sign_in(&manager, "ann").await;
        let session = open(&manager, &token).await;
        session.insert("n", 2).unwrap();
        session.finish(Outcome::Success).await.unwrap();
        manager.sessions_of("ann").await.unwrap();
        assert!(manager.end("ann", id).await.unwrap());
        assert!(!manager.end("ann", id).await.unwrap());
        drop(manager.begin(&[&token]).await.unwrap());
        let destroyed = create(&manager, [("n", 1)]).await;
        let session = open(&manager, &destroyed).await;
        session.destroy().unwrap();
        session.finish(Outcome::Success).await.unwrap();
        manager.sign_out_everywhere("ann").await.unwrap();
    });
    use StoreOutcome::{Absent, Done};
    let took = |operation, outcome| (operation, outcome, Some(LATENCY));
    let expected = [
        took(Create, Done),
        took(Load, Done),
        took(Update, Done),
        took(ListOf, Done),
        took(DeleteOneOf, Done),
        took(DeleteOneOf, Absent),
        took(Load, Done), // a mark
        took(Create, Done),
        took(Load, Done),
        took(Delete, Done),
        took(DeleteAllOf, Done),
    ];
    assert_eq!(received.calls(), expected);
}

#[test]
fn a_store_that_waits_for_nothing_is_not_timed() {
    let mut sim = Sim::new(1);
    let (manager, received) = stage(&sim, MemoryStore::new());
    sim.block_on(create(&manager, [("n", 1)]));
    let calls = received.calls();
    assert_eq!(calls, [(StoreOperation::Create, StoreOutcome::Done, None)]);
}

#[test]
fn what_fails_has_its_outcome() {
    use StoreOperation::{Create, Load, Update};
    use StoreOutcome::{Conflict, Corrupt, Done, IdTaken, OutcomeUnknown, Unavailable};
    let deadline = session_core::Timeouts::default().call();
    for (call, fault, operation, outcome, waits) in [
        (Call::Load, Fault::Unavailable, Load, Unavailable, false),
        (Call::Load, Fault::Corrupt, Load, Corrupt, false),
        (Call::Load, Fault::Hang, Load, Unavailable, true),
        (Call::Create, Fault::IdTaken, Create, IdTaken, false),
        (
            Call::Create,
            Fault::LostAnswer,
            Create,
            OutcomeUnknown,
            false,
        ),
        (Call::Update, Fault::Conflict, Update, Conflict, false),
        (Call::Update, Fault::Hang, Update, OutcomeUnknown, true),
        (Call::Update, Fault::None, Update, Done, false),
    ] {
        let mut sim = Sim::new(1);
        let store = FaultStore::new(MemoryStore::new());
        let (manager, received) = stage(&sim, Arc::clone(&store));
        let token = sim.block_on(create(&manager, [("n", 1)]));
        received.take();
        store.plan(call, fault);
        sim.block_on(async {
            let tokens = [&*token];
            let tokens = if operation == Create {
                &tokens[..0]
            } else {
                &tokens
            };
            let Ok(session) = manager.begin(tokens).await else {
                return;
            };
            session.insert("n", 2).unwrap();
            drop(session.finish(Outcome::Success).await);
        });
        let elapsed = if waits { deadline } else { Duration::ZERO };
        let calls = received.calls();
        let found = calls
            .iter()
            .find(|(of, how, _)| (*of, *how) == (operation, outcome));
        let found = found.unwrap_or_else(|| panic!("{call:?} {fault:?}: {calls:?}"));
        assert_eq!(found.2, Some(elapsed), "{call:?} {fault:?}");
    }
}

#[test]
fn a_call_that_nobody_waits_for_any_more_was_cancelled() {
    let mut sim = Sim::new(1);
    let store = FaultStore::new(MemoryStore::new());
    let (manager, received) = stage(&sim, Arc::clone(&store));
    let token = sim.block_on(create(&manager, [("n", 1)]));
    received.take();
    store.plan(Call::Load, Fault::Hang);
    let (clock, tokens) = (sim.clock(), [&*token]);
    sim.block_on(async {
        let mut opening = pin!(manager.begin(&tokens));
        let once = poll_fn(|context| Poll::Ready(opening.as_mut().poll(context).is_pending()));
        assert!(once.await);
        clock.advance(LATENCY);
    });
    let calls = received.calls();
    let cancelled = (StoreOperation::Load, StoreOutcome::Cancelled, Some(LATENCY));
    assert_eq!(calls, [cancelled]);
    assert_eq!(received.take().opened, [], "it opened nothing");
}

#[test]
fn a_commit_has_its_result_and_its_attempts() {
    let mut sim = Sim::new(1);
    let store = FaultStore::new(MemoryStore::new());
    let (manager, received) = stage(&sim, Arc::clone(&store));
    let token = sim.block_on(create(&manager, [("n", 1)]));
    received.take();
    for (fault, outcome, attempts) in [
        (Fault::None, CommitOutcome::Written, 1),
        (Fault::Conflict, CommitOutcome::Written, 2),
        (Fault::Unavailable, CommitOutcome::Failed, 1),
    ] {
        store.plan(Call::Update, fault);
        sim.block_on(async {
            let session = open(&manager, &token).await;
            session
                .update("n", |n: Option<u64>| n.unwrap_or(0) + 1)
                .unwrap();
            drop(session.finish(Outcome::Success).await);
        });
        assert_eq!(received.take().commits, [(outcome, attempts)], "{fault:?}");
    }
    sim.block_on(async {
        // Only read: it ends without a commit if the transport asks first.
        let session = open(&manager, &token).await;
        assert!(session.finish_now(Outcome::Success).is_some());
        assert_eq!(received.take().commits, []);
        let session = open(&manager, &token).await;
        session.finish(Outcome::Success).await.unwrap();
        assert_eq!(received.take().commits, [(CommitOutcome::Unneeded, 0)]);
        let session = open(&manager, &token).await;
        session.insert("n", 5).unwrap();
        session.finish(Outcome::Failure).await.unwrap();
        assert_eq!(
            received.take().commits,
            [],
            "a failed request commits nothing"
        );
        let session = open(&manager, &token).await;
        let gone = open(&manager, &token).await;
        session.destroy().unwrap();
        session.finish(Outcome::Success).await.unwrap();
        assert_eq!(received.take().commits, [(CommitOutcome::Written, 0)]);
        gone.insert("n", 6).unwrap();
        gone.finish(Outcome::Success).await.unwrap();
        assert_eq!(received.take().commits, [(CommitOutcome::Gone, 1)]);
        // No response carries its token.
        let session = manager.begin(&[]).await.unwrap();
        session.insert("n", 1).unwrap();
        session.finish(Outcome::SuccessWithoutToken).await.unwrap();
        assert_eq!(received.take().commits, [(CommitOutcome::Dropped, 0)]);
    });
}

/// A request that only reads rotates the token if that is due, and does not fail for want of it.
#[test]
fn a_rotation_that_does_not_come_about_is_a_commit_too() {
    let mut sim = Sim::new(1);
    let store = FaultStore::new(MemoryStore::new());
    let received = Received::default();
    let manager = SessionManager::builder(Arc::clone(&store))
        .clock(sim.clock())
        .keys(KeyRing::new([7; 32]).unwrap())
        .rotation(Rotation::hourly())
        .observer(received.clone())
        .build()
        .unwrap();
    let token = sim.block_on(create(&manager, [("n", 1)]));
    sim.clock().advance(Duration::from_secs(3_601));
    received.take();
    for (fault, outcome) in [
        (Fault::Unavailable, CommitOutcome::Failed),
        // Somebody else wrote, and has rotated or leaves it to the next request.
        (Fault::Conflict, CommitOutcome::Unneeded),
        (Fault::None, CommitOutcome::Written),
    ] {
        store.plan(Call::Update, fault);
        sim.block_on(async {
            let session = open(&manager, &token).await;
            session.finish(Outcome::Success).await.unwrap();
        });
        assert_eq!(received.take().commits, [(outcome, 1)], "{fault:?}");
    }
}

#[test]
fn the_bytes_of_a_write_are_those_of_its_record() {
    let mut sim = Sim::new(1);
    let (manager, received) = stage(&sim, MemoryStore::new());
    let written = |value: &'static str| {
        let (manager, received) = (manager.clone(), received.clone());
        async move {
            let session = manager.begin(&[]).await.unwrap();
            session.insert("text", value).unwrap();
            session.finish(Outcome::Success).await.unwrap();
            received.take().calls[0].bytes
        }
    };
    let (short, long) = sim.block_on(async {
        let long = "0123456789".repeat(100).leak();
        (written("").await, written(long).await)
    });
    assert_eq!(long - short, 1_000);
}

#[test]
fn a_manager_has_as_many_observers_as_are_added() {
    let mut sim = Sim::new(1);
    let (first, second) = (Received::default(), Received::default());
    let manager = SessionManager::builder(MemoryStore::new())
        .clock(sim.clock())
        .rotation(Rotation::hourly())
        .observer(first.clone())
        .observer(second.clone())
        .build()
        .unwrap();
    sim.block_on(create(&manager, [("n", 1)]));
    for received in [first, second] {
        let lists = received.take();
        assert_eq!(lists.events, [EventKind::Created]);
        assert_eq!(lists.commits, [(CommitOutcome::Written, 1)]);
        assert_eq!((lists.opened.len(), lists.calls.len()), (1, 1));
    }
}

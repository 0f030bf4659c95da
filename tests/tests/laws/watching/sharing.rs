//! One load in each interval for all handles, whoever leaves and whatever the store answers.

use std::sync::Arc;
use std::time::Duration;

use session_core::{EndReason, MemoryStore, Outcome};
use session_tests::{Backend, Call, Counts, Fault, FaultStore, create, open, sign_in, stage};

use crate::watching::{IDLE, INTERVAL, MILLI, Socket, now};

#[test]
fn all_handles_of_a_session_share_one_load_in_each_interval() {
    let (manager, store, clock) = stage(Backend::Memory.store(), |builder| builder);
    let token = now(create(&manager, [("n", 1)]));
    let sessions: Vec<_> = (0..10).map(|_| now(open(&manager, &token))).collect();
    store.take();
    let mut sockets: Vec<_> = sessions.iter().map(|session| Socket::of(session)).collect();
    assert_eq!(store.take(), Counts::NONE, "nobody has awaited any of them");
    let poll = |sockets: &mut Vec<Socket>| {
        for socket in sockets {
            assert_eq!(socket.poll(), None);
        }
    };
    poll(&mut sockets);
    assert_eq!(store.take(), Counts::LOAD, "once at the beginning");
    for _ in 0..12 {
        clock.advance(INTERVAL - MILLI);
        poll(&mut sockets);
        assert_eq!(store.take(), Counts::NONE);
        clock.advance(MILLI);
        poll(&mut sockets);
        assert_eq!(store.take(), Counts::LOAD);
    }
    drop(sockets);
    clock.advance(INTERVAL * 2);
    assert_eq!(store.take(), Counts::NONE, "nobody watches any more");
}

#[test]
fn the_interval_is_a_setting() {
    let interval = Duration::from_secs(30);
    let (manager, store, clock) = stage(Backend::Memory.store(), |builder| {
        builder.watch_interval(interval)
    });
    let token = now(create(&manager, [("n", 1)]));
    let mut socket = Socket::of(&now(open(&manager, &token)));
    assert_eq!(socket.poll(), None);
    store.take();
    clock.advance(interval - MILLI);
    assert_eq!((socket.poll(), store.take()), (None, Counts::NONE));
    clock.advance(MILLI);
    assert_eq!((socket.poll(), store.take()), (None, Counts::LOAD));
}

/// Whoever asked first leaves, or stays and is not polled any more, as a socket whose client does
/// not read: in the middle of a load or between two.
#[test]
fn nobody_depends_on_who_came_first() {
    for leaves in [true, false] {
        for in_a_load in [true, false] {
            let faults = FaultStore::new(MemoryStore::new());
            let (manager, store, clock) = stage(Arc::clone(&faults), |builder| builder);
            let token = now(create(&manager, [("n", 1)]));
            let session = now(open(&manager, &token));
            store.take();
            let [mut first, mut second] = [Socket::of(&session), Socket::of(&session)];
            if in_a_load {
                faults.plan(Call::Load, Fault::Slow);
                assert_eq!(first.poll_once(), None);
            } else {
                assert_eq!(first.poll(), None);
            }
            let kept = match leaves {
                true => None,
                false => Some(first),
            };
            assert_eq!(second.poll(), None);
            assert_eq!(
                store.take(),
                Counts::LOAD,
                "it goes on where the other one was"
            );
            clock.advance(INTERVAL);
            assert_eq!(second.poll(), None);
            assert_eq!(store.take(), Counts::LOAD);
            let ends = now(open(&manager, &token));
            ends.destroy().unwrap();
            now(ends.finish(Outcome::Success)).unwrap();
            assert_eq!(second.reason(), Some(EndReason::Destroyed));
            drop(kept);
        }
    }
}

#[test]
fn a_store_that_fails_is_asked_again_at_the_next_interval() {
    for fault in [Fault::Unavailable, Fault::Corrupt] {
        let faults = FaultStore::new(MemoryStore::new());
        let (manager, store, clock) = stage(Arc::clone(&faults), |builder| builder);
        let (token, _) = now(sign_in(&manager, "ann"));
        let session = now(open(&manager, &token));
        let mut socket = Socket::of(&session);
        assert_eq!(socket.poll(), None);
        store.take();
        faults.always(Call::Load, fault);
        for _ in 0..3 {
            clock.advance(INTERVAL);
            assert_eq!(socket.poll(), None);
            assert_eq!(store.take(), Counts::LOAD);
        }
        // Also past its expiry: it may have been used elsewhere.
        clock.advance(IDLE * 2);
        assert_eq!(socket.poll(), None);
        faults.repair();
        clock.advance(INTERVAL - MILLI);
        assert_eq!(socket.poll(), None);
        clock.advance(MILLI);
        assert_eq!(socket.reason(), Some(EndReason::Expired));
    }
}

/// A call that hangs is given up by the manager's timeout, as all are.
#[test]
fn a_store_that_hangs_is_asked_again_too() {
    let faults = FaultStore::new(MemoryStore::new());
    let (manager, _, clock) = stage(Arc::clone(&faults), |builder| builder);
    let (token, _) = now(sign_in(&manager, "ann"));
    let session = now(open(&manager, &token));
    faults.plan(Call::Load, Fault::Hang);
    let mut socket = Socket::of(&session);
    assert_eq!(socket.poll(), None);
    now(manager.sign_out_everywhere("ann")).unwrap();
    assert_eq!(socket.poll(), None);
    clock.advance(Duration::from_secs(2));
    assert_eq!(
        socket.reason(),
        Some(EndReason::Revoked),
        "at once, as it was told meanwhile"
    );
}

/// What was asked before a session ended may not show that.
#[test]
fn an_end_during_a_look_is_looked_at_again() {
    let faults = FaultStore::new(MemoryStore::new());
    let (manager, store, _) = stage(Arc::clone(&faults), |builder| builder);
    let (token, _) = now(sign_in(&manager, "ann"));
    let session = now(open(&manager, &token));
    let mut socket = Socket::of(&session);
    faults.plan(Call::Load, Fault::SlowAnswer);
    assert_eq!(socket.poll_once(), None);
    now(manager.sign_out_everywhere("ann")).unwrap();
    store.take();
    assert_eq!(socket.reason(), Some(EndReason::Revoked));
    assert_eq!(store.take(), Counts::LOAD);
}

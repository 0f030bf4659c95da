//! What the handle's own requests do to what it watches.

use std::sync::Arc;

use futures_util::FutureExt;
use session_core::{Directive, EndReason, Outcome};
use session_tests::{Backend, Call, Counts, Fault, FaultStore, anonymous, open, sign_in, stage};

use crate::watching::{IDLE, INTERVAL, MILLI, Socket, end_everywhere, now};

#[test]
fn a_request_of_the_handle_itself_may_renew() {
    for backend in Backend::SERVER {
        let faults = FaultStore::new(backend.store());
        let (manager, _, clock) = stage(Arc::clone(&faults), |builder| builder);
        let (token, _) = now(sign_in(&manager, "ann"));
        let (mine, other) = (now(open(&manager, &token)), now(open(&manager, &token)));
        let (mut own, mut others) = (Socket::of(&mine), Socket::of(&other));
        assert_eq!((own.poll(), others.poll()), (None, None));
        mine.renew().unwrap();
        // The store has it, and its answer is under way.
        faults.plan(Call::Update, Fault::HangAfter);
        let mut commit = Box::pin(mine.finish(Outcome::Success));
        assert!(commit.as_mut().now_or_never().is_none());
        clock.advance(INTERVAL / 2);
        clock.advance(INTERVAL / 2);
        assert_eq!(own.poll(), None, "its own request is not over");
        assert_eq!(others.reason(), Some(EndReason::Renewed), "{backend:?}");
        drop(commit);

        let (token, _) = now(sign_in(&manager, "ann"));
        let mine = now(open(&manager, &token));
        let mut own = Socket::of(&mine);
        for _ in 0..3 {
            assert_eq!(own.poll(), None, "{backend:?}");
            clock.advance(INTERVAL);
        }
        mine.sign_in("ann").unwrap();
        let told = now(mine.finish(Outcome::Success)).unwrap();
        assert!(matches!(told, Directive::Hold(_)));
        for _ in 0..3 {
            assert_eq!(own.poll(), None, "{backend:?}");
            clock.advance(INTERVAL);
        }
        // One that joins knows the new epoch, and the last look may be older than that.
        now(end_everywhere(&manager));
        assert_eq!(own.reason(), Some(EndReason::Revoked), "{backend:?}");
    }
}

#[test]
fn a_request_that_destroys_its_session_ends_it_with_the_commit() {
    for backend in Backend::ALL {
        let (manager, _, _) = stage(backend.store(), |builder| builder);
        let (token, _) = now(sign_in(&manager, "ann"));
        let session = now(open(&manager, &token));
        let mut before = Socket::of(&session);
        assert_eq!(before.poll(), None);
        session.destroy().unwrap();
        let mut between = Socket::of(&session);
        assert_eq!((before.poll(), between.poll()), (None, None), "{backend:?}");
        assert_eq!(
            now(session.finish(Outcome::Success)).unwrap(),
            Directive::Forget
        );
        let mut after = Socket::of(&session);
        for socket in [&mut before, &mut between, &mut after] {
            assert_eq!(socket.reason(), Some(EndReason::Destroyed), "{backend:?}");
        }
    }
}

#[test]
fn a_session_is_watched_from_the_commit_that_stores_it() {
    for backend in Backend::SERVER {
        let (manager, store, clock) = stage(backend.store(), |builder| builder);
        let session = now(anonymous(&manager));
        let mut socket = Socket::of(&session);
        session.sign_in("ann").unwrap();
        assert_eq!(socket.poll(), None);
        clock.advance(INTERVAL * 3);
        assert_eq!((socket.poll(), store.take()), (None, Counts::NONE));
        now(session.finish(Outcome::Success)).unwrap();
        assert_eq!(socket.poll(), None);
        assert_eq!(store.take().loads, 1);
        now(end_everywhere(&manager));
        assert_eq!(socket.reason(), Some(EndReason::Revoked), "{backend:?}");

        // One that is never stored never ends.
        let guest = now(anonymous(&manager));
        let mut socket = Socket::of(&guest);
        now(guest.finish(Outcome::Success)).unwrap();
        clock.advance(IDLE * 100);
        assert_eq!((socket.poll(), Socket::of(&guest).poll()), (None, None));
    }
}

#[test]
fn who_signs_in_as_another_leaves_one_session_and_watches_the_next() {
    let (manager, _, _) = stage(Backend::Memory.store(), |builder| builder);
    let (token, _) = now(sign_in(&manager, "ann"));
    let session = now(open(&manager, &token));
    let mut anns = Socket::of(&session);
    session.sign_in("bob").unwrap();
    let mut bobs = Socket::of(&session);
    assert_eq!((anns.poll(), bobs.poll()), (None, None));
    now(session.finish(Outcome::Success)).unwrap();
    assert_eq!(anns.reason(), Some(EndReason::Exchanged));
    assert_eq!(bobs.poll(), None);
    now(manager.sign_out_everywhere("bob")).unwrap();
    assert_eq!(bobs.reason(), Some(EndReason::Revoked));
}

#[test]
fn what_was_over_before_anybody_watched_is_over_at_once() {
    for backend in Backend::SERVER {
        let (manager, _, clock) = stage(backend.store(), |builder| builder);
        // Mute: it ended since the request was sent.
        let (token, _) = now(sign_in(&manager, "ann"));
        let arrived = manager.now();
        clock.advance(MILLI);
        now(end_everywhere(&manager));
        let mute = now(manager.begin_at(&[&token], arrived)).unwrap();
        assert_eq!(Socket::of(&mute).reason(), Some(EndReason::Unknown));
        // Gone: a save has found it out.
        let (token, _) = now(sign_in(&manager, "ann"));
        let [gone, renewed] = [now(open(&manager, &token)), now(open(&manager, &token))];
        renewed.renew().unwrap();
        now(renewed.finish(Outcome::Success)).unwrap();
        gone.insert("n", 1).unwrap();
        now(gone.save()).unwrap_err();
        assert_eq!(Socket::of(&gone).reason(), Some(EndReason::Renewed));
        now(end_everywhere(&manager));
        assert_eq!(Socket::of(&gone).reason(), Some(EndReason::Revoked));
    }
}

/// As a socket does while it answers a message: it awaits what it saves, and nobody polls `ended`
/// meanwhile.
#[test]
fn one_that_is_not_polled_holds_up_no_save() {
    let faults = FaultStore::new(Backend::Memory.store());
    let (manager, _, clock) = stage(Arc::clone(&faults), |builder| builder);
    let (token, _) = now(sign_in(&manager, "ann"));
    let session = now(open(&manager, &token));
    let mut own = Socket::of(&session);
    assert_eq!(own.poll(), None);
    session.renew().unwrap();
    faults.plan(Call::Update, Fault::SlowAnswer);
    let mut commit = Box::pin(session.finish(Outcome::Success));
    assert!(commit.as_mut().now_or_never().is_none());
    clock.advance(INTERVAL);
    assert_eq!(own.poll(), None, "it waits for what becomes of the renewal");
    assert!(commit.as_mut().now_or_never().unwrap().is_ok());
    session.insert("n", 1).unwrap();
    assert!(session.save().now_or_never().expect("at once").is_ok());
    for _ in 0..3 {
        assert_eq!(own.poll(), None);
        clock.advance(INTERVAL);
    }
    now(end_everywhere(&manager));
    assert_eq!(own.reason(), Some(EndReason::Revoked));
}

/// The session that was to come does not come, so there is only the one that has ended.
#[test]
fn a_request_that_fails_turns_back_to_what_has_ended() {
    for backend in Backend::SERVER {
        let (manager, _, clock) = stage(backend.store(), |builder| builder);
        let (token, _) = now(sign_in(&manager, "ann"));
        let session = now(open(&manager, &token));
        session.destroy().unwrap();
        session.insert("n", 1).unwrap();
        let mut socket = Socket::of(&session);
        assert_eq!(socket.poll(), None);
        now(session.finish(Outcome::Failure)).unwrap();
        assert_eq!(socket.reason(), Some(EndReason::Destroyed), "{backend:?}");

        let (token, _) = now(sign_in(&manager, "ann"));
        let arrived = manager.now();
        clock.advance(MILLI);
        now(end_everywhere(&manager));
        let mute = now(manager.begin_at(&[&token], arrived)).unwrap();
        mute.sign_in("ann").unwrap();
        let mut socket = Socket::of(&mute);
        assert_eq!(socket.poll(), None);
        now(mute.finish(Outcome::Failure)).unwrap();
        assert_eq!(socket.reason(), Some(EndReason::Unknown), "{backend:?}");
    }
}

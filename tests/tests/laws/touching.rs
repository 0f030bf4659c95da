//! `Session::touch` writes activity, at most once in each touch interval, and nothing else (laws 6,
//! 7 and 9).

use std::time::Duration;

use futures_util::FutureExt;
use session_core::{Directive, Lifetime, Outcome, SessionError};
use session_tests::{
    Backend, Call, Counts, Fault, FaultStore, anonymous, create, open, sign_in, stage, token_of,
};

const MINUTE: Duration = Duration::from_secs(60);
const MILLI: Duration = Duration::from_millis(1);
const UPDATE: Counts = Counts {
    updates: 1,
    ..Counts::NONE
};

fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().unwrap()
}

#[test]
fn a_touch_writes_once_in_each_interval_and_asks_nothing_between() {
    for backend in Backend::SERVER {
        for has_left in [true, false] {
            let (manager, store, clock) = stage(backend.store(), |builder| builder);
            let token = now(create(&manager, [("n", 1)]));
            let session = now(open(&manager, &token));
            if has_left {
                now(session.finish(Outcome::Success)).unwrap();
            }
            store.take();
            for _ in 0..5 {
                clock.advance(MINUTE - MILLI);
                now(session.touch()).unwrap();
                assert_eq!(store.take(), Counts::NONE, "{backend:?}");
                clock.advance(MILLI);
                now(session.touch()).unwrap();
                assert_eq!(store.take(), UPDATE, "{backend:?}");
                now(session.touch()).unwrap();
                assert_eq!(store.take(), Counts::NONE, "{backend:?}");
            }
            let expires = clock.now() + manager.lifetime().idle();
            assert_eq!(session.expires_at(), Some(expires));
            assert_eq!(now(open(&manager, &token)).expires_at(), Some(expires));
        }
    }
}

#[test]
fn a_touch_leaves_what_was_changed_to_a_save() {
    for backend in Backend::SERVER {
        let (manager, _, clock) = stage(backend.store(), |builder| builder);
        let token = now(create(&manager, [("a", 1), ("b", 1), ("c", 1)]));
        let session = now(open(&manager, &token));
        session.insert("a", 2).unwrap();
        session.remove("b");
        let add = |n: Option<u64>| n.unwrap_or(0) + 1;
        session.update("c", add).unwrap();
        session.sign_in("ann").unwrap();
        session.set_label("phone").unwrap();
        clock.advance(MINUTE);
        now(session.touch()).unwrap();
        let other = now(open(&manager, &token));
        let seen = ["a", "b", "c"].map(|key| other.get::<u64>(key).unwrap());
        assert_eq!(seen, [Some(1); 3], "{backend:?}: nothing is written");
        assert_eq!(other.principal(), None);
        // Somebody writes in between, and all of it comes with the commit.
        other.update("c", add).unwrap();
        now(other.finish(Outcome::Success)).unwrap();
        let token = token_of(&now(session.finish(Outcome::Success)).unwrap());
        let after = now(open(&manager, &token));
        let seen = ["a", "b", "c"].map(|key| after.get::<u64>(key).unwrap());
        assert_eq!(seen, [Some(2), None, Some(3)], "{backend:?}");
        assert_eq!(after.principal().as_deref(), Some("ann"));
    }
}

#[test]
fn a_touch_of_what_has_ended_is_gone() {
    for backend in Backend::SERVER {
        let (manager, store, clock) = stage(backend.store(), |builder| builder);
        let (token, _) = now(sign_in(&manager, "ann"));
        let [revoked, renewed] = [now(open(&manager, &token)), now(open(&manager, &token))];
        let renewing = now(open(&manager, &token));
        renewing.renew().unwrap();
        let token = token_of(&now(renewing.finish(Outcome::Success)).unwrap());
        clock.advance(MINUTE);
        let gone = now(renewed.touch());
        assert!(matches!(gone, Err(SessionError::Gone)), "{backend:?}");
        let arrived = manager.now();
        now(manager.sign_out_everywhere("ann")).unwrap();
        for _ in 0..2 {
            let gone = now(revoked.touch());
            assert!(matches!(gone, Err(SessionError::Gone)), "{backend:?}");
        }
        let mute = now(manager.begin_at(&[&token], arrived)).unwrap();
        assert!(matches!(now(mute.touch()), Err(SessionError::Gone)));

        let token = now(create(&manager, [("n", 1)]));
        let expired = now(open(&manager, &token));
        clock.advance(manager.lifetime().idle());
        assert!(matches!(now(expired.touch()), Err(SessionError::Gone)));
        // A guest has nothing that could be touched.
        store.take();
        let guest = now(anonymous(&manager));
        guest.insert("n", 1).unwrap();
        now(guest.touch()).unwrap();
        assert_eq!(store.take(), Counts::NONE);
        assert!(guest.is_new());
    }
}

/// As a save does: the cookie of a persistent session has to move, and the next response does that.
#[test]
fn a_touch_owes_the_client_of_a_persistent_session_its_token() {
    let (manager, _, clock) = stage(Backend::Memory.store(), |builder| {
        builder.lifetime(Lifetime::default().persistent())
    });
    let token = now(create(&manager, [("n", 1)]));
    let socket = now(open(&manager, &token));
    now(socket.finish(Outcome::Success)).unwrap();
    clock.advance(MINUTE);
    now(socket.touch()).unwrap();
    let next = now(open(&manager, &token));
    let told = now(next.finish(Outcome::Success)).unwrap();
    assert!(matches!(told, Directive::Hold(_)), "{told:?}");
}

#[test]
fn a_touch_that_fails_says_so() {
    let faults = FaultStore::new(Backend::Memory.store());
    let (manager, _, clock) = stage(std::sync::Arc::clone(&faults), |builder| builder);
    let token = now(create(&manager, [("n", 1)]));
    let session = now(open(&manager, &token));
    clock.advance(MINUTE);
    faults.plan(Call::Update, Fault::Unavailable);
    assert!(now(session.touch()).unwrap_err().is_temporary());
    now(session.touch()).unwrap();
    assert_eq!(
        session.expires_at(),
        Some(clock.now() + manager.lifetime().idle())
    );
}

#[test]
fn a_sealed_session_is_never_written_by_a_touch() {
    let (manager, store, clock) = stage(Backend::Signed.store(), |builder| builder);
    let token = now(create(&manager, [("n", 1)]));
    let session = now(open(&manager, &token));
    now(session.finish(Outcome::Success)).unwrap();
    store.take();
    clock.advance(manager.lifetime().idle() - MILLI);
    now(session.touch()).unwrap();
    clock.advance(MILLI);
    assert!(matches!(now(session.touch()), Err(SessionError::Gone)));
    assert_eq!(store.take(), Counts::NONE);
}

/// To note activity twice is the same as once. So one that may have been written stops nobody, as a
/// socket would otherwise be of no use after a single answer that was lost.
#[test]
fn a_touch_whose_outcome_is_unknown_stops_nothing() {
    for backend in Backend::SERVER {
        for fault in [
            Fault::LostRequest,
            Fault::LostAnswer,
            Fault::Hang,
            Fault::HangAfter,
        ] {
            for by_save in [false, true] {
                let case = format!("{backend:?} {fault:?} by a save: {by_save}");
                let faults = FaultStore::new(backend.store());
                let (manager, _, clock) = stage(std::sync::Arc::clone(&faults), |builder| builder);
                let token = now(create(&manager, [("n", 1)]));
                let socket = now(open(&manager, &token));
                now(socket.finish(Outcome::Success)).unwrap();
                clock.advance(MINUTE);
                faults.plan(Call::Update, fault);
                // The answer is lost, or nobody waits for it.
                let noted = match by_save {
                    true => socket.save().now_or_never(),
                    false => socket.touch().now_or_never(),
                };
                assert!(!matches!(noted, Some(Ok(()))), "{case}");
                let other = now(open(&manager, &token));
                other.insert("m", 7).unwrap();
                now(other.finish(Outcome::Success)).unwrap();
                now(socket.touch()).expect(&case);
                let more = |n: Option<u64>| n.unwrap_or(0) + 1;
                assert_eq!(now(socket.update_now("n", more)).expect(&case), 2);
                now(socket.save()).expect(&case);
                assert_eq!(socket.get("m").unwrap(), Some(7), "{case}");
                let expires = clock.now() + manager.lifetime().idle();
                assert_eq!(
                    now(open(&manager, &token)).expires_at(),
                    Some(expires),
                    "{case}"
                );
            }
        }
    }
}

#[test]
fn a_touch_beyond_the_absolute_deadline_is_gone() {
    for backend in Backend::SERVER {
        let lifetime = Lifetime::new(MINUTE * 8, MINUTE * 10).unwrap();
        let (manager, _, clock) = stage(backend.store(), |builder| builder.lifetime(lifetime));
        let token = now(create(&manager, [("n", 1)]));
        let socket = now(open(&manager, &token));
        now(socket.finish(Outcome::Success)).unwrap();
        for _ in 0..2 {
            clock.advance(MINUTE * 5 - MILLI);
            now(socket.touch()).unwrap();
        }
        clock.advance(MILLI * 2);
        let gone = now(socket.touch());
        assert!(
            matches!(gone, Err(SessionError::Gone)),
            "{backend:?} {gone:?}"
        );
    }
}

/// What a guest had put together is not taken for that of whoever signed in first.
#[test]
fn a_touch_between_two_sign_ins_costs_the_guest_nothing() {
    for backend in Backend::SERVER {
        let (manager, _, clock) = stage(backend.store(), |builder| builder);
        let token = now(create(&manager, [("cart", 3)]));
        let session = now(open(&manager, &token));
        session.sign_in("ann").unwrap();
        session.insert("of ann", 1).unwrap();
        clock.advance(MINUTE);
        now(session.touch()).unwrap();
        session.sign_in("bob").unwrap();
        let token = token_of(&now(session.finish(Outcome::Success)).unwrap());
        let bobs = now(open(&manager, &token));
        assert_eq!(bobs.principal().as_deref(), Some("bob"));
        assert_eq!(bobs.keys(), ["cart"], "{backend:?}");
    }
}

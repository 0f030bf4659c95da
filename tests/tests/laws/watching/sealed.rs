//! Sessions that only clients hold.

use std::sync::{Arc, Mutex};

use session_cookie::CookieStore;
use session_core::{EndReason, Ended, KeyRing, Outcome, Timestamp};
use session_tests::{Backend, open, sign_in, stage};

use crate::watching::{IDLE, INTERVAL, MILLI, Socket, now};

#[test]
fn a_sealed_session_ends_by_its_time_or_by_a_cut_off() {
    let since = Arc::new(Mutex::new(None));
    let cut_off = Arc::clone(&since);
    let keys = KeyRing::new([7; 32]).unwrap();
    let store = CookieStore::signed(keys)
        .with_cut_off(move |_: &str| -> Option<Timestamp> { *cut_off.lock().unwrap() });
    let (manager, _, clock) = stage(store, |builder| builder);
    let (token, _) = now(sign_in(&manager, "ann"));
    let session = now(open(&manager, &token));
    let expires = session.expires_at().unwrap();
    let mut socket = Socket::of(&session);
    assert_eq!(socket.poll(), None);
    clock.advance(IDLE - MILLI);
    assert_eq!(socket.poll(), None);
    clock.advance(MILLI);
    assert_eq!(socket.poll(), Some(Ended::new(EndReason::Expired, expires)));

    let (token, _) = now(sign_in(&manager, "ann"));
    let mut socket = Socket::of(&now(open(&manager, &token)));
    assert_eq!(socket.poll(), None);
    *since.lock().unwrap() = Some(clock.now() + MILLI);
    clock.advance(INTERVAL);
    assert_eq!(socket.reason(), Some(EndReason::Revoked));
}

/// Each write of a sealed session is another copy: the handle watches the one that it has.
#[test]
fn a_sealed_session_that_this_request_has_written_expires_as_that_copy_does() {
    for renews in [true, false] {
        let (manager, _, clock) = stage(Backend::Encrypted.store(), |builder| builder);
        let (token, _) = now(sign_in(&manager, "ann"));
        let session = now(open(&manager, &token));
        let mut socket = Socket::of(&session);
        clock.advance(IDLE / 2);
        assert_eq!(socket.poll(), None);
        match renews {
            true => session.renew().unwrap(),
            false => session.insert("n", 1).unwrap(),
        }
        now(session.finish(Outcome::Success)).unwrap();
        clock.advance(IDLE - MILLI);
        assert_eq!(socket.poll(), None);
        clock.advance(MILLI);
        assert_eq!(socket.reason(), Some(EndReason::Expired));
    }
}

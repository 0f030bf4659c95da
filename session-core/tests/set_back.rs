//! A clock that was ahead and is set back: sessions of that time go on, and keep no time that is
//! yet to come.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use session_core::{
    Clock, Directive, KeyRing, MemoryStore, Outcome, Rotation, SessionGuard, SessionManager,
    SessionManagerBuilder, Sleep, SystemClock, Timestamp,
};

const NOW: u64 = 1_700_000_000_000;
const YEAR: u64 = 365 * 86_400_000;
const MINUTE: u64 = 60_000;

/// A clock that can be set.
#[derive(Clone, Debug)]
struct Set(Arc<AtomicU64>);

impl Set {
    fn to(&self, millis: u64) {
        self.0.store(millis, Ordering::Relaxed);
    }
}

impl Clock for Set {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        SystemClock.sleep(duration)
    }
}

fn site(set: impl FnOnce(SessionManagerBuilder) -> SessionManagerBuilder) -> (SessionManager, Set) {
    let clock = Set(Arc::new(AtomicU64::new(NOW)));
    let builder = SessionManager::builder(MemoryStore::new())
        .clock(clock.clone())
        .keys(KeyRing::new([7; 32]).unwrap());
    (set(builder).build().unwrap(), clock)
}

async fn open(manager: &SessionManager, token: &str) -> SessionGuard {
    manager.begin(&[token]).await.unwrap()
}

async fn commit(session: &SessionGuard) -> Option<String> {
    match session.finish(Outcome::Success).await.unwrap() {
        Directive::Hold(token) => Some(token.as_str().to_owned()),
        _ => None,
    }
}

/// A request that only reads; whether it has a session, and the token that it is told.
async fn request(manager: &SessionManager, token: &str) -> (bool, Option<String>) {
    let session = open(manager, token).await;
    let known = !session.is_new();
    (known, commit(&session).await)
}

async fn signed_in(manager: &SessionManager) -> String {
    let session = manager.begin(&[]).await.unwrap();
    session.sign_in("user:1").unwrap();
    commit(&session).await.unwrap()
}

#[tokio::test]
async fn a_session_of_a_clock_that_was_ahead_ends_when_it_should() {
    for ahead in [10 * MINUTE, 86_400_000, YEAR] {
        let (manager, clock) = site(|builder| builder);
        clock.to(NOW + ahead);
        let token = signed_in(&manager).await;
        clock.to(NOW);
        assert!(request(&manager, &token).await.0);
        // Now its times are those of the clock.
        let session = open(&manager, &token).await;
        let at = |millis| Some(Timestamp::from_millis(millis));
        assert_eq!(
            (session.created_at(), session.authenticated_at()),
            (at(NOW), at(NOW))
        );
        assert_eq!(session.expires_at(), at(NOW + 120 * MINUTE), "{ahead}");
        assert!(!session.needs_commit(), "once");
        // Activity is written as ever, and idle it ends.
        clock.to(NOW + MINUTE);
        assert!(request(&manager, &token).await.0);
        clock.to(NOW + 121 * MINUTE - 1);
        assert!(!open(&manager, &token).await.is_new());
        clock.to(NOW + 121 * MINUTE);
        assert!(open(&manager, &token).await.is_new(), "{ahead}");
    }
}

#[tokio::test]
async fn its_absolute_deadline_comes_too() {
    let (manager, clock) = site(|builder| builder);
    clock.to(NOW + YEAR);
    let token = signed_in(&manager).await;
    clock.to(NOW);
    let deadline = NOW + 14 * 86_400_000;
    let mut now = NOW;
    while now < deadline {
        clock.to(now);
        assert!(request(&manager, &token).await.0);
        now += 100 * MINUTE;
    }
    clock.to(deadline);
    assert!(open(&manager, &token).await.is_new());
}

#[tokio::test]
async fn a_token_that_was_rotated_away_while_the_clock_was_ahead_is_accepted_for_its_overlap_only()
{
    let (manager, clock) = site(|builder| builder.rotation(Rotation::default()));
    let first = signed_in(&manager).await;
    clock.to(NOW + 100 * MINUTE);
    let second = request(&manager, &first).await.1.unwrap();
    clock.to(NOW + 101 * MINUTE);
    let third = request(&manager, &second).await.1.unwrap();
    // Set back: the first one was retired at a time that is yet to come.
    clock.to(NOW);
    assert_eq!(request(&manager, &third).await, (true, None));
    clock.to(NOW + 9_999);
    assert!(request(&manager, &first).await.0, "within the overlap");
    clock.to(NOW + 10_000);
    assert!(!request(&manager, &first).await.0);
    // The newest one rotates again.
    assert!(request(&manager, &third).await.1.is_some());
}

/// Machines whose clocks differ a little do not write against each other.
#[tokio::test]
async fn a_clock_that_is_a_little_behind_writes_nothing() {
    let (manager, clock) = site(|builder| builder);
    clock.to(NOW + 5 * MINUTE);
    let token = signed_in(&manager).await;
    for behind in 0..=5 {
        clock.to(NOW + (5 - behind) * MINUTE);
        assert!(!open(&manager, &token).await.needs_commit(), "{behind}");
    }
    clock.to(NOW - 1);
    assert!(open(&manager, &token).await.needs_commit());
}

//! "Nothing issued for this principal before T" (S19).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use common::{NOW, both};
use session_cookie::{CutOff, Sealing};
use session_core::store::{SessionStore, StoreError};
use session_core::{
    Directive, ManualClock, Outcome, SessionError, SessionGuard, SessionManager, Timestamp,
};

const SECOND: Duration = Duration::from_secs(1);

/// Where an application keeps its cut-offs.
#[derive(Clone, Default)]
struct Accounts {
    since: Arc<Mutex<HashMap<String, Timestamp>>>,
    down: Arc<Mutex<bool>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Accounts {
    fn cut(&self, principal: &str, since: Timestamp) {
        self.since
            .lock()
            .unwrap()
            .insert(principal.to_owned(), since);
    }
}

#[async_trait]
impl CutOff for Accounts {
    async fn not_before(&self, principal: &str) -> Result<Option<Timestamp>, StoreError> {
        self.asked.lock().unwrap().push(principal.to_owned());
        match *self.down.lock().unwrap() {
            true => Err(StoreError::unavailable("the accounts are down")),
            false => Ok(self.since.lock().unwrap().get(principal).copied()),
        }
    }
}

async fn open(manager: &SessionManager, token: &str) -> SessionGuard {
    manager.begin(&[token]).await.unwrap()
}

async fn commit(session: &SessionGuard) -> String {
    match session.finish(Outcome::Success).await.unwrap() {
        Directive::Hold(token) => token.as_str().to_owned(),
        other => panic!("the client has to be told: {other:?}"),
    }
}

async fn sign_in(manager: &SessionManager, name: &str) -> String {
    let session = manager.begin(&[]).await.unwrap();
    session.sign_in(name).unwrap();
    commit(&session).await
}

fn stages() -> impl Iterator<Item = (SessionManager, Arc<ManualClock>, Accounts)> {
    both(1).into_iter().map(|store| {
        let (clock, accounts) = (ManualClock::new(NOW), Accounts::default());
        let store = store.with_cut_off(accounts.clone());
        let manager = SessionManager::builder(store)
            .clock(clock.clone())
            .build()
            .unwrap();
        (manager, clock, accounts)
    })
}

#[tokio::test]
async fn what_was_issued_before_it_opens_no_more() {
    for (manager, clock, accounts) in stages() {
        let before = sign_in(&manager, "user:1").await;
        let other = sign_in(&manager, "user:2").await;
        clock.advance(SECOND);
        accounts.cut("user:1", clock.now());
        assert!(open(&manager, &before).await.is_new());
        assert_eq!(
            open(&manager, &other).await.principal().as_deref(),
            Some("user:2")
        );
        // From then on they may sign in again.
        let after = sign_in(&manager, "user:1").await;
        assert_eq!(
            open(&manager, &after).await.principal().as_deref(),
            Some("user:1")
        );
    }
}

#[tokio::test]
async fn a_request_under_way_carries_nothing_over_it() {
    for (manager, clock, accounts) in stages() {
        let token = sign_in(&manager, "user:1").await;
        let [writing, saving] = [open(&manager, &token).await, open(&manager, &token).await];
        clock.advance(SECOND);
        accounts.cut("user:1", clock.now());
        writing.insert("n", 1).unwrap();
        assert_eq!(
            writing.finish(Outcome::Success).await.unwrap(),
            Directive::Nothing
        );
        saving.insert("n", 1).unwrap();
        assert!(matches!(saving.save().await, Err(SessionError::Gone)));
    }
}

#[tokio::test]
async fn the_request_that_sets_it_signs_in_again_to_stay() {
    for (manager, clock, accounts) in stages() {
        let token = sign_in(&manager, "user:1").await;
        clock.advance(SECOND);
        let changing = open(&manager, &token).await;
        accounts.cut("user:1", clock.now());
        changing.sign_in("user:1").unwrap();
        let own = commit(&changing).await;
        assert_eq!(
            open(&manager, &own).await.principal().as_deref(),
            Some("user:1")
        );
        assert!(open(&manager, &token).await.is_new());
    }
}

#[tokio::test]
async fn rounded_down_it_spares_those_of_the_same_second() {
    for (manager, clock, accounts) in stages() {
        clock.advance(Duration::from_millis(1_400 - NOW.as_millis() % 1_000));
        let token = sign_in(&manager, "user:1").await;
        clock.advance(Duration::from_millis(100));
        let exact = clock.now();
        accounts.cut(
            "user:1",
            Timestamp::from_millis(exact.as_millis() / 1_000 * 1_000),
        );
        assert!(!open(&manager, &token).await.is_new());
        accounts.cut("user:1", exact);
        assert!(open(&manager, &token).await.is_new());
    }
}

#[tokio::test]
async fn activity_moves_nothing_over_it() {
    for (manager, clock, accounts) in stages() {
        let mut token = sign_in(&manager, "user:1").await;
        clock.advance(SECOND);
        let cut = clock.now();
        for _ in 0..10 {
            clock.advance(120 * SECOND);
            let session = open(&manager, &token).await;
            token = commit(&session).await;
        }
        accounts.cut("user:1", cut);
        assert!(
            open(&manager, &token).await.is_new(),
            "sealed long after it, issued before"
        );
        // A fresh authentication does.
        let again = sign_in(&manager, "user:1").await;
        assert!(!open(&manager, &again).await.is_new());
    }
}

#[tokio::test]
async fn it_is_asked_for_principals_only_and_fails_closed() {
    for (manager, _, accounts) in stages() {
        let guest = manager.begin(&[]).await.unwrap();
        guest.insert("n", 1).unwrap();
        let guest = commit(&guest).await;
        let session = open(&manager, &guest).await;
        session.insert("n", 2).unwrap();
        commit(&session).await;
        assert!(accounts.asked.lock().unwrap().is_empty());

        let token = sign_in(&manager, "user:1").await;
        *accounts.down.lock().unwrap() = true;
        let refused = manager.begin(&[token.as_str()]).await.unwrap_err();
        assert!(refused.is_temporary(), "{refused}");
        *accounts.down.lock().unwrap() = false;
        assert!(!open(&manager, &token).await.is_new());
    }
}

/// Law 9: an application that does not answer is an error within the deadline of a call.
#[tokio::test]
async fn one_that_hangs_is_given_up() {
    struct Hanging;
    #[async_trait]
    impl CutOff for Hanging {
        async fn not_before(&self, _: &str) -> Result<Option<Timestamp>, StoreError> {
            std::future::pending().await
        }
    }
    for store in both(1) {
        let token = {
            let manager = SessionManager::builder(store)
                .clock(ManualClock::new(NOW))
                .build();
            sign_in(&manager.unwrap(), "user:1").await
        };
        for store in both(1) {
            assert_eq!(
                store.call_timeout(),
                Some(Duration::ZERO),
                "it waits for nothing"
            );
            let store = store
                .with_former_sealing(Sealing::Signed)
                .with_former_sealing(Sealing::Encrypted);
            let store = store.with_cut_off(Hanging);
            assert_eq!(
                store.call_timeout(),
                None,
                "nobody knows how long the application takes"
            );
            let clock = ManualClock::new(NOW);
            let manager = SessionManager::builder(store)
                .clock(clock.clone())
                .build()
                .unwrap();
            let tokens = [token.as_str()];
            let mut opening = pin!(manager.begin(&tokens));
            let mut context = Context::from_waker(Waker::noop());
            assert!(opening.as_mut().poll(&mut context).is_pending());
            clock.advance(3 * SECOND);
            let Poll::Ready(Err(error)) = opening.poll(&mut context) else {
                panic!("it still waits");
            };
            assert!(error.is_temporary(), "{error}");
        }
    }
}

//! Sessions over a sealed store, as a handler sees them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::time::Duration;

use common::{NOW, both, ring};
use session_cookie::CookieStore;
use session_core::{
    Directive, Lifetime, Limit, ManualClock, Outcome, SessionError, SessionGuard, SessionManager,
};

fn manager(store: CookieStore, clock: &std::sync::Arc<ManualClock>) -> SessionManager {
    SessionManager::builder(store)
        .clock(clock.clone())
        .build()
        .unwrap()
}

async fn commit(session: &SessionGuard) -> String {
    match session.finish(Outcome::Success).await.unwrap() {
        Directive::Hold(token) => token.as_str().to_owned(),
        other => panic!("the client has to be told: {other:?}"),
    }
}

#[tokio::test]
async fn a_session_lives_in_its_token() {
    for store in both(1) {
        let manager = manager(store, &ManualClock::new(NOW));
        let session = manager.begin(&[]).await.unwrap();
        session.insert("visits", 1).unwrap();
        let first = commit(&session).await;

        let session = manager.begin(&[&first]).await.unwrap();
        assert_eq!(
            session
                .update("visits", |visits: Option<u32>| visits.unwrap_or(0) + 1)
                .unwrap(),
            2
        );
        let second = commit(&session).await;
        assert_ne!(first, second);

        let session = manager.begin(&[&second]).await.unwrap();
        assert_eq!(session.get::<u32>("visits").unwrap(), Some(2));
        assert_eq!(
            session.finish(Outcome::Success).await.unwrap(),
            Directive::Nothing
        );
    }
}

#[tokio::test]
async fn what_does_not_open_is_a_new_session() {
    for store in both(1) {
        let manager = manager(store, &ManualClock::new(NOW));
        let session = manager.begin(&["AQEBAQEBAQEBAQEB"]).await.unwrap();
        assert!(session.is_new());
        assert_eq!(
            session.finish(Outcome::Success).await.unwrap(),
            Directive::Nothing
        );
    }
}

#[tokio::test]
async fn both_deadlines_hold() {
    let minute = Duration::from_secs(60);
    for store in both(1) {
        let clock = ManualClock::new(NOW);
        let manager = SessionManager::builder(store)
            .clock(clock.clone())
            .lifetime(Lifetime::new(10 * minute, 25 * minute).unwrap())
            .build()
            .unwrap();
        let session = manager.begin(&[]).await.unwrap();
        session.insert("k", 1).unwrap();
        let mut token = commit(&session).await;
        let abandoned = token.clone();
        for _ in 0..3 {
            clock.advance(8 * minute);
            let session = manager.begin(&[&token]).await.unwrap();
            assert_eq!(session.get::<u32>("k").unwrap(), Some(1));
            token = commit(&session).await;
        }
        assert!(manager.begin(&[&abandoned]).await.unwrap().is_new());
        clock.advance(minute);
        assert!(manager.begin(&[&token]).await.unwrap().is_new());
    }
}

#[tokio::test]
async fn an_insert_that_does_not_fit_says_so_at_once() {
    for store in both(1) {
        let manager = manager(store, &ManualClock::new(NOW));
        let session = manager.begin(&[]).await.unwrap();
        session.insert("small", "x").unwrap();
        let error = session.insert("large", "x".repeat(4_000)).unwrap_err();
        let SessionError::Limit(exceeded) = error else {
            panic!("{error}");
        };
        assert_eq!(exceeded.which(), Limit::TokenBytes);
        let (size, limit) = (exceeded.size(), exceeded.limit());
        assert!(size > limit && limit == 4096);
        assert!(commit(&session).await.len() <= limit);
    }
}

#[tokio::test]
async fn what_passes_an_insert_passes_the_store() {
    for store in both(1) {
        let manager = manager(store, &ManualClock::new(NOW));
        let session = manager.begin(&[]).await.unwrap();
        let mut fitting = 0;
        while session.insert("filling", "x".repeat(fitting + 1)).is_ok() {
            fitting += 1;
        }
        assert!(fitting > 2_500);
        let token = commit(&session).await;
        assert!(token.len() <= 4096);
        let session = manager.begin(&[&token]).await.unwrap();
        assert_eq!(
            session.get::<String>("filling").unwrap().unwrap().len(),
            fitting
        );
    }
}

#[tokio::test]
async fn a_sign_in_keeps_data_and_the_former_token_still_opens() {
    for store in both(1) {
        let manager = manager(store, &ManualClock::new(NOW));
        let session = manager.begin(&[]).await.unwrap();
        session.insert("basket", "book").unwrap();
        let before = commit(&session).await;

        let session = manager.begin(&[&before]).await.unwrap();
        session.sign_in("user:42").unwrap();
        let after = commit(&session).await;

        let session = manager.begin(&[&after]).await.unwrap();
        assert_eq!(session.principal().as_deref(), Some("user:42"));
        assert_eq!(
            session.get::<String>("basket").unwrap().as_deref(),
            Some("book")
        );
        // A server would have retired it; here it is what it was, and signed in as nobody.
        let session = manager.begin(&[&before]).await.unwrap();
        assert_eq!(session.principal(), None);
    }
}

#[tokio::test]
async fn destroying_tells_the_client_to_forget() {
    for store in both(1) {
        let manager = manager(store, &ManualClock::new(NOW));
        let session = manager.begin(&[]).await.unwrap();
        session.insert("k", 1).unwrap();
        let token = commit(&session).await;
        let session = manager.begin(&[&token]).await.unwrap();
        session.destroy().unwrap();
        assert_eq!(
            session.finish(Outcome::Success).await.unwrap(),
            Directive::Forget
        );
    }
}

#[tokio::test]
async fn the_keys_belong_to_the_store() {
    for store in both(1) {
        assert!(
            SessionManager::builder(store)
                .keys(ring(1))
                .build()
                .is_err()
        );
    }
}

/// Law 4, where the client holds the only copy: other keys or settings could open it again.
#[tokio::test]
async fn to_destroy_what_does_not_open_has_the_client_forget_it() {
    for store in both(1) {
        let manager = manager(store, &ManualClock::new(NOW));
        let long = "AQEB".repeat(50);
        for presented in [long.as_str(), &format!("3.{long}"), &long.replace('B', "?")] {
            let session = manager.begin(&[presented]).await.unwrap();
            session.destroy().unwrap();
            assert_eq!(
                session.finish(Outcome::Success).await.unwrap(),
                Directive::Forget
            );
            // A response that is refused says it too, as of every session that was destroyed.
            let session = manager.begin(&[presented]).await.unwrap();
            session.destroy().unwrap();
            assert_eq!(
                session.finish(Outcome::Failure).await.unwrap(),
                Directive::Forget
            );
            // What is stored afterwards takes its place.
            let session = manager.begin(&[presented]).await.unwrap();
            session.destroy().unwrap();
            session.insert("visits", 1).unwrap();
            commit(&session).await;
        }
        // What is too short was never a session of this store.
        for presented in [&["AQEBAQEBAQEBAQEB"][..], &["?"], &[""], &[]] {
            let session = manager.begin(presented).await.unwrap();
            session.destroy().unwrap();
            assert_eq!(
                session.finish(Outcome::Success).await.unwrap(),
                Directive::Nothing
            );
        }
    }
}

/// What no key opens costs no command and does not count among the tokens that are tried.
#[tokio::test]
async fn any_number_of_tokens_that_do_not_open_hides_none_that_does() {
    for store in both(1) {
        let manager = manager(store, &ManualClock::new(NOW));
        let session = manager.begin(&[]).await.unwrap();
        session.insert("visits", 1).unwrap();
        let token = commit(&session).await;
        let others: Vec<String> = (0..40)
            .map(|at| {
                let begin = if at % 2 == 0 { &token[..30] } else { "AQEB" };
                format!("{begin}{at:060}")
            })
            .collect();
        let mut tokens: Vec<&str> = others.iter().map(String::as_str).collect();
        tokens.push(&token);
        assert_eq!(
            manager.begin(&tokens).await.unwrap().get("visits").unwrap(),
            Some(1)
        );
    }
}

//! Forms that are shown to somebody whose session has just ended: their CSRF tokens hold.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use session_core::{
    Directive, KeyRing, ManualClock, MemoryStore, Outcome, SessionError, SessionGuard,
    SessionManager, SessionManagerBuilder, Timestamp,
};

struct Site {
    clock: Arc<ManualClock>,
    store: Arc<MemoryStore>,
    manager: SessionManager,
}

fn sites() -> [Site; 2] {
    let keys = || KeyRing::new([7; 32]).unwrap();
    [
        site(|builder| builder),
        site(|builder| builder.keys(keys())),
    ]
}

fn site(settings: impl FnOnce(SessionManagerBuilder) -> SessionManagerBuilder) -> Site {
    let clock = ManualClock::new(Timestamp::from_millis(1_700_000_000_000));
    let store = Arc::new(MemoryStore::new());
    let builder = SessionManager::builder(Arc::clone(&store)).clock(Arc::clone(&clock));
    let manager = settings(builder).build().unwrap();
    Site {
        clock,
        store,
        manager,
    }
}

impl Site {
    async fn open(&self, tokens: &[&str]) -> SessionGuard {
        self.manager.begin(tokens).await.unwrap()
    }

    async fn token(&self, session: &SessionGuard) -> String {
        match session.finish(Outcome::Success).await.unwrap() {
            Directive::Hold(token) => token.as_str().to_owned(),
            other => unreachable!("{other:?}"),
        }
    }

    async fn signed_in(&self, principal: &str) -> String {
        let session = self.open(&[]).await;
        session.sign_in(principal).unwrap();
        self.token(&session).await
    }

    /// The token of a session that was ended from elsewhere.
    async fn signed_out(&self, principal: &str) -> String {
        let held = self.signed_in(principal).await;
        self.manager.sign_out_everywhere(principal).await.unwrap();
        held
    }

    /// The CSRF token of the sign-in page that the client of these tokens is shown.
    async fn page(&self, tokens: &[&str]) -> String {
        let session = self.open(tokens).await;
        let field = session.csrf_token().unwrap();
        assert_eq!(
            session.finish(Outcome::Success).await.unwrap(),
            Directive::Nothing
        );
        field
    }
}

#[tokio::test]
async fn who_was_signed_out_elsewhere_can_sign_in_again_at_once() {
    for site in sites() {
        for seconds in [0, 5, 59, 61, 3_600] {
            let held = site.signed_out("ann").await;
            let before = site.store.len();
            let field = site.page(&[&held]).await;
            assert_eq!(site.store.len(), before, "a mute request stores nothing");
            site.clock.advance(Duration::from_secs(seconds));
            let session = site.open(&[&held]).await;
            assert!(session.verify_csrf(&field), "after {seconds} s");
            session.sign_in("ann").unwrap();
            let new = site.token(&session).await;
            let session = site.open(&[&new]).await;
            assert_eq!(session.principal().as_deref(), Some("ann"));
            assert!(
                !session.verify_csrf(&field),
                "the new session has tokens of its own"
            );
        }
    }
}

#[tokio::test]
async fn such_a_token_is_bound_to_what_its_client_holds() {
    for site in sites() {
        let (ann, bob) = (site.signed_out("ann").await, site.signed_out("bob").await);
        let field = site.page(&[&ann]).await;
        assert!(site.open(&[&ann]).await.verify_csrf(&field));
        assert!(!site.open(&[&bob]).await.verify_csrf(&field));
        assert!(!site.open(&[]).await.verify_csrf(&field));
        assert!(!site.open(&["no token of ours"]).await.verify_csrf(&field));
        let cat = site.signed_in("cat").await;
        assert!(!site.open(&[&cat]).await.verify_csrf(&field));
        assert!(!site.open(&[&ann]).await.verify_csrf("guessed"));
        assert!(!site.open(&[&ann]).await.verify_csrf(&"A".repeat(43)));
    }
}

/// What the session had before it ended is no token of the page that follows.
#[tokio::test]
async fn a_form_from_before_the_end_is_void() {
    for site in sites() {
        let held = site.signed_in("ann").await;
        let field = site.open(&[&held]).await.csrf_token().unwrap();
        site.manager.sign_out_everywhere("ann").await.unwrap();
        assert!(!site.open(&[&held]).await.verify_csrf(&field));
    }
}

#[tokio::test]
async fn the_order_of_several_cookies_does_not_matter() {
    for site in sites() {
        let (ann, bob) = (site.signed_in("ann").await, site.signed_in("bob").await);
        let field = site.page(&[&ann, &bob]).await;
        assert!(site.open(&[&bob, &ann]).await.verify_csrf(&field));
        assert!(!site.open(&[&ann]).await.verify_csrf(&field));
    }
}

#[tokio::test]
async fn where_the_session_ends_under_the_request_there_is_no_token() {
    for site in sites() {
        let held = site.signed_in("ann").await;
        let session = site.open(&[&held]).await;
        site.manager.sign_out_everywhere("ann").await.unwrap();
        session.insert("a", 1).unwrap();
        assert!(matches!(session.save().await, Err(SessionError::Gone)));
        assert!(matches!(session.csrf_token(), Err(SessionError::Gone)));
        // With a sign-in there is a session again, and a token for it.
        session.sign_in("ann").unwrap();
        let field = session.csrf_token().unwrap();
        let new = site.token(&session).await;
        assert!(site.open(&[&new]).await.verify_csrf(&field));
    }
}

/// A request that is not mute gets a session for its form, whatever it presents.
#[tokio::test]
async fn a_stranger_s_form_has_a_session_of_its_own() {
    for site in sites() {
        let held = site.signed_out("ann").await;
        site.clock.advance(Duration::from_secs(3_600));
        let session = site.open(&[&held]).await;
        let field = session.csrf_token().unwrap();
        let new = site.token(&session).await;
        assert!(site.open(&[&new]).await.verify_csrf(&field));
    }
}

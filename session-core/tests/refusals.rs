//! Why a token opened no session, as the observer is sent it (S44).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use session_core::store::SessionStore;
use session_core::{
    Clock as _, Directive, EndReason, Event, EventKind, KeyRing, ManualClock, MemoryStore,
    OnMaxSessions, Outcome, Refusal, Rotation, SessionManager, SessionManagerBuilder, Timestamp,
};

struct Site {
    manager: SessionManager,
    clock: Arc<ManualClock>,
    refusals: Arc<Mutex<Vec<Refusal>>>,
}

impl Site {
    fn new() -> Self {
        Self::with(Arc::new(MemoryStore::new()), |builder| builder)
    }

    fn with(
        store: Arc<dyn SessionStore>,
        set: impl FnOnce(SessionManagerBuilder) -> SessionManagerBuilder,
    ) -> Self {
        let clock = ManualClock::new(Timestamp::from_millis(1_000_000));
        let refusals = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&refusals);
        let builder = SessionManager::builder(store)
            .clock(Arc::clone(&clock))
            .keys(KeyRing::new([7; 32]).unwrap())
            .rotation(Rotation::hourly())
            .observer(move |event: &Event<'_>| {
                let is_refused = event.kind == EventKind::Refused;
                assert_eq!(event.refusal.is_some(), is_refused, "{event:?}");
                notes.lock().unwrap().extend(event.refusal);
            });
        Self {
            manager: set(builder).build().unwrap(),
            clock,
            refusals,
        }
    }

    /// The token of a new session of this principal.
    async fn signed_in(&self, principal: &str) -> String {
        let session = self.manager.begin(&[]).await.unwrap();
        session.sign_in(principal).unwrap();
        match session.finish(Outcome::Success).await.unwrap() {
            Directive::Hold(token) => token.as_str().to_owned(),
            other => unreachable!("{other:?}"),
        }
    }

    /// What is refused of a request with these tokens.
    async fn refused(&self, tokens: &[&str]) -> Vec<Refusal> {
        let session = self.manager.begin(tokens).await.unwrap();
        assert!(session.principal().is_none());
        std::mem::take(&mut *self.refusals.lock().unwrap())
    }

    async fn renew(&self, token: &str) {
        let session = self.manager.begin(&[token]).await.unwrap();
        session.renew().unwrap();
        session.finish(Outcome::Success).await.unwrap();
    }
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_token_without_a_session() {
    let site = Site::new();
    assert_eq!(site.refused(&["nonsense"]).await, [Refusal::Malformed]);
    let unknown = Site::new().signed_in("ann").await;
    assert_eq!(site.refused(&[&unknown]).await, [Refusal::Unknown]);

    let arrived = site.clock.now() - MINUTE;
    let session = site.manager.begin_at(&[&unknown], arrived).await.unwrap();
    assert!(session.is_new());
    assert_eq!(*site.refusals.lock().unwrap(), [Refusal::Late]);
}

#[tokio::test]
async fn a_token_that_was_renewed() {
    let site = Site::new();
    let token = site.signed_in("ann").await;
    site.renew(&token).await;
    assert_eq!(site.refused(&[&token]).await, [Refusal::Renewed]);
    site.clock.advance(MINUTE);
    assert_eq!(site.refused(&[&token]).await, [Refusal::Retired]);
}

#[tokio::test]
async fn a_token_whose_session_was_ended() {
    let site = Site::new();
    let token = site.signed_in("ann").await;
    site.manager.sign_out_everywhere("ann").await.unwrap();
    let ended = Refusal::Ended(EndReason::Revoked);
    assert_eq!(site.refused(&[&token]).await, [ended]);
    assert_eq!(ended.label(), "ended");
    site.clock.advance(MINUTE);
    assert_eq!(site.refused(&[&token]).await, [Refusal::Unknown]);
}

#[tokio::test]
async fn tokens_of_several_sessions() {
    let site = Site::new();
    let (ann, bob) = (site.signed_in("ann").await, site.signed_in("bob").await);
    assert_eq!(site.refused(&[&ann, &bob]).await, [Refusal::Ambiguous]);
    let mut tokens = Vec::new();
    for _ in 0..20 {
        tokens.push(Site::new().signed_in("ann").await);
    }
    let tokens: Vec<_> = tokens.iter().map(String::as_str).collect();
    let refusals = site.refused(&tokens).await;
    assert_eq!(refusals.last(), Some(&Refusal::TooManyTokens));
    assert!(refusals.contains(&Refusal::Unknown));
}

#[tokio::test]
async fn a_sign_in_beyond_the_maximum() {
    let store = Arc::new(MemoryStore::new());
    let site = Site::with(store, |builder| {
        builder.max_sessions(1, OnMaxSessions::Refuse)
    });
    site.signed_in("ann").await;
    let session = site.manager.begin(&[]).await.unwrap();
    session.sign_in("ann").unwrap();
    assert!(session.finish(Outcome::Success).await.is_err());
    assert_eq!(*site.refusals.lock().unwrap(), [Refusal::TooManySessions]);
}

/// Keys are derived for a scope, so only without keys a token reaches a record of another one.
#[tokio::test]
async fn a_token_of_another_scope() {
    let store = Arc::new(MemoryStore::new());
    let shop = SessionManager::new(Arc::clone(&store));
    let session = shop.begin(&[]).await.unwrap();
    session.sign_in("ann").unwrap();
    let Directive::Hold(token) = session.finish(Outcome::Success).await.unwrap() else {
        unreachable!()
    };
    let refusal = Arc::new(Mutex::new(None));
    let note = Arc::clone(&refusal);
    let admin = SessionManager::builder(store)
        .scope("admin")
        .observer(move |event: &Event<'_>| *note.lock().unwrap() = event.refusal)
        .build()
        .unwrap();
    drop(admin.begin(&[token.as_str()]).await.unwrap());
    assert_eq!(*refusal.lock().unwrap(), Some(Refusal::OtherScope));
}

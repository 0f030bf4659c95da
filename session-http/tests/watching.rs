//! Handles that outlive their response: a save keeps the session alive, and says when it has ended.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::*;
use session_core::{Lifetime, ManualClock, MemoryStore, Outcome, Session, SessionError};
use session_http::SessionLayer;

const MINUTE: Duration = Duration::from_secs(60);

/// A handle of the session of this token, whose response has left.
async fn watch(layer: &SessionLayer, token: &str) -> Session {
    let kept = Mutex::new(None);
    visit(layer, holding(token), |session| {
        *kept.lock().unwrap() = Some(session.clone());
    })
    .await;
    kept.into_inner().unwrap().unwrap()
}

async fn signed_in(layer: &SessionLayer) -> String {
    let response = visit(layer, plain(), |session| session.sign_in("user:1").unwrap()).await;
    token(&response)
}

/// A way for a session to end while somebody watches it.
#[derive(Clone, Copy, Debug)]
enum End {
    Destroyed,
    Renewed,
    SignedOutEverywhere,
    Expired,
}

async fn end(how: End, layer: &SessionLayer, clock: &ManualClock, token: &str) {
    match how {
        End::Destroyed => {
            drop(visit(layer, holding(token), |session| session.destroy().unwrap()).await);
        }
        End::Renewed => {
            drop(visit(layer, holding(token), |session| session.renew().unwrap()).await);
        }
        End::SignedOutEverywhere => {
            let manager = layer.manager();
            assert_eq!(manager.sign_out_everywhere("user:1").await.unwrap(), 1);
        }
        End::Expired => clock.advance(Duration::from_secs(7_200)),
    }
}

#[tokio::test]
async fn a_save_of_a_session_that_has_ended_is_gone_though_nothing_was_changed() {
    for how in [
        End::Destroyed,
        End::Renewed,
        End::SignedOutEverywhere,
        End::Expired,
    ] {
        let clock = ManualClock::new(START);
        let layer = SessionLayer::builder(MemoryStore::new())
            .clock(Arc::clone(&clock))
            .build()
            .unwrap();
        let token = signed_in(&layer).await;
        let [saved, touched, updated] = [
            watch(&layer, &token).await,
            watch(&layer, &token).await,
            watch(&layer, &token).await,
        ];
        for session in [&saved, &touched, &updated] {
            session.save().await.unwrap();
        }
        end(how, &layer, &clock, &token).await;
        for _ in 0..2 {
            // The second time too, and later.
            assert!(
                matches!(saved.save().await, Err(SessionError::Gone)),
                "{how:?}"
            );
            let same = updated.update_now("n", |n: Option<u64>| n.unwrap_or(0));
            assert!(matches!(same.await, Err(SessionError::Gone)), "{how:?}");
            clock.advance(MINUTE);
            assert!(
                matches!(touched.save().await, Err(SessionError::Gone)),
                "{how:?}"
            );
        }
    }
}

#[tokio::test]
async fn after_a_refused_response_too() {
    let (layer, _, _) = layer_with(|builder| builder);
    let token = stored(&layer).await;
    let manager = layer.manager();
    let session = manager.begin(&[&token]).await.unwrap();
    session.finish(Outcome::Failure).await.unwrap();
    session.save().await.unwrap();
    visit(&layer, holding(&token), |session| {
        session.destroy().unwrap();
    })
    .await;
    assert!(matches!(session.save().await, Err(SessionError::Gone)));
}

#[tokio::test]
async fn to_save_nothing_costs_one_load_after_the_response_and_nothing_before() {
    let (layer, store, clock) = layer_with(|builder| builder);
    let token = stored(&layer).await;
    let session = watch(&layer, &token).await;
    store.calls();
    session.save().await.unwrap();
    assert_eq!(store.calls(), [1, 0, 0, 0]);
    session.insert("colour", "blue").unwrap(); // as it is
    session.save().await.unwrap();
    assert_eq!(store.calls(), [1, 0, 0, 0]);
    // Where activity is due that is written, which tells as well.
    clock.advance(MINUTE);
    session.save().await.unwrap();
    assert_eq!(store.calls(), [0, 0, 1, 0]);
    session.save().await.unwrap();
    assert_eq!(store.calls(), [1, 0, 0, 0]);

    let manager = layer.manager();
    let open = manager.begin(&[&token]).await.unwrap();
    store.calls();
    clock.advance(MINUTE);
    open.save().await.unwrap();
    assert_eq!(store.calls(), [0; 4]);
    // What was never stored is nowhere to be looked for.
    let new = manager.begin(&[]).await.unwrap();
    new.finish(Outcome::Success).await.unwrap();
    new.save().await.unwrap();
    assert_eq!(store.calls(), [0; 4]);
}

#[tokio::test]
async fn a_save_a_minute_keeps_a_session_alive_for_hours() {
    for lifetime in [Lifetime::default(), Lifetime::default().persistent()] {
        let (layer, store, clock) = layer_with(|builder| builder.lifetime(lifetime));
        let token = stored(&layer).await;
        let session = watch(&layer, &token).await;
        for minute in 1..=180 {
            clock.advance(MINUTE);
            store.calls();
            session.save().await.unwrap();
            assert_eq!(store.calls(), [0, 0, 1, 0], "{minute}");
        }
        assert!(!layer.manager().begin(&[&token]).await.unwrap().is_new());
        // Its absolute deadline stays.
        for _ in 0..14 * 24 {
            clock.advance(MINUTE * 60);
            if session.save().await.is_err() {
                break;
            }
        }
        assert!(matches!(session.save().await, Err(SessionError::Gone)));
    }
}

#[tokio::test]
async fn a_save_shows_what_others_have_stored_since() {
    let (layer, _, _) = layer_with(|builder| builder);
    let token = stored(&layer).await;
    let session = watch(&layer, &token).await;
    visit(&layer, holding(&token), |session| {
        session.insert("colour", "red").unwrap();
        session.insert("n", 3).unwrap();
    })
    .await;
    session.save().await.unwrap();
    assert_eq!(
        session.get::<String>("colour").unwrap().as_deref(),
        Some("red")
    );
    assert_eq!(session.get("n").unwrap(), Some(3));
}

/// What changes nothing of what the handle knows may change what is stored.
#[tokio::test]
async fn an_update_that_seems_to_change_nothing_is_made_on_what_is_there() {
    let (layer, _, _) = layer_with(|builder| builder);
    let token = stored(&layer).await;
    let insert = |n: u64| {
        visit(&layer, holding(&token), move |session| {
            session.insert("n", n).unwrap();
        })
    };
    insert(7).await;
    let session = watch(&layer, &token).await;
    let at_least_five = |n: Option<u64>| n.unwrap_or(0).max(5);
    insert(3).await;
    assert_eq!(session.update_now("n", at_least_five).await.unwrap(), 5);
    insert(9).await;
    assert_eq!(session.update_now("n", at_least_five).await.unwrap(), 9);
    let after = layer.manager().begin(&[&token]).await.unwrap();
    assert_eq!(after.get::<u64>("n").unwrap(), Some(9));
}

/// A sealed session has no other place than the client: its end by time is all that shows.
#[cfg(feature = "cookie")]
#[tokio::test]
async fn a_sealed_session_is_looked_at_too() {
    let clock = ManualClock::new(START);
    let keys = session_core::KeyRing::new([7; 32]).unwrap();
    let layer = SessionLayer::builder(session_cookie::CookieStore::signed(keys))
        .clock(Arc::clone(&clock))
        .build()
        .unwrap();
    let token = stored(&layer).await;
    let session = watch(&layer, &token).await;
    clock.advance(MINUTE);
    session.save().await.unwrap();
    clock.advance(Duration::from_secs(7_200));
    assert!(matches!(session.save().await, Err(SessionError::Gone)));
}

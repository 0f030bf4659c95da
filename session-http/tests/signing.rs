//! Keys that change while clients hold tokens.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::*;
use session_core::{KeyRing, ManualClock};
use session_http::{CookieConfig, SessionLayer};

const MINUTE: Duration = Duration::from_secs(60);

fn ring(keys: &[u8]) -> KeyRing {
    KeyRing::from_keys(keys.iter().map(|key| [*key; 32])).unwrap()
}

/// The service after a restart with these keys: the store and the time go on.
fn restarted(store: &Arc<TestStore>, clock: &Arc<ManualClock>, keys: &[u8]) -> SessionLayer {
    SessionLayer::builder(Arc::clone(store))
        .keys(ring(keys))
        .clock(clock.clone())
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_token_of_an_older_key_is_signed_anew_with_the_next_touch() {
    let (store, clock) = (TestStore::new(), ManualClock::new(START));
    let old = stored(&restarted(&store, &clock, &[1])).await;

    let layer = restarted(&store, &clock, &[2, 1]);
    let response = visit(&layer, holding(&old), |session| {
        assert_eq!(
            session.get::<String>("colour").unwrap().as_deref(),
            Some("blue")
        );
    })
    .await;
    assert!(set_cookies(&response).is_empty(), "the touch is not due");

    clock.advance(MINUTE);
    store.calls();
    let response = visit(&layer, holding(&old), |_| ()).await;
    assert_eq!(store.calls(), [1, 0, 1, 0]);
    let new = token(&response);
    assert_eq!(new[..43], old[..43], "the same token");
    assert_ne!(new[43..], old[43..], "signed by another key");

    // Said once; then nothing more until it has to be.
    clock.advance(MINUTE);
    assert!(set_cookies(&visit(&layer, holding(&new), |_| ()).await).is_empty());

    // The old key may go now: the new token stays good and the old one is a stranger's.
    let layer = restarted(&store, &clock, &[2]);
    store.calls();
    assert_eq!(colour(&layer, &old).await, None);
    assert_eq!(store.calls(), [0; 4]);
    assert_eq!(colour(&layer, &new).await.as_deref(), Some("blue"));
}

#[tokio::test]
async fn an_older_key_is_replaced_with_a_change_of_data_too_once_the_touch_is_due() {
    let (store, clock) = (TestStore::new(), ManualClock::new(START));
    let old = stored(&restarted(&store, &clock, &[1])).await;
    let layer = restarted(&store, &clock, &[2, 1]);
    clock.advance(MINUTE);
    store.calls();
    let response = visit(&layer, holding(&old), |session| {
        session.insert("colour", "red").unwrap();
    })
    .await;
    assert_eq!(store.calls(), [1, 0, 1, 0], "one write for both");
    assert_ne!(token(&response)[43..], old[43..]);
}

#[tokio::test]
async fn an_unknown_key_is_a_clean_miss() {
    let (store, clock) = (TestStore::new(), ManualClock::new(START));
    let old = stored(&restarted(&store, &clock, &[1])).await;
    store.calls();
    let layer = restarted(&store, &clock, &[2, 3]);
    let response = visit(&layer, holding(&old), |session| assert!(session.is_new())).await;
    assert!(set_cookies(&response).is_empty());
    assert_eq!(store.calls(), [0; 4]);
    let response = visit(&layer, holding(&old), |session| {
        session.insert("colour", "red").unwrap();
    })
    .await;
    assert_ne!(token(&response)[..43], old[..43]);
    assert_eq!(store.len(), 2);
}

#[tokio::test]
async fn a_token_without_a_mac_is_refused_once_there_are_keys() {
    let (store, clock) = (TestStore::new(), ManualClock::new(START));
    let plain_layer = SessionLayer::builder(Arc::clone(&store))
        .clock(clock.clone())
        .build()
        .unwrap();
    let unsigned = stored(&plain_layer).await;
    let layer = restarted(&store, &clock, &[1]);
    store.calls();
    assert_eq!(colour(&layer, &unsigned).await, None);
    assert_eq!(store.calls(), [0; 4]);
    let signed = stored(&layer).await;
    assert_eq!(colour(&plain_layer, &signed).await, None);
}

#[tokio::test]
async fn a_token_of_one_name_opens_nothing_under_another() {
    let (store, clock) = (TestStore::new(), ManualClock::new(START));
    let token = stored(&restarted(&store, &clock, &[1])).await;
    let other = SessionLayer::builder(Arc::clone(&store))
        .keys(ring(&[1]))
        .cookie(CookieConfig::new("__Host-admin"))
        .build()
        .unwrap();
    store.calls();
    assert_eq!(colour(&other, &token).await, None);
    assert_eq!(store.calls(), [0; 4]);
}

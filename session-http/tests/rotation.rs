//! Tokens that rotate, as HTTP clients see them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::*;
use http::{Request, Response};
use session_core::{
    Event, EventKind, KeyRing, Lifetime, ManualClock, MemoryStore, OnMaxSessions, OnReuse,
    Rotation, Session,
};
use session_http::layer::SessionLayerBuilder;
use session_http::{HeaderConfig, SessionExt, SessionLayer};
use tower::{ServiceExt, service_fn};

const TTL: Duration = Duration::from_secs(5);
const HEADER: &str = "x-session-token";

/// A layer whose tokens rotate every 5 seconds.
fn rotating(
    set: impl FnOnce(SessionLayerBuilder) -> SessionLayerBuilder,
) -> (SessionLayer, Arc<TestStore>, Arc<ManualClock>) {
    layer_with(|builder| set(builder.rotation(Rotation::default())))
}

fn read(session: &Session) {
    assert_eq!(
        session.get::<String>("colour").unwrap().as_deref(),
        Some("blue")
    );
}

/// What a request that only reads is told, by a response of this status.
async fn answered(layer: &SessionLayer, token: &str, code: u16) -> Response<String> {
    let answer: Answer = run(layer, holding(token), async |request: Request<()>| {
        read(&request.session().await?);
        status(code)
    })
    .await;
    answer.unwrap()
}

/// The Max-Age of the only cookie that is set.
fn max_age(response: &Response<String>) -> u64 {
    let cookies = set_cookies(response);
    let (_, rest) = cookies[0].split_once("Max-Age=").unwrap();
    rest.split(';').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_request_that_only_reads_brings_one_new_cookie() {
    let (layer, store, clock) = rotating(|builder| builder);
    let first = stored(&layer).await;
    clock.advance(TTL - Duration::from_millis(1));
    store.calls();
    assert!(set_cookies(&visit(&layer, holding(&first), read).await).is_empty());
    assert_eq!(store.calls(), [1, 0, 0, 0]);

    clock.advance(Duration::from_millis(1));
    let response = visit(&layer, holding(&first), read).await;
    let second = token(&response);
    assert_ne!(first, second);
    assert_eq!(first[..21], second[..21], "the same session");
    assert_eq!(store.calls(), [1, 0, 1, 0], "the rotation is one write");
    assert_eq!(header(&response, "cache-control"), ["no-store"]);
    assert_eq!(header(&response, "vary"), ["Cookie"]);
    let cookie = &set_cookies(&response)[0];
    assert!(
        cookie.ends_with("; HttpOnly; SameSite=Lax; Secure; Path=/"),
        "{cookie}"
    );

    // The successor is presented: one write notes that. Then a read is a read.
    assert!(set_cookies(&visit(&layer, holding(&second), read).await).is_empty());
    assert_eq!(store.calls(), [1, 0, 1, 0]);
    assert!(set_cookies(&visit(&layer, holding(&second), read).await).is_empty());
    assert_eq!(store.calls(), [1, 0, 0, 0]);
    assert_eq!(store.len(), 1);
}

#[tokio::test]
async fn a_rotation_rides_on_a_write() {
    let (layer, store, clock) = rotating(|builder| builder);
    let first = stored(&layer).await;
    clock.advance(TTL);
    store.calls();
    let response = visit(&layer, holding(&first), |session| {
        session.insert("colour", "red").unwrap();
    })
    .await;
    assert_eq!(store.calls(), [1, 0, 1, 0]);
    assert_eq!(
        colour(&layer, &token(&response)).await.as_deref(),
        Some("red")
    );
}

/// They keep the token, and the next response that can carry one brings its successor.
#[tokio::test]
async fn responses_that_carry_no_token() {
    for code in [304, 101, 500, 503, 408] {
        let (layer, store, clock) = rotating(|builder| builder);
        let first = stored(&layer).await;
        clock.advance(TTL);
        store.calls();
        let response = answered(&layer, &first, code).await;
        assert!(set_cookies(&response).is_empty(), "{code}");
        assert!(header(&response, "cache-control").is_empty(), "{code}");
        assert_eq!(header(&response, "vary"), ["Cookie"], "{code}");
        assert_eq!(store.calls(), [1, 0, 0, 0], "{code}: nothing is rotated");
        assert_ne!(token(&answered(&layer, &first, 404).await), first, "{code}");
    }
}

#[tokio::test]
async fn data_is_written_on_a_304_and_the_token_stays() {
    let (layer, store, clock) = rotating(|builder| builder);
    let first = stored(&layer).await;
    clock.advance(TTL);
    store.calls();
    let answer: Answer = run(&layer, holding(&first), async |request: Request<()>| {
        request.session().await?.insert("colour", "red")?;
        status(304)
    })
    .await;
    assert!(set_cookies(&answer.unwrap()).is_empty());
    assert_eq!(store.calls(), [1, 0, 1, 0]);
    assert_eq!(colour(&layer, &first).await.as_deref(), Some("red"));
}

#[tokio::test]
async fn of_many_requests_at_once_one_brings_the_cookie() {
    let (layer, store, clock) = rotating(|builder| builder);
    let mut current = stored(&layer).await;
    for _ in 0..20 {
        clock.advance(TTL);
        store.calls();
        let requests = (0..20).map(|_| {
            let call = layer.layer(service_fn(async |request: Request<()>| -> Answer {
                read(&request.session().await?);
                fine()
            }));
            tokio::spawn(call.oneshot(holding(&current)))
        });
        let mut told = Vec::new();
        for request in requests.collect::<Vec<_>>() {
            let response = request.await.unwrap().unwrap();
            assert_eq!(response.body(), "fine", "signed in");
            assert_eq!(
                header(&response, "cache-control").len(),
                set_cookies(&response).len()
            );
            told.extend(set_cookies(&response).first().map(|_| token(&response)));
        }
        assert_eq!(told.len(), 1);
        assert_eq!(store.calls()[0], 20, "each loads once");
        // Nobody is stranded: neither who got the cookie nor who lost it.
        visit(&layer, holding(&current), read).await;
        visit(&layer, holding(&told[0]), read).await;
        current = told.remove(0);
    }
    assert_eq!(store.len(), 1);
}

#[tokio::test]
async fn a_superseded_token_sets_no_cookie() {
    let (layer, _, clock) = rotating(|builder| builder.keys(KeyRing::new([1; 32]).unwrap()));
    let first = stored(&layer).await;
    clock.advance(TTL);
    let second = token(&answered(&layer, &first, 200).await);
    visit(&layer, holding(&second), read).await; // from here on the first one is superseded
    clock.advance(TTL);
    for code in [200, 304] {
        assert!(set_cookies(&answered(&layer, &first, code).await).is_empty());
    }
    let response = visit(&layer, holding(&first), |session| {
        session.insert("size", 1).unwrap();
    })
    .await;
    assert!(set_cookies(&response).is_empty(), "and its writes count");
    let third = token(&answered(&layer, &second, 200).await);
    assert!(third != first && third != second);

    clock.advance(TTL);
    let response = visit(&layer, holding(&first), |session| assert!(session.is_new())).await;
    assert!(
        set_cookies(&response).is_empty(),
        "beyond the overlap it opens nothing, and removes nothing"
    );
    assert_eq!(colour(&layer, &third).await.as_deref(), Some("blue"));
}

#[tokio::test]
async fn a_renewed_token_sets_no_cookie() {
    let (layer, store, clock) = rotating(|builder| builder);
    let guest = stored(&layer).await;
    let sign_in = |session: &Session| session.sign_in("user:1").unwrap();
    let member = token(&visit(&layer, holding(&guest), sign_in).await);
    for wait in [Duration::ZERO, TTL, TTL] {
        clock.advance(wait);
        let response = visit(&layer, holding(&guest), |session| {
            assert!(session.is_new() && session.principal().is_none());
        })
        .await;
        assert!(set_cookies(&response).is_empty());
    }
    assert_eq!(store.len(), 1);
    assert_eq!(colour(&layer, &member).await.as_deref(), Some("blue"));
}

/// What a late request with a token of before stores goes nowhere, or it would log its client out.
#[tokio::test]
async fn a_token_renewed_a_moment_ago_stores_nothing() {
    let (layer, store, _) = rotating(|builder| builder);
    let guest = stored(&layer).await;
    visit(&layer, holding(&guest), |session| {
        session.sign_in("user:1").unwrap();
    })
    .await;
    let response = visit(&layer, holding(&guest), |session| {
        session.insert("size", 1).unwrap();
        session.flash("notice", "hello").unwrap();
        session.csrf_token().unwrap();
    })
    .await;
    assert!(set_cookies(&response).is_empty());
    assert_eq!(store.len(), 1);
}

/// Two answers may overtake each other, so a Max-Age never moves with an old token.
#[tokio::test]
async fn max_age_moves_with_a_new_token_only() {
    let hour = Duration::from_secs(3600);
    let lifetime = Lifetime::new(hour, 24 * hour).unwrap().persistent();
    let (layer, _, clock) =
        layer_with(|builder| builder.lifetime(lifetime).rotation(Rotation::hourly()));
    let first = stored(&layer).await;
    let mut seen = vec![first.clone()];
    // Activity is written each minute, and moves nothing.
    for _ in 1..30 {
        clock.advance(Duration::from_secs(60));
        assert!(set_cookies(&answered(&layer, &first, 200).await).is_empty());
    }
    clock.advance(Duration::from_secs(60));
    // Where nothing can be told, nothing is.
    assert!(set_cookies(&answered(&layer, &first, 304).await).is_empty());
    // Every half of the idle timeout it moves: as far as the session may live until it moves again,
    // and never beyond the deadline.
    for step in 1..47 {
        let response = answered(&layer, &seen[seen.len() - 1], 200).await;
        let left = 24 * 3600 - step * 1800;
        assert_eq!(max_age(&response), left.min(5400));
        let new = token(&response);
        assert!(!seen.contains(&new), "no token is sent twice");
        seen.push(new);
        // A second request finds nothing to do but to note that the token has arrived.
        let response = answered(&layer, &seen[seen.len() - 1], 200).await;
        assert!(set_cookies(&response).is_empty());
        clock.advance(Duration::from_secs(1800));
    }
    let response = answered(&layer, &seen[seen.len() - 1], 200).await;
    assert_eq!(max_age(&response), 1800, "what is left");
}

#[tokio::test]
async fn in_a_header() {
    let config = HeaderConfig::default().bearer(true);
    let (layer, store, clock) = rotating(|builder| builder.header(config));
    let response = visit(&layer, plain(), |session| {
        session.insert("colour", "blue").unwrap();
    })
    .await;
    let first = header(&response, HEADER).remove(0);
    clock.advance(TTL);
    for request in [
        with_header(HEADER, &first),
        with_header("authorization", format!("Bearer {first}")),
    ] {
        let response = visit(&layer, request, read).await;
        assert!(set_cookies(&response).is_empty());
        assert_eq!(header(&response, "vary"), [HEADER, "Authorization"]);
        let tokens = header(&response, HEADER);
        match &tokens[..] {
            [second] => {
                assert_ne!(*second, first);
                assert_eq!(header(&response, "cache-control"), ["no-store"]);
            }
            // The successor was issued a moment ago, and the client has not brought it yet.
            _ => assert!(tokens.is_empty() && header(&response, "cache-control").is_empty()),
        }
        store.calls();
    }
    clock.advance(TTL);
    let answer: Answer = run(
        &layer,
        with_header(HEADER, &first),
        async |request: Request<()>| {
            read(&request.session().await?);
            status(304)
        },
    )
    .await;
    assert!(header(&answer.unwrap(), HEADER).is_empty());
    assert_eq!(store.calls(), [1, 0, 0, 0]);
}

#[tokio::test]
async fn a_token_that_comes_back_ends_the_session_where_that_is_asked_for() {
    let reused = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&reused);
    let (layer, store, clock) = rotating(|builder| {
        builder
            .keys(KeyRing::new([1; 32]).unwrap())
            .on_reuse(OnReuse::Revoke)
            .observer(move |event: &Event<'_>| {
                count.fetch_add(
                    u64::from(event.kind == EventKind::Reused),
                    Ordering::Relaxed,
                );
            })
    });
    let first = stored(&layer).await;
    clock.advance(TTL);
    let second = token(&answered(&layer, &first, 200).await);
    visit(&layer, holding(&second), read).await;
    clock.advance(2 * TTL);
    let anonymous = |session: &Session| assert!(session.is_new());
    assert!(set_cookies(&visit(&layer, holding(&first), anonymous).await).is_empty());
    assert_eq!((reused.load(Ordering::Relaxed), store.len()), (1, 0));
    visit(&layer, holding(&second), anonymous).await;
}

#[tokio::test]
async fn a_sign_in_beyond_the_maximum_is_a_409() {
    let store = Arc::new(MemoryStore::new());
    let layer = SessionLayer::builder(Arc::clone(&store))
        .max_sessions(1, OnMaxSessions::Refuse)
        .build()
        .unwrap();
    let sign_in = |session: &Session| session.sign_in("user:1").unwrap();
    let first = token(&visit(&layer, plain(), sign_in).await);
    let response = visit(&layer, plain(), sign_in).await;
    assert_eq!(response.status(), 409);
    assert!(set_cookies(&response).is_empty());
    assert_eq!(store.len(), 1);
    // Who is signed in may do it again, and a guest stays one.
    assert_eq!(visit(&layer, holding(&first), sign_in).await.status(), 200);
    let guest = stored(&layer).await;
    assert_eq!(visit(&layer, holding(&guest), sign_in).await.status(), 409);
    assert_eq!(colour(&layer, &guest).await.as_deref(), Some("blue"));
}

#[test]
fn a_cookie_store_refuses_what_it_cannot_do() {
    let builder = || {
        SessionLayer::builder(session_http::cookie::CookieStore::signed(
            KeyRing::generate().unwrap(),
        ))
    };
    let rotating = builder().rotation(Rotation::default()).build().unwrap_err();
    assert!(rotating.to_string().contains("cannot rotate"), "{rotating}");
    let counting = builder()
        .max_sessions(3, OnMaxSessions::RevokeOldest)
        .build()
        .unwrap_err();
    assert!(counting.to_string().contains("cannot count"), "{counting}");
}

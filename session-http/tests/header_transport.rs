//! The token in a header, for clients without cookies.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::sync::Arc;

use common::*;
use http::{HeaderName, Request};
use session_core::{MemoryStore, Session};
use session_http::{HeaderConfig, SessionLayer};

const HEADER: &str = "x-session-token";

fn header_layer(config: HeaderConfig) -> (SessionLayer, Arc<TestStore>) {
    let (layer, store, _) = layer_with(|builder| builder.header(config));
    (layer, store)
}

fn paint(session: &Session) {
    session.insert("colour", "blue").unwrap();
}

async fn stored_by_header(layer: &SessionLayer) -> String {
    let response = visit(layer, plain(), paint).await;
    header(&response, layer.name())[0].clone()
}

async fn seen(layer: &SessionLayer, request: Request<()>) -> Option<String> {
    let found = std::sync::Mutex::new(None);
    visit(layer, request, |session| {
        *found.lock().unwrap() = session.get("colour").unwrap();
    })
    .await;
    found.into_inner().unwrap()
}

/// Headers with such names are removed from the response, since caches could go by them.
#[tokio::test]
async fn a_token_in_a_header_for_caches_is_sent_all_the_same() {
    let name = HeaderName::from_static("app-cache-control");
    let (layer, _) = header_layer(HeaderConfig::new(name));
    let token = stored_by_header(&layer).await;
    assert_eq!(token.len(), 43);
}

#[tokio::test]
async fn there_and_back() {
    let (layer, store) = header_layer(HeaderConfig::default());
    let response = visit(&layer, plain(), paint).await;
    let tokens = header(&response, HEADER);
    assert_eq!((tokens.len(), tokens[0].len()), (1, 43));
    assert!(response.headers()[HEADER].is_sensitive());
    assert_eq!(header(&response, "cache-control"), ["no-store"]);
    assert_eq!(header(&response, "vary"), [HEADER]);
    assert!(set_cookies(&response).is_empty());

    store.calls();
    let response = visit(&layer, with_header(HEADER, &tokens[0]), |session| {
        assert_eq!(
            session.get::<String>("colour").unwrap().as_deref(),
            Some("blue")
        );
    })
    .await;
    assert_eq!(store.calls(), [1, 0, 0, 0]);
    assert_eq!(header(&response, "vary"), [HEADER]);
    assert_eq!(
        response.headers().len(),
        1,
        "an unchanged token is not sent again"
    );
}

#[tokio::test]
async fn an_empty_header_says_forget() {
    let (layer, store) = header_layer(HeaderConfig::default());
    let token = stored_by_header(&layer).await;
    let response = visit(&layer, with_header(HEADER, &token), |session| {
        session.destroy().unwrap();
    })
    .await;
    assert_eq!(header(&response, HEADER), [""]);
    assert_eq!(header(&response, "cache-control"), ["no-store"]);
    assert_eq!(store.len(), 0);

    // A client that sends it back empty is a new one.
    store.calls();
    let response = visit(&layer, with_header(HEADER, ""), |session| {
        assert!(session.is_new());
    })
    .await;
    assert!(header(&response, HEADER).is_empty());
    assert_eq!(store.calls(), [0; 4]);
}

#[tokio::test]
async fn renewal_sends_the_new_token() {
    let (layer, _) = header_layer(HeaderConfig::default());
    let old = stored_by_header(&layer).await;
    let response = visit(&layer, with_header(HEADER, &old), |session| {
        session.sign_in("user:1").unwrap();
    })
    .await;
    let new = header(&response, HEADER)[0].clone();
    assert_ne!(old, new);
    assert_eq!(seen(&layer, with_header(HEADER, &old)).await, None);
    assert_eq!(
        seen(&layer, with_header(HEADER, &new)).await.as_deref(),
        Some("blue")
    );
}

#[tokio::test]
async fn what_the_handler_put_into_the_header_is_replaced() {
    let (layer, _) = header_layer(HeaderConfig::default());
    let response = run(&layer, plain(), async |request: Request<()>| -> Answer {
        paint(&session_http::SessionExt::session(&request).await?);
        let mut response = fine()?;
        response.headers_mut().append(HEADER, "one".parse()?);
        response.headers_mut().append(HEADER, "two".parse()?);
        Ok(response)
    })
    .await
    .unwrap();
    let tokens = header(&response, HEADER);
    assert_eq!((tokens.len(), tokens[0].len()), (1, 43));
}

#[tokio::test]
async fn bearer_where_it_is_asked_for() {
    let (layer, store) = header_layer(HeaderConfig::default().bearer(true));
    let token = stored_by_header(&layer).await;
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let request = with_header("authorization", format!("{scheme} {token}"));
        assert_eq!(
            seen(&layer, request).await.as_deref(),
            Some("blue"),
            "{scheme}"
        );
    }
    assert_eq!(
        seen(&layer, with_header(HEADER, &token)).await.as_deref(),
        Some("blue")
    );
    let response = visit(
        &layer,
        with_header("authorization", format!("Bearer {token}")),
        |session| {
            session.renew().unwrap();
        },
    )
    .await;
    assert_eq!(
        header(&response, HEADER)[0].len(),
        43,
        "it comes back in the header of ours"
    );
    assert_eq!(header(&response, "vary"), [HEADER, "Authorization"]);

    let (layer, other) = header_layer(HeaderConfig::default());
    let token = stored_by_header(&layer).await;
    other.calls();
    assert_eq!(
        seen(
            &layer,
            with_header("authorization", format!("Bearer {token}"))
        )
        .await,
        None
    );
    assert_eq!(other.calls(), [0; 4]);
    drop(store);
}

#[tokio::test]
async fn other_credentials_are_none_of_ours() {
    let (layer, store) = header_layer(HeaderConfig::default().bearer(true));
    let token = stored_by_header(&layer).await;
    store.calls();
    for value in [
        token.clone(),
        format!("Basic {token}"),
        format!("Token {token}"),
        format!("Bearer{token}"),
    ] {
        let scheme = value.strip_suffix(&token).unwrap().to_owned();
        assert_eq!(
            seen(&layer, with_header("authorization", value)).await,
            None,
            "{scheme:?}"
        );
        assert_eq!(store.calls(), [0; 4], "{scheme:?}");
    }
}

#[tokio::test]
async fn cookies_and_addresses_are_not_looked_at() {
    let (layer, store) = header_layer(HeaderConfig::default());
    let token = stored_by_header(&layer).await;
    store.calls();
    let mut request = with_header(
        "cookie",
        format!("x-session-token={token}; __Host-id={token}"),
    );
    *request.uri_mut() = format!("/?x-session-token={token}").parse().unwrap();
    assert_eq!(seen(&layer, request).await, None);
    assert_eq!(store.calls(), [0; 4]);
}

#[tokio::test]
async fn several_and_hostile_values() {
    let (layer, store) = header_layer(HeaderConfig::default());
    let token = stored_by_header(&layer).await;
    let other = stored_by_header(&layer).await;
    let send = |values: Vec<Vec<u8>>| {
        let mut request = plain();
        for value in values {
            request
                .headers_mut()
                .append(HEADER, http::HeaderValue::from_bytes(&value).unwrap());
        }
        request
    };
    let (own, garbage) = (token.clone().into_bytes(), b"\xff\xfe".to_vec());
    assert_eq!(
        seen(&layer, send(vec![garbage.clone(), own.clone()]))
            .await
            .as_deref(),
        Some("blue")
    );
    assert_eq!(
        seen(&layer, send(vec![own.clone(), other.into_bytes()])).await,
        None,
        "two live ones"
    );
    store.calls();
    let joined = format!("{token}, {token}").into_bytes();
    for value in [garbage, b"A".repeat(100 * 1024), joined, b"2.x".to_vec()] {
        assert_eq!(seen(&layer, send(vec![value])).await, None);
        assert_eq!(store.calls(), [0; 4]);
    }
}

#[tokio::test]
async fn a_header_of_another_name() {
    let config = HeaderConfig::new(HeaderName::from_static("x-cart"));
    let (layer, _) = header_layer(config);
    assert_eq!(layer.name(), "x-cart");
    let token = stored_by_header(&layer).await;
    assert_eq!(
        seen(&layer, with_header("X-Cart", &token)).await.as_deref(),
        Some("blue")
    );
    assert_eq!(seen(&layer, with_header(HEADER, &token)).await, None);
}

/// Names of headers have no case (RFC 9110, 5.1).
#[tokio::test]
async fn the_session_of_a_header_is_found_by_its_name_in_any_case() {
    use session_http::{Error, SessionExt};
    let config = HeaderConfig::new(HeaderName::from_static("x-admin-token")).bearer(true);
    let (layer, _) = header_layer(config);
    let answer: Answer = run(&layer, plain(), async |request: Request<()>| {
        for name in ["X-Admin-Token", "x-admin-token", "X-ADMIN-TOKEN"] {
            request.session_named(name).await?;
        }
        for name in [
            "X-Admin-Tokens",
            "X-Admin",
            "Authorization",
            "",
            "x_admin_token",
        ] {
            let error = request.session_named(name).await.unwrap_err();
            assert!(matches!(&error, Error::NoSuchName(asked) if asked == name));
            assert!(error.to_string().contains("case"), "{error}");
        }
        fine()
    })
    .await;
    answer.unwrap();
}

/// Two headers whose names differ by case are one, and so are a header and a cookie.
#[tokio::test]
async fn names_of_headers_that_differ_by_case_clash() {
    use session_http::CookieConfig;
    use tower::{ServiceExt, service_fn};
    let named = |name: &str| {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        header_layer(HeaderConfig::new(name)).0
    };
    let cookie = CookieConfig::new("X-Cart");
    let cookie = layer_with(|builder| builder.cookie(cookie)).0;
    for (outer, inner) in [
        (named("X-Cart"), named("x-cart")),
        (named("x-cart"), cookie.clone()),
        (cookie, named("x-cart")),
    ] {
        let service = outer.layer(inner.layer(service_fn(async |_: Request<()>| fine())));
        assert_eq!(service.oneshot(plain()).await.unwrap().status(), 500);
    }
}

#[test]
fn headers_with_a_meaning_of_their_own_are_refused() {
    use http::header::{AUTHORIZATION, COOKIE, SET_COOKIE};
    for name in [AUTHORIZATION, COOKIE, SET_COOKIE] {
        let layer =
            SessionLayer::builder(MemoryStore::new()).header(HeaderConfig::new(name.clone()));
        let error = layer.build().unwrap_err().to_string();
        assert!(
            error.contains(name.as_str()) && error.contains("choose"),
            "{error}"
        );
    }
}

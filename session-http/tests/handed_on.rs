//! A response that takes the place of another one.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use axum::{Router, body::Body, routing::get};
use common::*;
use http::header::SET_COOKIE;
use http::{HeaderValue, Request, Response, StatusCode};
use session_core::MemoryStore;
use session_http::axum::CurrentSession;
use session_http::{CookieConfig, Error, HeaderConfig, SessionExt, SessionLayer};
use tower::{ServiceExt, service_fn};

#[tokio::test]
async fn what_a_handler_put_into_its_response_goes_with_it() {
    let store = TestStore::new();
    store.fail(Call::Create, Fault::Down);
    let outer = SessionLayer::new(store);
    let inner = SessionLayer::builder(MemoryStore::new())
        .cookie(CookieConfig::new("__Host-inner"))
        .build()
        .unwrap();
    let service = outer.layer(inner.layer(service_fn(async |request: Request<()>| {
        request.session_named("__Host-id").await?.insert("a", 1)?;
        request
            .session_named("__Host-inner")
            .await?
            .insert("a", 1)?;
        let mut response = Response::new(());
        for (name, value) in [
            ("x-new-api-key", "made for user 42"),
            ("set-cookie", "remember=me"),
        ] {
            let mut value = HeaderValue::from_static(value);
            value.set_sensitive(true);
            response.headers_mut().append(name, value);
        }
        Ok::<_, Error>(response)
    })));
    let response = service.oneshot(Request::new(())).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(!response.headers().contains_key("x-new-api-key"));
    let cookies: Vec<_> = response.headers().get_all(SET_COOKIE).iter().collect();
    assert_eq!(cookies.len(), 1, "{cookies:?}");
    assert!(
        cookies[0].as_bytes().starts_with(b"__Host-inner="),
        "the inner session is stored"
    );
}

#[tokio::test]
async fn on_error_shapes_what_an_axum_extractor_refused() {
    let store = TestStore::new();
    store.fail(Call::Load, Fault::Down);
    let layer = SessionLayer::new(store).on_error(|error: &Error| {
        let mut response = Response::new(Body::from("shaped"));
        *response.status_mut() = error.status();
        response
    });
    async fn handler(session: CurrentSession) -> String {
        session.len().to_string()
    }
    let app = Router::new().route("/", get(handler)).layer(layer);
    let token = stored(&SessionLayer::new(MemoryStore::new())).await;
    let response = app
        .oneshot(holding(&token).map(|()| Body::empty()))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let body = axum::body::to_bytes(response.into_body(), 100)
        .await
        .unwrap();
    assert_eq!(body, "shaped");
}

#[test]
fn headers_of_http_itself_carry_no_tokens() {
    use http::header::{
        CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, LOCATION, TRANSFER_ENCODING, UPGRADE,
    };
    for name in [
        CONNECTION,
        CONTENT_LENGTH,
        CONTENT_TYPE,
        HOST,
        LOCATION,
        TRANSFER_ENCODING,
        UPGRADE,
    ] {
        let builder =
            SessionLayer::builder(MemoryStore::new()).header(HeaderConfig::new(name.clone()));
        assert!(builder.build().is_err(), "{name}");
    }
}

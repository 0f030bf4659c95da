//! axum routers, nested and in part, with sessions.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::routing::{get, post};
use axum::{Router, http::Request, http::Response, http::StatusCode};
use common::{Call, Fault, NAME, TestStore, set_cookies, token};
use session_http::axum::CurrentSession;
use session_http::{Error, SessionLayer};
use tower::ServiceExt;

async fn visits(session: CurrentSession) -> Result<String, Error> {
    let visits = session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1)?;
    Ok(format!("visit {visits}"))
}

async fn who(State(name): State<&'static str>, CurrentSession(session): CurrentSession) -> String {
    format!("{name} {}", session.len())
}

async fn leave(session: CurrentSession) -> Result<StatusCode, Error> {
    session.destroy()?;
    Ok(StatusCode::NO_CONTENT)
}

async fn ask(
    app: &Router,
    method: &str,
    path: &str,
    token: Option<&str>,
) -> (StatusCode, String, Response<()>) {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header("cookie", format!("{NAME}={token}"));
    }
    let response = app
        .clone()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, 10_000).await.unwrap();
    (
        parts.status,
        String::from_utf8(body.to_vec()).unwrap(),
        Response::from_parts(parts, ()),
    )
}

#[tokio::test]
async fn one_layer_around_nested_routes() {
    let store = TestStore::new();
    let shop = Router::new()
        .route("/visits", get(visits))
        .route("/leave", post(leave));
    let app = Router::new()
        .nest(
            "/shop",
            Router::new().nest("/inner", shop.clone()).merge(shop),
        )
        .route("/who", get(who))
        .with_state("me")
        .layer(SessionLayer::new(store.clone()));

    let (status, body, head) = ask(&app, "GET", "/shop/visits", None).await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "visit 1"));
    let token = token(&head);
    assert_eq!(
        ask(&app, "GET", "/shop/inner/visits", Some(&token)).await.1,
        "visit 2"
    );
    assert_eq!(ask(&app, "GET", "/who", Some(&token)).await.1, "me 1");
    store.calls();
    let (status, _, head) = ask(&app, "GET", "/nowhere", Some(&token)).await;
    assert_eq!((status, store.calls()), (StatusCode::NOT_FOUND, [0; 4]));
    assert!(!head.headers().contains_key("vary"));
    let (status, _, head) = ask(&app, "POST", "/shop/leave", Some(&token)).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert!(common::is_removal(&head));
    assert_eq!(store.len(), 0);
}

#[tokio::test]
async fn a_layer_on_the_router_and_on_a_route_works_once() {
    let store = TestStore::new();
    let layer = SessionLayer::new(store.clone());
    let route = get(visits).layer(layer.clone());
    let app = Router::new()
        .route("/", route)
        .route_layer(layer.clone())
        .layer(layer);
    let (_, _, head) = ask(&app, "GET", "/", None).await;
    assert_eq!((token(&head).len(), store.calls()), (43, [0, 1, 0, 0]));
}

#[tokio::test]
async fn a_layer_on_one_route_only() {
    let app = Router::new()
        .route(
            "/with",
            get(visits).layer(SessionLayer::new(TestStore::new())),
        )
        .route("/without", get(visits));
    assert_eq!(ask(&app, "GET", "/with", None).await.1, "visit 1");
    let (status, body, head) = ask(&app, "GET", "/without", None).await;
    assert_eq!(
        (status, body.as_str()),
        (StatusCode::INTERNAL_SERVER_ERROR, "")
    );
    assert!(set_cookies(&head).is_empty());
}

#[tokio::test]
async fn a_store_that_is_down() {
    let store = TestStore::new();
    let app = Router::new()
        .route("/", get(visits))
        .layer(SessionLayer::new(store.clone()));
    let (_, _, head) = ask(&app, "GET", "/", None).await;
    let token = token(&head);
    for (call, token) in [(Call::Load, Some(token.as_str())), (Call::Create, None)] {
        store.fail(call, Fault::Down);
        let (status, body, head) = ask(&app, "GET", "/", token).await;
        assert_eq!(
            (status, body.as_str()),
            (StatusCode::SERVICE_UNAVAILABLE, "")
        );
        assert_eq!(common::header(&head, "cache-control"), ["no-store"]);
        assert!(set_cookies(&head).is_empty());
    }
}

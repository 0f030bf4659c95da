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
use common::{Call, Fault, TestStore, set_cookies};
use session_http::axum::CurrentSession;
use session_http::testing::TestClient;
use session_http::{Error, SessionLayer};

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

async fn ask(app: &Router, client: &TestClient, method: &str, path: &str) -> Response<String> {
    let request = Request::builder().method(method).uri(path);
    let request = request.body(Body::empty()).unwrap();
    let response = client.call(&mut app.clone(), request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = to_bytes(body, 10_000).await.unwrap();
    Response::from_parts(head, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn one_layer_around_nested_routes() {
    let store = TestStore::new();
    let layer = SessionLayer::new(store.clone());
    let client = TestClient::new(&layer);
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
        .layer(layer);
    let get = async |path: &str| ask(&app, &client, "GET", path).await;

    let response = get("/shop/visits").await;
    assert_eq!(
        (response.status(), response.body().as_str()),
        (StatusCode::OK, "visit 1")
    );
    assert_eq!(get("/shop/inner/visits").await.body(), "visit 2");
    assert_eq!(get("/who").await.body(), "me 1");
    store.calls();
    let response = get("/nowhere").await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert_eq!(store.calls(), [0; 4]);
    assert!(!response.headers().contains_key("vary"));
    let response = ask(&app, &client, "POST", "/shop/leave").await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert!(common::is_removal(&response) && client.token().is_none());
    assert_eq!(store.len(), 0);
}

#[tokio::test]
async fn a_layer_on_the_router_and_on_a_route_works_once() {
    let store = TestStore::new();
    let layer = SessionLayer::new(store.clone());
    let client = TestClient::new(&layer);
    let route = get(visits).layer(layer.clone());
    let app = Router::new()
        .route("/", route)
        .route_layer(layer.clone())
        .layer(layer);
    ask(&app, &client, "GET", "/").await;
    assert_eq!(client.token().unwrap().len(), 43);
    assert_eq!(store.calls(), [0, 1, 0, 0]);
}

#[tokio::test]
async fn a_layer_on_one_route_only() {
    let layer = SessionLayer::new(TestStore::new());
    let client = TestClient::new(&layer);
    let app = Router::new()
        .route("/with", get(visits).layer(layer))
        .route("/without", get(visits));
    assert_eq!(ask(&app, &client, "GET", "/with").await.body(), "visit 1");
    let response = ask(&app, &client, "GET", "/without").await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(response.body(), "");
    assert!(set_cookies(&response).is_empty());
}

#[tokio::test]
async fn a_store_that_is_down() {
    let store = TestStore::new();
    let layer = SessionLayer::new(store.clone());
    let (known, new) = (TestClient::new(&layer), TestClient::new(&layer));
    let app = Router::new().route("/", get(visits)).layer(layer);
    ask(&app, &known, "GET", "/").await;
    for (call, client) in [(Call::Load, known), (Call::Create, new)] {
        store.fail(call, Fault::Down);
        let response = ask(&app, &client, "GET", "/").await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.body(), "");
        assert_eq!(common::header(&response, "cache-control"), ["no-store"]);
        assert!(set_cookies(&response).is_empty());
    }
}

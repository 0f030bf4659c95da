//! What `on_error` makes of an error, wherever an axum application meets it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, to_bytes};
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{AppendHeaders, IntoResponse};
use axum::{Router, routing::get, routing::post};
use common::header as values;
use session_http::axum::CurrentSession;
use session_http::manager::{Clock, SessionStore};
use session_http::testing::{StoreFault, TestClient, TestSessions};
use session_http::{CookieConfig, Error, MemoryStore, SessionExt, SessionLayer};

type Page = fn(&Error) -> Response<Body>;

/// The page of the application.
fn page(error: &Error) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("page: {error}")));
    *response.status_mut() = error.status();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
    headers.insert("x-page", HeaderValue::from_static("own"));
    headers.insert(header::VARY, HeaderValue::from_static("accept-language"));
    response
}

async fn count(session: CurrentSession) -> Result<String, Error> {
    let n = session.get::<u64>("n")?.unwrap_or(0);
    session.insert("n", n + 1)?;
    Ok(n.to_string())
}

async fn once(session: CurrentSession) -> Result<String, Error> {
    Ok(session
        .take_now::<String>("code")
        .await?
        .unwrap_or_default())
}

/// What was changed before an error is not saved.
async fn half(session: CurrentSession) -> Result<String, Error> {
    session.insert("n", 100)?;
    session.get::<u64>("name")?;
    Ok("done".to_owned())
}

async fn leave(session: CurrentSession) -> Result<String, Error> {
    let name = session.get::<u64>("name");
    session.destroy()?;
    name?;
    Ok("done".to_owned())
}

/// Responses that the application makes of an error itself.
async fn own(session: CurrentSession) -> Response<Body> {
    let error = session.get::<u64>("name").map_err(Error::from).unwrap_err();
    (error.status(), "own").into_response()
}

async fn own_status(session: CurrentSession) -> Response<Body> {
    let error = session.get::<u64>("name").map_err(Error::from).unwrap_err();
    (StatusCode::BAD_REQUEST, error).into_response()
}

async fn own_body(session: CurrentSession) -> Response<Body> {
    let error = session.get::<u64>("name").map_err(Error::from).unwrap_err();
    let (head, _) = error.into_response().into_parts();
    let headers = [(header::CONTENT_TYPE, "text/plain")];
    (headers, Response::from_parts(head, Body::from("own"))).into_response()
}

fn layer(store: impl SessionStore, clock: impl Clock) -> SessionLayer<Page> {
    let builder = SessionLayer::builder(store).clock(clock);
    builder.build().unwrap().on_error(page)
}

fn sessions() -> TestSessions<Page> {
    TestSessions::made_by(layer)
}

fn app(layer: SessionLayer<Page>) -> Router {
    Router::new()
        .route("/count", get(count))
        .route("/once", get(once))
        .route("/half", get(half))
        .route("/leave", post(leave))
        .route("/own", get(own))
        .route("/own-status", get(own_status))
        .route("/own-body", get(own_body))
        .layer(layer)
}

async fn ask(app: &Router, client: &TestClient, path: &str) -> Response<String> {
    let method = if path == "/leave" { "POST" } else { "GET" };
    let request = Request::builder().method(method).uri(path);
    let request = request.body(Body::empty()).unwrap();
    let response = client.call(&mut app.clone(), request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = to_bytes(body, 10_000).await.unwrap();
    Response::from_parts(head, String::from_utf8(body.to_vec()).unwrap())
}

#[track_caller]
fn assert_page(response: &Response<String>, status: StatusCode) {
    assert_eq!(response.status(), status, "{response:?}");
    assert!(response.body().starts_with("page: "), "{response:?}");
    assert_eq!(values(response, "content-type"), ["text/html"]);
    assert_eq!(values(response, "x-page"), ["own"]);
}

async fn ann(sessions: &TestSessions<Page>) -> TestClient {
    let ann = sessions.signed_in("user:ann").await.unwrap();
    ann.change(|session| session.insert("name", "Ann"))
        .await
        .unwrap();
    ann
}

#[tokio::test]
async fn every_error_gets_the_page() {
    let sessions = sessions();
    let app = app(sessions.layer());
    let ann = ann(&sessions).await;
    let unavailable = StatusCode::SERVICE_UNAVAILABLE;

    let decode = ask(&app, &ann, "/half").await;
    assert_page(&decode, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(decode.body().contains("name"), "{decode:?}");
    assert!(values(&decode, "cache-control").is_empty());
    assert_eq!(values(&decode, "vary"), ["accept-language", "Cookie"]);
    let session = ann.session().await.unwrap();
    assert_eq!(session.get::<u64>("n").unwrap(), None, "it was no success");

    ann.change(|session| session.insert("code", "123"))
        .await
        .unwrap();
    sessions.fail_store(StoreFault::ReadOnly);
    assert_page(&ask(&app, &ann, "/once").await, unavailable); // in the handler
    assert_page(&ask(&app, &ann, "/count").await, unavailable); // in the commit
    sessions.fail_store(StoreFault::Unavailable);
    assert_page(&ask(&app, &ann, "/count").await, unavailable); // in the load
    sessions.repair_store();
    assert_eq!(ask(&app, &ann, "/once").await.body(), "123");
    assert_eq!(ask(&app, &ann, "/count").await.body(), "0");
}

#[tokio::test]
async fn a_page_instead_of_an_error_still_tells_the_client_to_forget() {
    let sessions = sessions();
    let app = app(sessions.layer());
    let ann = ann(&sessions).await;
    assert_page(
        &ask(&app, &ann, "/leave").await,
        StatusCode::INTERNAL_SERVER_ERROR,
    );
    assert_eq!(ann.token(), None, "a destroy is carried out");
}

#[tokio::test]
async fn a_response_of_the_handler_stays() {
    let sessions = sessions();
    let app = app(sessions.layer());
    let ann = ann(&sessions).await;
    for (path, status, body) in [
        ("/own", StatusCode::INTERNAL_SERVER_ERROR, "own"),
        ("/own-status", StatusCode::BAD_REQUEST, ""),
        ("/own-body", StatusCode::INTERNAL_SERVER_ERROR, "own"),
    ] {
        let response = ask(&app, &ann, path).await;
        assert_eq!(
            (response.status(), response.body().as_str()),
            (status, body),
            "{path}"
        );
        assert!(values(&response, "x-page").is_empty());
    }
}

#[tokio::test]
async fn headers_of_services_further_in_stay_and_those_of_the_body_go() {
    let sessions = sessions();
    let cors = map_response(async |response: Response<Body>| {
        let headers = AppendHeaders([
            ("access-control-allow-origin", "*"),
            ("vary", "origin"),
            ("set-cookie", "theme=dark"),
            ("x-page", "theirs"),
            ("etag", "\"empty\""),
            ("content-length", "0"),
        ]);
        (headers, response)
    });
    let app = Router::new().route("/half", get(half)).layer(cors);
    let app = app.layer(sessions.layer());
    let response = ask(&app, &ann(&sessions).await, "/half").await;
    assert_page(&response, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(values(&response, "access-control-allow-origin"), ["*"]);
    assert_eq!(values(&response, "set-cookie"), ["theme=dark"]);
    assert_eq!(
        values(&response, "vary"),
        ["accept-language", "origin", "Cookie"]
    );
    assert!(values(&response, "etag").is_empty());
    let length = response.body().len().to_string(); // axum counts it again
    assert_eq!(values(&response, "content-length"), [length]);
}

/// Two layers, of which the inner one has a page of its own. Returns how often each made one.
async fn pages_of_two(fault_of_outer: Option<StoreFault>) -> ([usize; 2], u16) {
    let counts = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let counted = |which: usize| {
        let counts = Arc::clone(&counts);
        move |error: &Error| {
            counts[which].fetch_add(1, Ordering::Relaxed);
            page(error)
        }
    };
    let sessions = TestSessions::new();
    let cookie = CookieConfig::new("__Host-inner");
    let inner = SessionLayer::builder(MemoryStore::new()).cookie(cookie);
    let inner = inner.build().unwrap().on_error(counted(1));
    let outer = sessions.layer().on_error(counted(0));
    let handler = async |request: Request<Body>| {
        request
            .session_named("__Host-inner")
            .await?
            .insert("n", 1)?;
        let session = request.session_named("__Host-id").await?;
        session.get::<u64>("name")?;
        Ok::<_, Error>("fine")
    };
    let app = Router::new().route("/", get(handler));
    let app = app.layer(inner).layer(outer);
    let client = sessions.signed_in("user:ann").await.unwrap();
    let name = |session: &session_http::Session| session.insert("name", "Ann");
    client.change(name).await.unwrap();
    if let Some(fault) = fault_of_outer {
        sessions.fail_store(fault);
    }
    let response = ask(&app, &client, "/").await;
    assert_page(&response, response.status());
    let counts = [0, 1].map(|which| counts[which].load(Ordering::Relaxed));
    (counts, response.status().as_u16())
}

#[tokio::test]
async fn the_innermost_layer_shapes_an_error_once() {
    assert_eq!(pages_of_two(None).await, ([0, 1], 500));
}

#[tokio::test]
async fn a_layer_whose_session_could_not_be_loaded_has_the_last_word() {
    let down = Some(StoreFault::Unavailable);
    assert_eq!(pages_of_two(down).await, ([1, 1], 503));
}

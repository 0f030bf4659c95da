use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use session_http::testing::{TestClient, TestSessions};

use super::*;

async fn text(app: &mut Router, browser: &TestClient, path: &str) -> String {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = browser.call(app, request).await.unwrap();
    let body = to_bytes(response.into_body(), 10_000).await.unwrap();
    String::from_utf8(body.into()).unwrap()
}

async fn send(app: &mut Router, browser: &TestClient, path: &str, form: &str) {
    let request = Request::post(path)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(form.to_owned()))
        .unwrap();
    let response = browser.call(app, request).await.unwrap();
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
}

async fn sign_in(app: &mut Router, browser: &TestClient, password: &str) {
    let page = text(app, browser, "/").await;
    let (_, rest) = page.split_once("name=csrf value=").unwrap();
    let (csrf, _) = rest.split_once('>').unwrap();
    let form = format!("name=ann&password={password}&csrf={csrf}");
    send(app, browser, "/sign-in", &form).await;
}

#[tokio::test]
async fn a_person_signs_in_and_out() {
    let sessions = TestSessions::new();
    let (mut app, ann) = (app(sessions.layer()), sessions.client());
    assert_eq!(text(&mut app, &ann, "/private").await, "");

    send(
        &mut app,
        &ann,
        "/sign-in",
        "name=ann&password=secret&csrf=0",
    )
    .await;
    assert!(text(&mut app, &ann, "/").await.contains("out of date"));
    sign_in(&mut app, &ann, "guessed").await;
    assert!(text(&mut app, &ann, "/").await.contains("is wrong"));
    assert_eq!(text(&mut app, &ann, "/private").await, "");

    sign_in(&mut app, &ann, "secret").await;
    assert!(text(&mut app, &ann, "/").await.contains("Welcome"));
    assert!(!text(&mut app, &ann, "/").await.contains("Welcome")); // once
    let private = "Only ann sees this.\n";
    assert_eq!(text(&mut app, &ann, "/private").await, private);

    let thief = ann.clone();
    send(&mut app, &ann, "/sign-out", "").await;
    for browser in [ann, thief] {
        assert_eq!(text(&mut app, &browser, "/private").await, "");
    }
}

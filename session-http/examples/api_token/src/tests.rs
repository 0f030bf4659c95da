use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::response::Response;
use session_http::testing::TestClient;

use super::*;

async fn send(app: &mut Router, client: &TestClient, request: Request<&'static str>) -> Response {
    client.call(app, request.map(Body::from)).await.unwrap()
}

#[tokio::test]
async fn the_token_travels_in_a_header() {
    let sessions = sessions().unwrap();
    let (mut app, client) = (app(sessions.clone()), TestClient::new(&sessions));
    let read = || Request::get("/notes").body("").unwrap();
    let post = |path| Request::post(path).body("buy tea").unwrap();
    let response = send(&mut app, &client, read()).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);

    let response = send(&mut app, &client, post("/sign-in/ann")).await;
    assert!(response.headers().contains_key("x-session-token"));
    assert!(!response.headers().contains_key("set-cookie"));
    send(&mut app, &client, post("/notes")).await;

    // Other clients may send the token like this.
    let token = format!("Bearer {}", client.token().unwrap());
    let bearer = Request::get("/notes").header("authorization", token);
    let stranger = TestClient::new(&sessions);
    let response = send(&mut app, &stranger, bearer.body("").unwrap()).await;
    let text = to_bytes(response.into_body(), 100).await.unwrap();
    assert_eq!(text, "ann: buy tea\n");

    send(&mut app, &client, post("/sign-out")).await;
    assert_eq!(client.token(), None);
}

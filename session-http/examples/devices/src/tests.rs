use axum::body::{Body, to_bytes};
use axum::http::{Method, Request};
use serde_json::Value;
use session_http::testing::{TestClient, TestSessions};

use super::*;

async fn send(app: &mut Router, client: &TestClient, method: Method, path: &str) -> (u16, String) {
    let request = Request::builder().method(method).uri(path);
    let request = request.header(USER_AGENT, "a test").body(Body::empty());
    let response = client.call(app, request.unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 10_000).await.unwrap();
    (status, String::from_utf8(body.into()).unwrap())
}

#[tokio::test]
async fn a_person_ends_the_sessions_of_other_devices() {
    let sessions = TestSessions::new();
    let mut app = app(sessions.layer());
    let [laptop, phone, tablet, bob] = [(); 4].map(|()| sessions.client());
    for (client, name) in [
        (&laptop, "ann"),
        (&phone, "ann"),
        (&tablet, "ann"),
        (&bob, "bob"),
    ] {
        send(&mut app, client, Method::POST, &format!("/sign-in/{name}")).await;
    }
    let (_, list) = send(&mut app, &phone, Method::GET, "/devices").await;
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 3);
    let own = list
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["is_this_one"] == true)
        .unwrap();
    assert_eq!(own["name"], "a test");

    let path = format!("/devices/{}", own["id"].as_str().unwrap());
    assert_eq!(send(&mut app, &bob, Method::DELETE, &path).await.0, 404); // not his
    assert_eq!(send(&mut app, &laptop, Method::DELETE, &path).await.0, 204);
    assert_eq!(
        send(&mut app, &phone, Method::GET, "/devices").await.1,
        "[]"
    );

    let (_, text) = send(&mut app, &laptop, Method::DELETE, "/devices").await;
    assert_eq!(text, "signed out 1 others\n");
    assert_eq!(
        send(&mut app, &tablet, Method::GET, "/devices").await.1,
        "[]"
    );
    assert_eq!(send(&mut app, &bob, Method::GET, "/devices").await.0, 200);
}

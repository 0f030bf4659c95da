use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use session_http::MemoryStore;
use session_http::testing::TestClient;

use super::*;

#[tokio::test]
async fn a_session_lives_through_all_stages() {
    let [old, new] = [(); 2].map(|()| Arc::new(MemoryStore::new()));
    let browser = TestClient::new(&SessionLayer::new(MemoryStore::new()));
    for (visits, stage) in (1..).zip(["old", "standing-by", "moving", "new"]) {
        let (old, new) = (Box::new(Arc::clone(&old)), Box::new(Arc::clone(&new)));
        let store = store(stage, old, new).unwrap();
        let request = Request::get("/").body(Body::empty()).unwrap();
        let response = browser
            .call(&mut app(SessionLayer::new(store)), request)
            .await
            .unwrap();
        let text = to_bytes(response.into_body(), 100).await.unwrap();
        assert_eq!(text, format!("visit {visits}\n"), "{stage}");
    }
}

//! `plain`: hyper alone.

use session_frameworks::plain;
use session_http::{MemoryStore, SessionLayer};

use crate::server::{client, http2, listen, page};

#[tokio::test]
async fn http_1() {
    let (listener, address) = listen().await;
    tokio::spawn(plain::serve_http1(
        listener,
        SessionLayer::new(MemoryStore::new()),
    ));
    let (one, other) = (client(), client());
    assert_eq!(page(&one, address, "/").await, "visit 1");
    assert_eq!(page(&one, address, "/").await, "visit 2");
    assert_eq!(page(&other, address, "/").await, "visit 1");
}

#[tokio::test]
async fn http_2_with_requests_in_parallel() {
    let (listener, address) = listen().await;
    tokio::spawn(plain::serve_http2(
        listener,
        SessionLayer::new(MemoryStore::new()),
    ));
    let client = http2();
    assert_eq!(page(&client, address, "/").await, "visit 1");
    let all = (0..20).map(|_| page(&client, address, "/"));
    futures_util::future::join_all(all).await;
    assert_eq!(page(&client, address, "/").await, "visit 22");
}

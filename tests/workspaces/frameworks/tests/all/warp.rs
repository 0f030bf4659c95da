//! `filters`: warp.

use session_frameworks::filters;
use session_http::{MemoryStore, SessionLayer};

use crate::server::{client, http2, page, serve};

#[tokio::test]
async fn filters_have_sessions() {
    let address = serve(filters::app(SessionLayer::new(MemoryStore::new()))).await;
    for client in [client(), http2()] {
        assert_eq!(page(&client, address, "/").await, "visit 1");
        assert_eq!(page(&client, address, "/").await, "visit 2");
    }
}

//! How much room the futures take that every handler and every commit holds.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use http::{Request, Response};
use session_core::{MemoryStore, Outcome, SessionManager};
use session_http::{SessionExt, SessionLayer};
use tower::{Service, service_fn};

/// A future that is handed on is moved, and handlers hold that of their session.
#[test]
fn a_handler_has_room_for_little() {
    let request = Request::new(());
    assert!(
        size_of_val(&request.session()) <= 592,
        "{}",
        size_of_val(&request.session())
    );
    let mut service =
        SessionLayer::new(MemoryStore::new()).layer(service_fn(async |request: Request<()>| {
            request.session().await?;
            Ok::<_, session_http::Error>(Response::new(()))
        }));
    let response = service.call(request);
    assert!(
        size_of_val(&response) <= 1_176,
        "{}",
        size_of_val(&response)
    );
}

/// It is allocated whole, and allocators take more time for more than a kilobyte.
#[tokio::test]
async fn a_commit_has_less_than_a_kilobyte() {
    let manager = SessionManager::new(MemoryStore::new());
    let session = manager.begin(&[]).await.unwrap();
    assert!(
        size_of_val(&session.finish(Outcome::Success)) <= 944,
        "{}",
        size_of_val(&session.finish(Outcome::Success))
    );
}

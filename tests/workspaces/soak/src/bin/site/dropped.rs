//! Requests that are dropped because their client has hung up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use session_soak::DROPPED;

/// Whether a request has changed its session.
#[derive(Clone, Debug, Default)]
pub(super) struct Watched(Arc<AtomicBool>);

impl Watched {
    pub(super) fn changed(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Dropped with its request, which is not answered as long as this has something.
struct Unanswered(Option<Watched>);

impl Drop for Unanswered {
    fn drop(&mut self) {
        let changed = |watched: &Watched| watched.0.load(Ordering::Relaxed);
        if self.0.as_ref().is_some_and(changed) {
            tracing::warn!(target: "soak", "{DROPPED}");
        }
    }
}

/// Goes around the layer of sessions, which commits after the page.
pub(super) async fn watch(mut request: Request, next: Next) -> Response {
    let watched = Watched::default();
    request.extensions_mut().insert(watched.clone());
    let mut unanswered = Unanswered(Some(watched));
    let response = next.run(request).await;
    unanswered.0 = None;
    response
}

//! Who asks for the session when the request is over: no client can be told of anything.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use common::*;
use http::{Extensions, Request, Response};
use session_core::{MemoryStore, SessionError};
use session_http::{Error, SessionExt, SessionLayer};
use tower::{Service, ServiceExt, service_fn};

/// Answers a request and keeps its extensions.
async fn extensions_of(layer: &SessionLayer, request: Request<()>) -> Extensions {
    let kept = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&kept);
    let service = layer.layer(service_fn(move |request: Request<()>| {
        *keep.lock().unwrap() = Some(request.extensions().clone());
        async { Ok::<_, Error>(Response::new(())) }
    }));
    service.oneshot(request).await.unwrap();
    kept.lock().unwrap().take().unwrap()
}

#[tokio::test]
async fn a_session_opened_after_the_response_creates_nothing() {
    let store = Arc::new(MemoryStore::new());
    let layer = SessionLayer::new(Arc::clone(&store));
    let extensions = extensions_of(&layer, Request::new(())).await;
    let session = extensions.session().await.unwrap();
    session.insert("a", 1).unwrap();
    assert!(matches!(session.save().await, Err(SessionError::Detached)));
    assert!(store.is_empty(), "nobody could be told of it");
}

#[tokio::test]
async fn a_session_opened_after_the_response_saves_data_and_nothing_else() {
    let store = Arc::new(MemoryStore::new());
    let layer = SessionLayer::new(Arc::clone(&store));
    let token = stored(&layer).await;
    let extensions = extensions_of(&layer, holding(&token)).await;
    let session = extensions.session().await.unwrap();
    for refused in [
        session.renew(),
        session.destroy(),
        session.sign_in("user:1"),
    ] {
        assert!(matches!(refused, Err(SessionError::Detached)));
    }
    session.insert("late", true).unwrap();
    session.save().await.unwrap();
    let again = layer.manager().begin(&[&token]).await.unwrap();
    assert_eq!(again.get("late").unwrap(), Some(true));
}

/// Whether the handler loaded its session before it was cancelled, or whoever kept the request
/// loads it afterwards.
#[tokio::test]
async fn of_a_cancelled_request_nothing_is_created_later() {
    for loads in [true, false] {
        let store = Arc::new(MemoryStore::new());
        let layer = SessionLayer::new(Arc::clone(&store));
        let kept = Arc::new(Mutex::new(None));
        let keep = Arc::clone(&kept);
        let mut service = layer.layer(service_fn(move |request: Request<()>| {
            let keep = Arc::clone(&keep);
            async move {
                if loads {
                    request.session().await?.insert("a", 1)?;
                }
                *keep.lock().unwrap() = Some(request);
                std::future::pending::<Result<Response<()>, Error>>().await
            }
        }));
        let mut call = Box::pin(service.call(Request::new(())));
        let waiting = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(waiting.is_pending());
        drop(call);
        let request = kept.lock().unwrap().take().unwrap();
        let session = request.session().await.unwrap();
        session.insert("b", 1).unwrap();
        let saved = session.save().await;
        assert!(matches!(saved, Err(SessionError::Detached)), "{loads}");
        assert!(store.is_empty());
    }
}

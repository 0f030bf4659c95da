//! From a request to its session, and what the futures promise to the compiler.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::cell::Cell;
use std::pin::pin;
use std::task::{Context, Waker};

use common::*;
use http::{Extensions, Request, Response};
use session_http::{Error, SessionExt};
use tower::{Service, service_fn};

#[tokio::test]
async fn without_a_layer_there_is_no_session() {
    let request = plain();
    assert!(matches!(request.session().await, Err(Error::MissingLayer)));
    assert!(matches!(
        request.session_named(NAME).await,
        Err(Error::MissingLayer)
    ));
    let (parts, ()) = request.into_parts();
    assert!(matches!(parts.session().await, Err(Error::MissingLayer)));
    assert!(matches!(
        parts.session_named(NAME).await,
        Err(Error::MissingLayer)
    ));
    assert!(matches!(
        parts.extensions.session().await,
        Err(Error::MissingLayer)
    ));
    assert!(matches!(
        Extensions::new().session_named(NAME).await,
        Err(Error::MissingLayer)
    ));
}

#[tokio::test]
async fn request_parts_and_extensions_give_the_same_session() {
    let (layer, store) = layer();
    let token = stored(&layer).await;
    store.calls();
    let handler = async |request: Request<()>| -> Answer {
        request.session().await?.insert("colour", "red")?;
        let (parts, ()) = request.into_parts();
        let extensions = parts.extensions.clone();
        let sessions = [
            parts.session().await?,
            parts.session_named(NAME).await?,
            extensions.session().await?,
            extensions.session_named(NAME).await?,
        ];
        for session in sessions {
            assert_eq!(session.get::<String>("colour")?.as_deref(), Some("red"));
        }
        fine()
    };
    run(&layer, holding(&token), handler).await.unwrap();
    assert_eq!(store.calls(), [1, 0, 1, 0]);
}

#[tokio::test]
async fn headers_that_were_taken_away_do_not_matter() {
    let (layer, _) = layer();
    let token = stored(&layer).await;
    let handler = async |mut request: Request<()>| -> Answer {
        request.headers_mut().clear();
        Ok(Response::new(
            request.session().await?.get("colour")?.unwrap_or_default(),
        ))
    };
    let response = run(&layer, holding(&token), handler).await.unwrap();
    assert_eq!(response.body(), "blue");
}

#[tokio::test]
async fn extensions_of_others_stay() {
    let (layer, _) = layer();
    let mut request = plain();
    request.extensions_mut().insert(7_u8);
    let handler = async |request: Request<()>| -> Answer {
        assert_eq!(request.extensions().get::<u8>(), Some(&7));
        fine()
    };
    run(&layer, request, handler).await.unwrap();
}

#[tokio::test]
async fn two_calls_at_once_load_once() {
    let (layer, store) = layer();
    let token = stored(&layer).await;
    store.calls();
    let handler = async |request: Request<()>| -> Answer {
        let (one, other) = tokio::join!(request.session(), request.session());
        one?.insert("colour", "red")?;
        assert_eq!(other?.get::<String>("colour")?.as_deref(), Some("red"));
        fine()
    };
    run(&layer, holding(&token), handler).await.unwrap();
    assert_eq!(store.calls(), [1, 0, 1, 0]);
}

#[tokio::test]
async fn a_cancelled_call_does_not_spoil_the_next() {
    let (layer, store) = layer();
    let token = stored(&layer).await;
    store.calls();
    let handler = async |request: Request<()>| -> Answer {
        {
            let mut cancelled = pin!(request.session());
            let mut context = Context::from_waker(Waker::noop());
            assert!(
                cancelled.as_mut().poll(&mut context).is_pending(),
                "the store gives way once"
            );
        }
        Ok(Response::new(
            request.session().await?.get("colour")?.unwrap_or_default(),
        ))
    };
    let response = run(&layer, holding(&token), handler).await.unwrap();
    assert_eq!(response.body(), "blue");
    assert_eq!(
        store.calls(),
        [1, 0, 0, 0],
        "it goes on with the load of the one before"
    );
}

#[tokio::test]
async fn a_call_that_was_only_cancelled_leaves_the_response_alone() {
    let (layer, store) = layer();
    let token = stored(&layer).await;
    store.calls();
    let handler = async |request: Request<()>| -> Answer {
        let mut cancelled = pin!(request.session());
        let mut context = Context::from_waker(Waker::noop());
        assert!(cancelled.as_mut().poll(&mut context).is_pending());
        fine()
    };
    let response = run(&layer, holding(&token), handler).await.unwrap();
    assert!(set_cookies(&response).is_empty());
    assert_eq!(store.calls(), [1, 0, 0, 0]);
}

/// Neither `Sync` nor `Default`.
struct Body(Cell<u8>);

fn is_send<T: Send + 'static>(value: T) -> T {
    value
}

#[tokio::test]
async fn futures_can_be_sent_whatever_the_body_is() {
    let (layer, _) = layer();
    let layer = layer.on_error(|_: &Error| Response::new(Body(Cell::new(0))));
    let handler = async |request: Request<Body>| {
        // The request lives across the await, and it is not `Sync`.
        let session = is_send(request.session()).await?;
        let named = is_send(request.session_named(NAME)).await?;
        session.insert("seen", true)?;
        assert!(named.contains_key("seen"));
        let (parts, body) = request.into_parts();
        is_send(parts.session()).await?;
        is_send(parts.extensions.session()).await?;
        Ok::<_, BoxError>(Response::new(body))
    };
    let mut service = is_send(layer.layer(service_fn(handler)));
    let future = is_send(service.call(Request::new(Body(Cell::new(7)))));
    let response = tokio::spawn(future).await.unwrap().unwrap();
    assert_eq!(response.body().0.get(), 7);
    assert_eq!(token(&response).len(), 43);
}

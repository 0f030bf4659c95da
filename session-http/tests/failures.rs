//! Law 8: a store that fails is an error that the client sees, and nothing is written on top of it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::cell::Cell;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use common::*;
use http::{Request, Response, StatusCode};
use session_core::store::StoreError;
use session_core::{OnCorrupt, Timeouts};
use session_http::{Error, SessionExt, with_session};
use tower::ServiceExt;

/// Hands the error on.
async fn insert(request: Request<()>) -> Answer {
    let session = request.session().await?;
    session.insert("colour", "red")?;
    fine()
}

#[tokio::test]
async fn the_layer_answers_for_a_service_that_hands_the_error_on() {
    let (layer, store) = layer();
    let token = stored(&layer).await;
    store.fail(Call::Load, Fault::Down);
    store.calls();
    let response = run(&layer, holding(&token), insert).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.body(), "");
    assert_eq!(header(&response, "cache-control"), ["no-store"]);
    assert!(set_cookies(&response).is_empty());
    assert_eq!(store.calls(), [1, 0, 0, 0]);
    store.repair();
    assert_eq!(colour(&layer, &token).await.as_deref(), Some("blue"));
}

#[tokio::test]
async fn a_handler_may_answer_itself_and_nothing_is_written() {
    let (layer, store) = layer();
    let token = stored(&layer).await;
    store.fail(Call::Load, Fault::Down);
    store.calls();
    let response = run(
        &layer,
        holding(&token),
        async |request: Request<()>| -> Answer {
            for _ in 0..3 {
                // The failure stays; the store is not asked again.
                let session = request.session().await;
                assert!(matches!(session, Err(Error::Session(error)) if error.is_temporary()));
            }
            fine()
        },
    )
    .await
    .unwrap();
    assert_eq!(
        (response.status(), response.body().as_str()),
        (StatusCode::OK, "fine")
    );
    assert!(set_cookies(&response).is_empty());
    assert_eq!(store.calls(), [1, 0, 0, 0]);
}

#[tokio::test]
async fn a_failed_load_stays_failed_even_when_the_store_recovers() {
    let (layer, store) = layer();
    let token = stored(&layer).await;
    store.fail(Call::Load, Fault::Down);
    let response = run(
        &layer,
        holding(&token),
        async |request: Request<()>| -> Answer {
            assert!(request.session().await.is_err());
            store.repair();
            request.session().await?.clear();
            fine()
        },
    )
    .await
    .unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(colour(&layer, &token).await.as_deref(), Some("blue"));
}

#[tokio::test]
async fn a_commit_that_fails_turns_the_answer_into_an_error() {
    for (call, old) in [
        (Call::Create, false),
        (Call::Update, true),
        (Call::Delete, true),
    ] {
        let (layer, store) = layer();
        let token = stored(&layer).await;
        store.fail(call, Fault::Down);
        let request = if old { holding(&token) } else { plain() };
        let response = run(&layer, request, async |request: Request<()>| -> Answer {
            let session = request.session().await?;
            match call {
                Call::Delete => session.destroy()?,
                _ => session.insert("colour", "red")?,
            }
            let mut response = fine()?;
            response.headers_mut().insert("x-handler", "1".parse()?);
            Ok(response)
        })
        .await
        .unwrap();
        assert_eq!(
            response.status(),
            StatusCode::SERVICE_UNAVAILABLE,
            "{call:?}"
        );
        assert!(!response.headers().contains_key("x-handler"));
        assert!(set_cookies(&response).is_empty());
        assert_eq!(header(&response, "vary"), ["Cookie"]);
        store.repair();
        assert_eq!(store.len(), 1);
        assert_eq!(colour(&layer, &token).await.as_deref(), Some("blue"));
    }
}

#[tokio::test]
async fn a_change_that_is_refused_at_the_commit_is_a_409() {
    let (layer, _) = layer();
    let token = stored(&layer).await;
    let must_be_blue = |colour: &mut Option<String>| match colour.as_deref() {
        Some("blue") => {
            *colour = Some("green".to_owned());
            Ok(())
        }
        _ => Err::<_, Box<dyn std::error::Error + Send + Sync>>("another colour".into()),
    };
    let paint = async |request: Request<()>| -> Answer {
        let session = request.session().await?;
        session.insert("painted", true)?;
        session.try_modify("colour", must_be_blue)?;
        let rival = holding(&token);
        assert_eq!(run(&layer, rival, insert).await?.status(), StatusCode::OK);
        fine()
    };
    let response = run(&layer, holding(&token), paint).await.unwrap();
    assert_eq!(response.status(), StatusCode::CONFLICT);
    let after = layer.manager().begin(&[token.as_str()]).await.unwrap();
    assert_eq!(after.keys(), ["colour"]);
    assert_eq!(
        after.get::<String>("colour").unwrap().as_deref(),
        Some("red")
    );
}

#[tokio::test]
async fn a_session_that_was_destroyed_before_the_commit_failed_is_forgotten() {
    let (layer, store) = layer();
    let token = stored(&layer).await;
    store.fail(Call::Create, Fault::Down);
    let response = visit(&layer, holding(&token), |session| {
        session.destroy().unwrap();
        session.insert("colour", "red").unwrap();
    })
    .await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(is_removal(&response));
    assert_eq!(store.len(), 0);
}

/// A body that is neither `Default` nor `Sync`.
#[derive(Debug)]
struct Odd(Cell<u8>);

#[tokio::test]
async fn the_application_shapes_the_error_response() {
    let (layer, store) = layer();
    let token = stored(&layer).await;
    let layer = layer.on_error(|error: &Error| {
        assert!(
            !error.to_string().contains("on purpose"),
            "the cause is the source, not the text"
        );
        let mut response = Response::new(Odd(Cell::new(9)));
        *response.status_mut() = error.status();
        response
    });
    let handler = async |request: Request<()>| {
        request.session().await?.insert("colour", "red")?;
        Ok::<_, BoxError>(Response::new(Odd(Cell::new(1))))
    };
    for (call, request) in [(Call::Create, plain()), (Call::Load, holding(&token))] {
        store.fail(call, Fault::Down);
        let response = run(&layer, request, handler).await.unwrap();
        assert_eq!(
            (response.status(), response.body().0.get()),
            (StatusCode::SERVICE_UNAVAILABLE, 9)
        );
    }
    store.repair();
    let response = run(&layer, plain(), handler).await.unwrap();
    assert_eq!(
        (response.status(), response.body().0.get()),
        (StatusCode::OK, 1)
    );
}

/// S42: a store that does not answer is given up on.
#[tokio::test]
async fn a_store_that_hangs_is_given_up_after_its_deadline() {
    for call in [Call::Load, Call::Create] {
        let timeouts = Timeouts::default().with_call(Duration::from_secs(2));
        let (layer, store, clock) = layer_with(|builder| builder.timeouts(timeouts));
        let request = match call {
            Call::Load => holding(&stored(&layer).await),
            _ => plain(),
        };
        store.fail(call, Fault::Hang);
        let mut future = pin!(run(&layer, request, insert));
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..5 {
            assert!(future.as_mut().poll(&mut context).is_pending());
        }
        clock.advance(Duration::from_millis(1_999));
        assert!(future.as_mut().poll(&mut context).is_pending());
        clock.advance(Duration::from_millis(1));
        let Poll::Ready(answer) = future.as_mut().poll(&mut context) else {
            panic!("{call:?} is waited for beyond the deadline");
        };
        assert_eq!(answer.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_read_has_a_policy() {
    let (layer, store) = layer();
    let token = stored(&layer).await;
    store.fail(Call::Load, Fault::Corrupt);
    let response = run(&layer, holding(&token), insert).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!((common::token(&response).len(), store.len()), (43, 2));

    let (layer, store, _) = layer_with(|builder| builder.on_corrupt(OnCorrupt::Refuse));
    let token = stored(&layer).await;
    store.fail(Call::Load, Fault::Corrupt);
    let response = run(&layer, holding(&token), insert).await.unwrap();
    assert_eq!(
        response.status(),
        StatusCode::INTERNAL_SERVER_ERROR,
        "it will not pass by itself"
    );
    assert!(set_cookies(&response).is_empty());
    assert_eq!(store.len(), 1);
}

#[tokio::test]
async fn a_handler_with_its_session_does_not_run_if_the_load_fails() {
    let (layer, store) = layer();
    let token = stored(&layer).await;
    let runs = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&runs);
    let service = with_session(&layer, move |_: Request<()>, session| {
        seen.fetch_add(1, Relaxed);
        async move {
            session.insert("colour", "red")?;
            fine()
        }
    });
    let response = service.clone().oneshot(holding(&token)).await.unwrap();
    assert_eq!((response.status(), runs.load(Relaxed)), (StatusCode::OK, 1));
    store.fail(Call::Load, Fault::Down);
    let response = service.oneshot(holding(&token)).await.unwrap();
    assert_eq!(
        (response.status(), runs.load(Relaxed)),
        (StatusCode::SERVICE_UNAVAILABLE, 1)
    );
}

#[test]
fn statuses() {
    let down = session_core::SessionError::from(StoreError::unavailable("x"));
    assert_eq!(Error::from(down).status(), StatusCode::SERVICE_UNAVAILABLE);
    let full = session_core::SessionError::from(StoreError::Full { capacity: 1 });
    assert_eq!(Error::from(full).status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        Error::from(session_core::SessionError::Contended).status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    let unsupported = session_core::SessionError::from(StoreError::Unsupported("that"));
    assert_eq!(
        Error::from(unsupported).status(),
        StatusCode::NOT_IMPLEMENTED
    );
    let refused = session_core::SessionError::Refused(Arc::new(std::fmt::Error));
    assert_eq!(Error::from(refused).status(), StatusCode::CONFLICT);
    for error in [
        Error::MissingLayer,
        Error::NoSuchName("x".into()),
        Error::TwoManagers("x".into()),
    ] {
        assert_eq!(error.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
    assert_eq!(
        Error::from(session_core::SessionError::Detached).status(),
        StatusCode::INTERNAL_SERVER_ERROR
    );
}

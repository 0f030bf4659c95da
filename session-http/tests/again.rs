//! Requests that are sent through a layer again: what a slot of an earlier response held is over.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::sync::{Arc, Mutex};

use common::*;
use http::{HeaderValue, Request, StatusCode};
use session_core::SessionError;
use session_http::{CookieConfig, Error, SessionExt, SessionLayer};
use tower::{Service, ServiceExt, service_fn};

fn named(name: &str, store: &Arc<TestStore>) -> SessionLayer {
    let builder = SessionLayer::builder(Arc::clone(store)).cookie(CookieConfig::new(name));
    builder.build().unwrap()
}

async fn count(request: Request<()>) -> Answer {
    let session = request.session().await?;
    let count = session.update("count", |count: Option<u32>| count.unwrap_or(0) + 1)?;
    Ok(http::Response::new(count.to_string()))
}

/// Passes requests on and keeps what the innermost service was given.
fn keeping(
    kept: &Arc<Mutex<Vec<Request<()>>>>,
) -> impl Fn(Request<()>) -> Request<()> + Clone + use<> {
    let kept = Arc::clone(kept);
    move |request| {
        kept.lock().unwrap().push(request.clone());
        request
    }
}

#[tokio::test]
async fn a_request_sent_again_after_its_response_is_saved() {
    let (layer, store) = layer();
    let kept = Arc::default();
    let keep = keeping(&kept);
    let service = layer.layer(service_fn(move |request| count(keep(request))));
    let first = service.clone().oneshot(plain()).await.unwrap();
    assert_eq!(first.body(), "1");
    let token = token(&first);

    // Without the cookie it is a new client's, with it the session goes on.
    let again = kept.lock().unwrap().remove(0);
    let response = service.clone().oneshot(again.clone()).await.unwrap();
    assert_eq!((response.body().as_str(), store.len()), ("1", 2));
    assert_ne!(common::token(&response), token);
    for expected in ["2", "3"] {
        let mut again = again.clone();
        let cookie = HeaderValue::from_str(&format!("{NAME}={token}")).unwrap();
        again.headers_mut().insert("cookie", cookie);
        let response = service.clone().oneshot(again).await.unwrap();
        assert_eq!(response.body(), expected);
        let session = layer.manager().begin(&[&token]).await.unwrap();
        assert_eq!(
            session.get::<u32>("count").unwrap().unwrap().to_string(),
            expected
        );
    }
}

/// The response has left, whoever keeps its future.
#[tokio::test]
async fn a_future_that_is_kept_after_its_response_holds_no_slot() {
    let (layer, store) = layer();
    let token = stored(&layer).await;
    for request in [plain(), holding(&token)] {
        for inserts in [None, Some(false), Some(true)] {
            let kept = Arc::default();
            let keep = keeping(&kept);
            let mut first = layer.layer(service_fn(move |request| {
                let request = keep(request);
                async move {
                    if let Some(inserts) = inserts {
                        let session = request.session().await?;
                        if inserts {
                            session.insert("first", true)?;
                        }
                    }
                    fine()
                }
            }));
            let mut future = std::pin::pin!(first.call(request.clone()));
            future.as_mut().await.unwrap();
            let before = (store.len(), store.calls());
            let again = kept.lock().unwrap().remove(0);
            let service = layer.layer(service_fn(count));
            service.oneshot(again).await.unwrap();
            let created = usize::from(request.headers().is_empty());
            assert_eq!(store.len(), before.0 + created);
            let [_, creates, updates, _] = store.calls();
            assert_eq!((creates + updates), 1, "it is written");
        }
    }
}

/// A clone of a request that went through two layers is sent through one of them again.
#[tokio::test]
async fn a_layer_whose_response_has_left_is_not_found_by_its_name() {
    let store = TestStore::new();
    let (outer, inner) = (named("outer", &store), named("inner", &store));
    let kept = Arc::default();
    let keep = keeping(&kept);
    let service = outer.layer(inner.layer(service_fn(move |request| count(keep(request)))));
    service.oneshot(plain()).await.unwrap();
    let again = kept.lock().unwrap().remove(0);
    let service = outer.layer(service_fn(async |request: Request<()>| {
        let inner = request.session_named("inner").await;
        assert!(matches!(inner, Err(Error::NoSuchName(name)) if name == "inner"));
        fine()
    }));
    service.oneshot(again).await.unwrap();
}

/// A layer in between is still at work, and its request goes through the outer one again.
#[tokio::test]
async fn a_layer_further_out_whose_response_has_left_works_anew() {
    let store = TestStore::new();
    let (outer, inner) = (named("outer", &store), named("inner", &store));
    let again = outer.layer(service_fn(async |request: Request<()>| {
        let session = request.session_named("outer").await?;
        session.insert("late", true)?;
        fine()
    }));
    let inner = inner.layer(service_fn(move |request| again.clone().oneshot(request)));
    let kept = Arc::new(Mutex::new(None));
    let keep = Arc::clone(&kept);
    let service = outer.layer(service_fn(move |request| {
        *keep.lock().unwrap() = Some(inner.clone().call(request));
        async { fine() }
    }));
    service.oneshot(plain()).await.unwrap();
    assert_eq!(store.len(), 0);
    let late = kept.lock().unwrap().take().unwrap();
    late.await.unwrap();
    assert_eq!(store.len(), 1);
}

/// A layer that tries again, around ours: the request it kept has seen no layer.
#[tokio::test]
async fn a_retry_outside_of_the_layer_commits_each_attempt() {
    let (layer, store) = layer();
    let token = stored(&layer).await;
    let attempts = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&attempts);
    let mut inner = layer.layer(service_fn(move |request: Request<()>| {
        let attempt = {
            let mut attempts = counted.lock().unwrap();
            *attempts += 1;
            *attempts
        };
        async move {
            let answer = count(request).await?;
            match attempt {
                1 => status(503),
                _ => Ok(answer),
            }
        }
    }));
    let request = holding(&token);
    let refused = inner.call(request.clone()).await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(inner.call(request).await.unwrap().body(), "1");
    let session = layer.manager().begin(&[&token]).await.unwrap();
    assert_eq!(session.get::<u32>("count").unwrap(), Some(1));
    assert_eq!(store.len(), 1);
}

/// A layer that tries again, between two of different names: the outer session is one, the inner
/// one begins again.
#[tokio::test]
async fn a_retry_between_two_layers_has_a_new_inner_session_and_the_same_outer_one() {
    let store = TestStore::new();
    let (outer, inner) = (named("outer", &store), named("inner", &store));
    let kept = Arc::default();
    let keep = keeping(&kept);
    let service = inner.layer(service_fn(move |request: Request<()>| {
        let request = keep(request);
        async move {
            for name in ["outer", "inner"] {
                let session = request.session_named(name).await?;
                session.update("count", |count: Option<u32>| count.unwrap_or(0) + 1)?;
            }
            fine()
        }
    }));
    let retried = service_fn(move |request: Request<()>| {
        let (service, kept) = (service.clone(), Arc::clone(&kept));
        async move {
            let first = service.clone().oneshot(request).await?;
            // What the handler was given, with the slots of both layers in it.
            let again = kept.lock().unwrap().remove(0);
            let second = service.oneshot(again).await?;
            let told = |response: &http::Response<String>| set_cookies(response).len();
            assert_eq!(
                (told(&first), told(&second)),
                (1, 1),
                "each tells of its own"
            );
            Ok::<_, BoxError>(second)
        }
    });
    let response = outer.layer(retried).oneshot(plain()).await.unwrap();
    let cookies = set_cookies(&response);
    assert_eq!(cookies.len(), 2);
    let counted = async |layer: &SessionLayer| {
        let own = cookies
            .iter()
            .find_map(|cookie| cookie.strip_prefix(layer.name())?.strip_prefix('='));
        let token = own.unwrap().split(';').next().unwrap();
        let session = layer.manager().begin(&[token]).await.unwrap();
        session.get::<u32>("count").unwrap()
    };
    assert_eq!(counted(&outer).await, Some(2), "one session, changed twice");
    assert_eq!(counted(&inner).await, Some(1));
    assert_eq!(store.len(), 3);
}

/// The same layer twice, and the inner one sees a request again after the first response: the outer
/// one is still at work.
#[tokio::test]
async fn a_retry_between_the_same_layer_twice_is_still_done_once() {
    let (layer, store) = layer();
    let inner = layer.layer(service_fn(count));
    let retried = service_fn(move |request: Request<()>| {
        let inner = inner.clone();
        async move {
            inner.clone().oneshot(request.clone()).await?;
            inner.oneshot(request).await
        }
    });
    let response = layer.layer(retried).oneshot(plain()).await.unwrap();
    assert_eq!((response.body().as_str(), store.len()), ("2", 1));
    assert_eq!(store.calls(), [0, 1, 0, 0]);
}

/// Extensions of a request that is over, in another request.
#[tokio::test]
async fn extensions_that_move_into_another_request_bring_no_session_along() {
    let (layer, store) = layer();
    let kept = Arc::default();
    let keep = keeping(&kept);
    let service = layer.layer(service_fn(move |request| count(keep(request))));
    let first = token(&service.clone().oneshot(plain()).await.unwrap());
    let second = token(&service.clone().oneshot(plain()).await.unwrap());
    let (parts, ()) = kept.lock().unwrap().remove(0).into_parts();
    let mut other = holding(&second);
    *other.extensions_mut() = parts.extensions.clone();
    assert_eq!(service.clone().oneshot(other).await.unwrap().body(), "2");
    assert_eq!(store.len(), 2);

    // Who kept the parts of the first has the first, with nobody to tell.
    let session = parts.session().await.unwrap();
    assert_eq!(session.get::<u32>("count").unwrap(), Some(1));
    assert!(matches!(session.renew(), Err(SessionError::Detached)));
    let still = layer.manager().begin(&[&first]).await.unwrap();
    assert_eq!(still.get::<u32>("count").unwrap(), Some(1));
}

/// Nested names: both are over, and each layer is at work again where it is.
#[tokio::test]
async fn both_of_two_layers_are_over() {
    let store = TestStore::new();
    let (outer, inner) = (named("outer", &store), named("inner", &store));
    let kept = Arc::default();
    let keep = keeping(&kept);
    let handler = move |request: Request<()>| count(keep(request));
    let both = outer.layer(inner.layer(service_fn(handler)));
    both.oneshot(plain()).await.unwrap();
    let again = kept.lock().unwrap().remove(0);
    for layer in [&outer, &inner] {
        let before = store.len();
        let single = layer.layer(service_fn(count));
        let response = single.oneshot(again.clone()).await.unwrap();
        let cookies = set_cookies(&response);
        assert_eq!((response.body().as_str(), cookies.len()), ("1", 1));
        assert!(cookies[0].starts_with(layer.name()));
        assert_eq!(store.len(), before + 1);
    }
}

/// Another manager of the same name is no clash once its response has left.
#[tokio::test]
async fn a_name_is_free_once_its_response_has_left() {
    let (first, _) = layer();
    let (second, store) = layer();
    let kept = Arc::default();
    let keep = keeping(&kept);
    let service = first.layer(service_fn(move |request| count(keep(request))));
    service.oneshot(plain()).await.unwrap();
    let again = kept.lock().unwrap().remove(0);
    let response = second
        .layer(service_fn(count))
        .oneshot(again)
        .await
        .unwrap();
    assert_eq!((response.body().as_str(), store.len()), ("1", 1));
}

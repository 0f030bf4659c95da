//! More than one layer around one service.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::sync::Arc;

use common::*;
use http::{Request, StatusCode};
use session_http::{CookieConfig, Error, SessionExt, SessionLayer, with_session};
use tower::{ServiceExt, service_fn};

async fn insert(request: Request<()>) -> Answer {
    request.session().await?.insert("colour", "red")?;
    fine()
}

fn named(name: &str, store: &Arc<TestStore>) -> SessionLayer {
    let builder = SessionLayer::builder(Arc::clone(store)).cookie(CookieConfig::new(name));
    builder.build().unwrap()
}

#[tokio::test]
async fn the_same_layer_twice_does_its_work_once() {
    let (layer, store) = layer();
    let service = layer.layer(layer.clone().layer(service_fn(insert)));
    let response = service.clone().oneshot(plain()).await.unwrap();
    assert_eq!(store.calls(), [0, 1, 0, 0]);
    let token = token(&response);
    assert_eq!(header(&response, "vary"), ["Cookie"]);

    let response = service.oneshot(holding(&token)).await.unwrap();
    assert_eq!(store.calls(), [1, 0, 0, 0]);
    assert!(set_cookies(&response).is_empty());
}

/// A service between two of the same layer has the session of the handler.
#[tokio::test]
async fn what_lies_between_the_same_layer_twice_shares_the_session() {
    let (layer, store) = layer();
    let inner = layer.layer(service_fn(insert));
    let between = service_fn(move |request: Request<()>| {
        let inner = inner.clone();
        async move {
            let session = request.session().await?;
            session.insert("seen", true)?;
            let answer = inner.oneshot(request).await;
            assert!(
                session.contains_key("colour") && session.is_new(),
                "not committed yet"
            );
            answer
        }
    });
    let response = layer.layer(between).oneshot(plain()).await.unwrap();
    assert_eq!(store.calls(), [0, 1, 0, 0]);
    let session = layer.manager().begin(&[&token(&response)]).await.unwrap();
    assert_eq!(session.keys(), ["colour", "seen"]);
}

#[tokio::test]
async fn a_handler_with_its_session_inside_of_its_layer_does_the_work_once() {
    let (layer, store) = layer();
    let handler = with_session(&layer, async |_: Request<()>, session| {
        session.insert("colour", "red")?;
        fine()
    });
    let response = layer.layer(handler).oneshot(plain()).await.unwrap();
    assert_eq!(store.calls(), [0, 1, 0, 0]);
    assert_eq!(token(&response).len(), 43);
}

#[tokio::test]
async fn a_handler_gets_the_session_of_the_layer_it_was_made_with() {
    let store = TestStore::new();
    let (users, admins) = (named("users", &store), named("admins", &store));
    let handler = with_session(&users, async |_: Request<()>, session| {
        session.insert("colour", "red")?;
        fine()
    });
    let response = users
        .layer(admins.layer(handler))
        .oneshot(plain())
        .await
        .unwrap();
    let cookies = set_cookies(&response);
    assert_eq!(cookies.len(), 1);
    assert!(
        cookies[0].starts_with("users="),
        "stored under {:?}",
        cookies[0].split('=').next()
    );
}

#[tokio::test]
async fn another_manager_of_the_same_name_is_a_clear_error() {
    let (outer, outer_store) = layer();
    let (inner, inner_store) = layer();
    let inner = inner.on_error(|error: &Error| {
        let mut response = http::Response::new(error.to_string());
        *response.status_mut() = error.status();
        response
    });
    let response = outer
        .layer(inner.layer(service_fn(insert)))
        .oneshot(plain())
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(
        response.body().contains("\"__Host-id\" differ"),
        "{}",
        response.body()
    );
    assert_eq!((outer_store.calls(), inner_store.calls()), ([0; 4], [0; 4]));
    assert!(set_cookies(&response).is_empty());
}

#[tokio::test]
async fn a_clash_is_found_behind_a_third_layer() {
    let store = TestStore::new();
    let (one, two, clash) = (
        named("one", &store),
        named("two", &store),
        named("one", &store),
    );
    let service = one.layer(two.layer(clash.layer(service_fn(insert))));
    let response = service.oneshot(plain()).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(store.calls(), [0; 4]);
}

#[tokio::test]
async fn different_names_are_different_sessions() {
    let store = TestStore::new();
    let (users, admins) = (named("users", &store), named("admins", &store));
    let service = users.layer(
        admins.layer(service_fn(async |request: Request<()>| -> Answer {
            let user = request.session_named("users").await?;
            let admin = request.session_named("admins").await?;
            let innermost = request.session().await?;
            user.update("count", |count: Option<u32>| count.unwrap_or(0) + 1)?;
            admin.update("count", |count: Option<u32>| count.unwrap_or(10) + 1)?;
            assert_eq!(innermost.get("count")?, admin.get::<u32>("count")?);
            let missing = request.session_named("Users").await;
            assert!(matches!(missing, Err(Error::NoSuchName(name)) if name == "Users"));
            Ok(http::Response::new(format!(
                "{:?} {:?}",
                user.get::<u32>("count")?,
                admin.get::<u32>("count")?
            )))
        })),
    );
    let response = service.clone().oneshot(plain()).await.unwrap();
    assert_eq!(response.body(), "Some(1) Some(11)");
    assert_eq!(store.len(), 2);
    let cookies = set_cookies(&response);
    let pairs: Vec<_> = cookies
        .iter()
        .map(|cookie| cookie.split(';').next().unwrap())
        .collect();
    assert_eq!(pairs.len(), 2);

    let response = service
        .clone()
        .oneshot(with_header("cookie", pairs.join("; ")))
        .await
        .unwrap();
    assert_eq!(response.body(), "Some(2) Some(12)");
    assert_eq!(store.len(), 2);

    // A token of the one is a stranger's to the other.
    let crossed = format!("users={}", pairs[0].strip_prefix("admins=").unwrap());
    let response = service
        .oneshot(with_header("cookie", crossed))
        .await
        .unwrap();
    assert_eq!(response.body(), "Some(1) Some(11)");
}

#[tokio::test]
async fn an_inner_session_that_was_saved_is_told_of_though_the_outer_commit_fails() {
    let (outer_store, inner_store) = (TestStore::new(), TestStore::new());
    let (outer, inner) = (named("outer", &outer_store), named("inner", &inner_store));
    let service = outer.layer(
        inner.layer(service_fn(async |request: Request<()>| -> Answer {
            request
                .session_named("outer")
                .await?
                .insert("colour", "red")?;
            request
                .session_named("inner")
                .await?
                .insert("colour", "red")?;
            fine()
        })),
    );
    outer_store.fail(Call::Create, Fault::Down);
    let response = service.oneshot(plain()).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(inner_store.len(), 1);
    let cookies = set_cookies(&response);
    assert!(
        cookies.iter().any(|cookie| cookie.starts_with("inner=")),
        "{} cookies",
        cookies.len()
    );
}

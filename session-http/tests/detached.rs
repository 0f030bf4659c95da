//! Responses that cannot carry a token, and handles that outlive their response.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::sync::Mutex;

use common::*;
use http::Request;
use session_core::{Session, SessionError};
use session_http::{SessionExt, SessionLayer};

async fn answer(
    layer: &SessionLayer,
    request: Request<()>,
    code: u16,
    act: impl Fn(&Session),
) -> Vec<String> {
    let act = &act;
    let answer = run(layer, request, move |request| async move {
        act(&request.session().await?);
        status(code)
    });
    set_cookies(&answer.await.unwrap())
}

#[tokio::test]
async fn nothing_is_created_on_a_101_or_a_304() {
    for code in [101, 304] {
        let (layer, store) = layer();
        let cookies = answer(&layer, plain(), code, |session| {
            session.insert("colour", "red").unwrap();
            session.sign_in("user:1").unwrap();
        })
        .await;
        assert!(cookies.is_empty());
        assert_eq!((store.calls(), store.len()), ([0; 4], 0));
    }
}

#[tokio::test]
async fn nothing_is_renewed_on_a_101_or_a_304_but_data_is_written() {
    for code in [101, 304] {
        let (layer, store) = layer();
        let token = stored(&layer).await;
        store.calls();
        let cookies = answer(&layer, holding(&token), code, |session| {
            session.insert("colour", "red").unwrap();
            session.renew().unwrap();
            session.sign_in("user:1").unwrap();
        })
        .await;
        assert!(cookies.is_empty());
        assert_eq!(store.calls(), [1, 0, 1, 0]);
        let session = layer.manager().begin(&[&token]).await.unwrap();
        assert_eq!(
            session.get::<String>("colour").unwrap().as_deref(),
            Some("red")
        );
        assert_eq!(session.principal(), None);
    }
}

#[tokio::test]
async fn a_304_can_end_a_session() {
    let (layer, store) = layer();
    let token = stored(&layer).await;
    let cookies = answer(&layer, holding(&token), 304, |session| {
        session.destroy().unwrap();
    })
    .await;
    assert_eq!(store.len(), 0);
    assert!(cookies.len() == 1 && cookies[0].contains("Max-Age=0"));
}

/// Runs a request and keeps its session beyond the response.
async fn keep(layer: &SessionLayer, request: Request<()>, act: impl Fn(&Session)) -> Session {
    let kept = Mutex::new(None);
    visit(layer, request, |session| {
        act(session);
        *kept.lock().unwrap() = Some(session.clone());
    })
    .await;
    kept.into_inner().unwrap().unwrap()
}

#[tokio::test]
async fn data_of_a_session_that_the_client_knows_can_still_be_saved() {
    let (layer, store) = layer();
    let token = stored(&layer).await;
    // With nothing to commit, and with a commit.
    for (colour, written) in [("red", false), ("green", true)] {
        let session = keep(&layer, holding(&token), |session| {
            if written {
                session.insert("more", 1).unwrap();
            }
        })
        .await;
        store.calls();
        session.insert("colour", colour).unwrap();
        session.save().await.unwrap();
        assert_eq!(store.calls(), [0, 0, 1, 0]);
        assert_eq!(
            common::colour(&layer, &token).await.as_deref(),
            Some(colour)
        );
        assert_eq!(
            session
                .update_now("count", |count: Option<u8>| count.unwrap_or(0) + 1)
                .await
                .unwrap(),
            1
        );
        session.remove("count");
        session.save().await.unwrap();
    }
}

#[tokio::test]
async fn data_of_a_session_that_this_response_announced_can_still_be_saved() {
    let (layer, store) = layer();
    let session = keep(&layer, plain(), |session| {
        session.insert("colour", "red").unwrap();
    })
    .await;
    session.insert("colour", "green").unwrap();
    session.save().await.unwrap();
    assert_eq!(store.calls(), [0, 1, 1, 0]);
}

#[tokio::test]
async fn nothing_can_be_created_renewed_or_destroyed_after_the_response() {
    let (layer, store) = layer();
    let token = stored(&layer).await;
    for request in [plain(), holding(&token)] {
        let known = !request.headers().is_empty();
        let session = keep(&layer, request, |_| ()).await;
        store.calls();
        assert!(matches!(session.renew(), Err(SessionError::Detached)));
        assert!(matches!(session.destroy(), Err(SessionError::Detached)));
        assert!(matches!(
            session.sign_in("user:1"),
            Err(SessionError::Detached)
        ));
        assert_eq!(session.principal(), None);
        if !known {
            session.insert("colour", "red").unwrap();
            assert!(matches!(session.save().await, Err(SessionError::Detached)));
        }
        assert_eq!((store.calls(), store.len()), ([0; 4], 1));
    }
    assert_eq!(colour(&layer, &token).await.as_deref(), Some("blue"));
}

#[tokio::test]
async fn after_a_refused_response_a_known_session_can_still_be_saved() {
    let (layer, _) = layer();
    let token = stored(&layer).await;
    let kept = Mutex::new(None);
    let answer: Answer = run(&layer, holding(&token), async |request: Request<()>| {
        let session = request.session().await?;
        session.insert("colour", "red")?;
        *kept.lock().unwrap() = Some(session);
        status(500)
    })
    .await;
    assert_eq!(answer.unwrap().status(), 500);
    let session = kept.into_inner().unwrap().unwrap();
    assert_eq!(
        session.get::<String>("colour").unwrap().as_deref(),
        Some("blue"),
        "dropped"
    );
    assert!(matches!(
        session.sign_in("user:1"),
        Err(SessionError::Detached)
    ));
    session.insert("later", true).unwrap();
    session.save().await.unwrap();
    let session = layer.manager().begin(&[&token]).await.unwrap();
    assert_eq!(session.keys(), ["colour", "later"]);
}

#[tokio::test]
async fn a_handle_of_a_session_that_ended_meanwhile_says_so() {
    let (layer, store) = layer();
    let token = stored(&layer).await;
    let session = keep(&layer, holding(&token), |_| ()).await;
    visit(&layer, holding(&token), |session| {
        session.destroy().unwrap();
    })
    .await;
    session.insert("colour", "red").unwrap();
    assert!(matches!(session.save().await, Err(SessionError::Gone)));
    assert_eq!(store.len(), 0);
}

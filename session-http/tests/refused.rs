//! Law 7: what fails leaves the session as it was, but for what it saved and what it destroyed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::future::pending;
use std::pin::pin;
use std::task::{Context, Waker};

use common::*;
use http::{HeaderValue, Request, Response, StatusCode};
use session_core::Session;
use session_http::{SessionExt, SessionLayer};

#[derive(Clone, Copy, Debug)]
enum Refused {
    Status(u16),
    Grpc(&'static str),
    Error,
}

const ALL: [Refused; 7] = [
    Refused::Status(500),
    Refused::Status(503),
    Refused::Status(599),
    Refused::Status(408),
    Refused::Grpc("13"),
    Refused::Grpc(""),
    Refused::Error,
];

impl Refused {
    fn answer(self) -> Answer {
        match self {
            Self::Status(code) => status(code),
            Self::Grpc(code) => grpc(code),
            Self::Error => Err("the handler failed".into()),
        }
    }
}

fn grpc(code: &'static str) -> Answer {
    let mut response = fine()?;
    let code = HeaderValue::from_static(code);
    response.headers_mut().insert("grpc-status", code);
    Ok(response)
}

/// Does something with the session, then answers.
async fn answer(
    layer: &SessionLayer,
    request: Request<()>,
    act: impl Fn(&Session),
    answer: impl Fn() -> Answer,
) -> Answer {
    let (act, answer) = (&act, &answer);
    run(layer, request, move |request| async move {
        act(&request.session().await?);
        answer()
    })
    .await
}

fn assert_no_cookie(answer: &Answer, refused: Refused) {
    match (refused, answer) {
        (Refused::Error, Err(error)) => assert_eq!(error.to_string(), "the handler failed"),
        (_, Ok(response)) => {
            assert!(set_cookies(response).is_empty(), "{refused:?}");
            assert_eq!(header(response, "vary"), ["Cookie"]);
            assert!(header(response, "cache-control").is_empty());
        }
        other => panic!("{other:?}"),
    }
}

fn change(session: &Session) {
    session.insert("colour", "red").unwrap();
    session.insert("more", 1).unwrap();
    session.sign_in("user:1").unwrap();
    session.set_label("laptop").unwrap();
}

#[tokio::test]
async fn nothing_is_created() {
    for refused in ALL {
        let (layer, store) = layer();
        let answer = answer(&layer, plain(), change, || refused.answer()).await;
        assert_no_cookie(&answer, refused);
        assert_eq!((store.calls(), store.len()), ([0; 4], 0), "{refused:?}");
    }
}

#[tokio::test]
async fn nothing_is_changed() {
    for refused in ALL {
        let (layer, store) = layer();
        let token = stored(&layer).await;
        store.calls();
        let answer = answer(&layer, holding(&token), change, || refused.answer()).await;
        assert_no_cookie(&answer, refused);
        assert_eq!(store.calls(), [1, 0, 0, 0], "{refused:?}");
        let session = layer.manager().begin(&[&token]).await.unwrap();
        assert_eq!(session.keys(), ["colour"]);
        assert_eq!(
            session.get::<String>("colour").unwrap().as_deref(),
            Some("blue")
        );
        assert_eq!(session.principal(), None);
    }
}

#[tokio::test]
async fn a_destroyed_session_ends_all_the_same() {
    for refused in ALL {
        let (layer, store) = layer();
        let token = stored(&layer).await;
        let act = |session: &Session| {
            session.destroy().unwrap();
            change(session); // this part is refused
        };
        let answer = answer(&layer, holding(&token), act, || refused.answer()).await;
        assert_eq!(store.len(), 0, "{refused:?}");
        match answer {
            Ok(response) => assert!(is_removal(&response), "{refused:?}"),
            Err(error) => assert_eq!(error.to_string(), "the handler failed"),
        }
    }
}

#[tokio::test]
async fn what_was_saved_stays() {
    for refused in ALL {
        let (layer, store) = layer();
        let token = stored(&layer).await;
        let answer: Answer = run(&layer, holding(&token), async |request: Request<()>| {
            let session = request.session().await?;
            session.insert("colour", "red")?;
            session.save().await?;
            session.insert("colour", "green")?;
            refused.answer()
        })
        .await;
        assert_no_cookie(&answer, refused);
        assert_eq!(store.len(), 1);
        assert_eq!(
            colour(&layer, &token).await.as_deref(),
            Some("red"),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn a_session_that_was_saved_first_is_told_of_or_nobody_could_find_it() {
    let (layer, store) = layer();
    let answer: Answer = run(&layer, plain(), async |request: Request<()>| {
        let session = request.session().await?;
        session.insert("colour", "red")?;
        session.save().await?;
        session.insert("colour", "green")?;
        status(500)
    })
    .await;
    assert_eq!(store.len(), 1);
    assert_eq!(
        colour(&layer, &token(&answer.unwrap())).await.as_deref(),
        Some("red")
    );
}

#[tokio::test]
async fn other_answers_are_saved() {
    for code in [200, 201, 204, 303, 400, 401, 403, 404, 409, 429, 499] {
        let (layer, store) = layer();
        let answer = answer(&layer, plain(), change, || status(code)).await;
        assert_eq!(token(&answer.unwrap()).len(), 43, "{code}");
        assert_eq!(store.len(), 1);
    }
    let (layer, store) = layer();
    let answer = answer(&layer, plain(), change, || grpc("0")).await;
    assert_eq!((token(&answer.unwrap()).len(), store.len()), (43, 1));
}

#[tokio::test]
async fn the_policy_can_be_another() {
    let (layer, store, _) = layer_with(|builder| {
        builder.commit_if(|status, headers| {
            status.is_server_error() && !headers.contains_key("x-refuse")
        })
    });
    let refused = answer(&layer, plain(), change, || status(200))
        .await
        .unwrap();
    assert!(set_cookies(&refused).is_empty());
    assert_eq!(store.calls(), [0; 4]);
    let with_header = || {
        let mut response = status(500)?;
        response
            .headers_mut()
            .insert("x-refuse", HeaderValue::from_static("1"));
        Ok(response)
    };
    let refused = answer(&layer, plain(), change, with_header).await.unwrap();
    assert!(set_cookies(&refused).is_empty());
    assert_eq!(store.calls(), [0; 4]);
    let accepted = answer(&layer, plain(), change, || status(500))
        .await
        .unwrap();
    assert_eq!((token(&accepted).len(), store.len()), (43, 1));
}

#[tokio::test]
async fn an_error_of_the_service_is_handed_on_untouched() {
    #[derive(Debug, PartialEq)]
    struct Own(u8);
    let (layer, store) = layer();
    let answer: Result<Response<String>, Own> =
        run(&layer, plain(), async |request: Request<()>| {
            let session = request.session().await.map_err(|_| Own(0))?;
            change(&session);
            Err(Own(7))
        })
        .await;
    assert_eq!(answer.unwrap_err(), Own(7));
    assert_eq!(store.calls(), [0; 4]);
}

#[tokio::test]
async fn a_panic_leaves_the_session_as_it_was() {
    let (layer, store) = layer();
    let token = stored(&layer).await;
    store.calls();
    let (service, request) = (layer.clone(), holding(&token));
    let task = tokio::spawn(async move {
        let answer = run(&service, request, async |request: Request<()>| -> Answer {
            let session = request.session().await?;
            change(&session);
            session.destroy()?;
            panic!("on purpose")
        });
        answer.await.is_ok()
    });
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(store.calls(), [1, 0, 0, 0]);
    assert_eq!(colour(&layer, &token).await.as_deref(), Some("blue"));
}

#[tokio::test]
async fn a_cancelled_request_leaves_the_session_as_it_was() {
    let (layer, store) = layer();
    let token = stored(&layer).await;
    store.calls();
    {
        let mut future = pin!(run(
            &layer,
            holding(&token),
            async |request: Request<()>| -> Answer {
                change(&request.session().await?);
                pending().await
            }
        ));
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..5 {
            assert!(future.as_mut().poll(&mut context).is_pending());
        }
    }
    assert_eq!(store.calls(), [1, 0, 0, 0]);
    assert_eq!(colour(&layer, &token).await.as_deref(), Some("blue"));
}

#[tokio::test]
async fn a_refused_answer_stays_refused_if_the_deletion_fails() {
    let (layer, store) = layer();
    let token = stored(&layer).await;
    store.fail(Call::Delete, Fault::Down);
    let act = |session: &Session| session.destroy().unwrap();
    let response = answer(&layer, holding(&token), act, || status(502))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    assert!(
        set_cookies(&response).is_empty(),
        "the session lives on, so its token is not forgotten"
    );
    assert_eq!(colour(&layer, &token).await.as_deref(), Some("blue"));
}

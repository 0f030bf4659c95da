//! axum: one layer on the router, the session as an argument of handlers.

use std::convert::Infallible;

use axum::Router;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::sse::{Event, Sse};
use axum::response::{Redirect, Response};
use axum::routing::{any, get, post};
use futures_util::stream::unfold;
use futures_util::{Stream, StreamExt};
use session_http::Session;
use session_http::axum::CurrentSession;
use session_http::{Error, SessionLayer};

/// A shop with visitors who may sign in.
pub fn app(sessions: SessionLayer) -> Router {
    let cart = Router::new()
        .route("/cart/{item}", post(put))
        .route("/cart", get(cart));
    Router::new()
        .route("/", get(visits))
        .route("/sign-in/{name}", post(sign_in))
        .route("/sign-out", post(sign_out))
        .route("/socket", any(socket))
        .route("/events", get(events))
        .nest("/shop", cart)
        .layer(sessions) // on all of the above
        .route("/health", get(|| async { "well" })) // and not on this
}

async fn visits(session: CurrentSession) -> Result<String, Error> {
    let visits = session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1)?;
    let who = session.principal();
    Ok(format!(
        "visit {visits} by {}",
        who.as_deref().unwrap_or("a guest")
    ))
}

async fn sign_in(
    session: CurrentSession,
    name: axum::extract::Path<String>,
) -> Result<Redirect, Error> {
    session.sign_in(&format!("user:{}", *name))?;
    Ok(Redirect::to("/"))
}

async fn sign_out(session: CurrentSession) -> Result<Redirect, Error> {
    session.destroy()?;
    Ok(Redirect::to("/"))
}

async fn put(session: CurrentSession, item: axum::extract::Path<String>) -> Result<String, Error> {
    let cart = session.update("cart", move |cart: Option<Vec<String>>| {
        let mut cart = cart.unwrap_or_default();
        cart.push(item.clone());
        cart
    })?;
    Ok(cart.join(" "))
}

async fn cart(session: CurrentSession) -> Result<String, Error> {
    Ok(session
        .get::<Vec<String>>("cart")?
        .unwrap_or_default()
        .join(" "))
}

/// The response of an upgrade carries no cookie, so the session has to be there before.
async fn socket(session: CurrentSession, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(move |socket| chat(socket, session.0))
}

/// Counts messages in the session: the handle lives on, and `update_now` saves by itself. The
/// socket is closed when somebody signs out, wherever that is.
async fn chat(mut socket: WebSocket, session: Session) {
    let mut ended = session.ended();
    loop {
        let text = tokio::select! {
            ended = &mut ended => {
                let reason = format!("{:?}", ended.reason).into();
                let close = CloseFrame { code: close_code::POLICY, reason };
                // The client may have left meanwhile.
                drop(socket.send(Message::Close(Some(close))).await);
                return;
            }
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => text,
                _ => return,
            },
        };
        let count = session
            .update_now("messages", |count: Option<u64>| count.unwrap_or(0) + 1)
            .await;
        let answer = match count {
            Ok(count) => format!("{count}: {text}"),
            // It has ended, or was never there: nobody could be told of a new one here.
            Err(error) => format!("no session: {error}"),
        };
        if socket.send(answer.into()).await.is_err() {
            break;
        }
    }
}

/// Three events, each of which is noted in the session before it is sent. The stream ends with the
/// session.
async fn events(session: CurrentSession) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let ended = session.ended();
    let events = unfold((session.0, 1), |(session, at)| async move {
        if at > 3 {
            return None;
        }
        let noted = session.insert("seen", at).is_ok() && session.save().await.is_ok();
        let event = Event::default().data(format!("{at} {noted}"));
        Some((Ok(event), (session, at + 1)))
    });
    Sse::new(events.take_until(ended))
}

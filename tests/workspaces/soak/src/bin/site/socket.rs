//! A WebSocket that stays open until its session ends or the server stops.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use session_http::Session;
use session_http::axum::CurrentSession;
use tokio::sync::watch;

use crate::Server;

pub(super) async fn open(
    State(server): State<Arc<Server>>,
    session: CurrentSession,
    upgrade: WebSocketUpgrade,
) -> Response {
    match session.principal() {
        Some(_) => upgrade.on_upgrade(|socket| serve(socket, session.0, server)),
        None => StatusCode::UNAUTHORIZED.into_response(),
    }
}

async fn serve(mut socket: WebSocket, session: Session, server: Arc<Server>) {
    let mut stopping = server.stopping.subscribe();
    let mut ended = session.ended();
    let close = loop {
        tokio::select! {
            ended = &mut ended => {
                let reason = format!("{:?}", ended.reason).into();
                break CloseFrame { code: close_code::POLICY, reason };
            }
            () = stops(&mut stopping) => {
                break CloseFrame { code: close_code::AWAY, reason: "the server stops".into() };
            }
            message = socket.recv() => {
                let Some(Ok(message)) = message else { return };
                let Message::Text(text) = message else { continue };
                drop(session.touch().await); // if the session has ended, `ended` says so
                if socket.send(Message::Text(text)).await.is_err() {
                    return;
                }
            }
        }
    };
    drop(socket.send(Message::Close(Some(close))).await); // the client may have left
}

async fn stops(stopping: &mut watch::Receiver<bool>) {
    drop(stopping.wait_for(|stopping| *stopping).await);
}

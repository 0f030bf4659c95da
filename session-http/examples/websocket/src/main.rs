//! A WebSocket that is closed when its person signs out, here or on another device. Start it with
//! `cargo run -p websocket`, and open http://localhost:3000.

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{Router, any, get, post};
use session_http::axum::CurrentSession;
use session_http::{Error, MemoryStore, Session, SessionLayer, TypedKey};
use tokio::net::TcpListener;

const MESSAGES: TypedKey<u64> = TypedKey::new("messages");
const PAGE: &str = r#"
<form method=post action=/sign-in><button>Sign in</button></form>
<form method=post action=/sign-out target=_blank><button>Sign out in another tab</button></form>
<button onclick="socket.send('hello')">Send</button> <pre id=log></pre>
<script>
    const socket = new WebSocket("/socket"), say = text => log.append(text, "\n");
    socket.onmessage = event => say(event.data);
    socket.onclose = event => say("closed: " + event.reason);
</script>"#;

async fn sign_in(session: CurrentSession) -> Result<Redirect, Error> {
    session.sign_in("ann")?; // an application checks a password first
    Ok(Redirect::to("/"))
}

async fn sign_out(session: CurrentSession) -> Result<&'static str, Error> {
    session.destroy()?;
    Ok("signed out\n")
}

async fn socket(session: CurrentSession, upgrade: WebSocketUpgrade) -> Response {
    match session.principal() {
        Some(_) => upgrade.on_upgrade(|socket| serve(socket, session.0)),
        None => StatusCode::UNAUTHORIZED.into_response(),
    }
}

async fn serve(mut socket: WebSocket, session: Session) {
    let mut ended = session.ended();
    loop {
        tokio::select! {
            ended = &mut ended => {
                let reason = format!("{:?}", ended.reason).into();
                let close = CloseFrame { code: close_code::POLICY, reason };
                drop(socket.send(Message::Close(Some(close))).await); // the client may have left
                return;
            }
            message = socket.recv() => {
                let Some(Ok(message)) = message else { return };
                let Message::Text(text) = message else { continue };
                // The layer saves nothing after the response, so this saves. It counts as activity.
                let count = session.at(MESSAGES).update_now(|n| n.unwrap_or(0) + 1).await;
                let Ok(count) = count else { return };
                if socket.send(format!("{count}: {text}").into()).await.is_err() { return }
            }
        }
    }
}

fn app(sessions: SessionLayer) -> Router {
    Router::new()
        .route("/", get(|| async { Html(PAGE) }))
        .route("/sign-in", post(sign_in))
        .route("/sign-out", post(sign_out))
        .route("/socket", any(socket))
        .layer(sessions)
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:3000")).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app(SessionLayer::new(MemoryStore::new()))).await
}

#[cfg(test)]
mod tests;

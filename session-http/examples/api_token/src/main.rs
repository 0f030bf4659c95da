//! Sessions for an app without cookies: the token travels in a header.
//!
//! ```text
//! cargo run -p api-token
//! curl -i -X POST http://localhost:3000/sign-in/ann     # the response has X-Session-Token
//! curl -H 'Authorization: Bearer TOKEN' http://localhost:3000/notes
//! ```

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::{Router, get, post};
use session_http::axum::CurrentSession;
use session_http::{ConfigError, Error, HeaderConfig, MemoryStore, SessionLayer, TypedKey};
use tokio::net::TcpListener;

const NOTES: TypedKey<Vec<String>> = TypedKey::new("notes");

async fn sign_in(session: CurrentSession, Path(name): Path<String>) -> Result<(), Error> {
    Ok(session.sign_in(&name)?) // an application checks a password first
}

async fn notes(session: CurrentSession) -> Result<(StatusCode, String), Error> {
    let Some(name) = session.principal() else {
        return Ok((StatusCode::UNAUTHORIZED, "sign in first\n".to_owned()));
    };
    let notes = session.at(NOTES).get()?.unwrap_or_default();
    let text = format!("{name}: {}\n", notes.join(", "));
    Ok((StatusCode::OK, text))
}

async fn note(session: CurrentSession, text: String) -> Result<StatusCode, Error> {
    if session.principal().is_none() {
        return Ok(StatusCode::UNAUTHORIZED);
    }
    // The closure runs again if another request wrote first, so it owns the text.
    session
        .at(NOTES)
        .modify(move |notes| notes.get_or_insert_default().push(text.clone()))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn sign_out(session: CurrentSession) -> Result<StatusCode, Error> {
    session.destroy()?;
    Ok(StatusCode::NO_CONTENT)
}

fn sessions() -> Result<SessionLayer, ConfigError> {
    SessionLayer::builder(MemoryStore::new())
        .header(HeaderConfig::default().bearer(true)) // instead of a cookie
        .build()
}

fn app(sessions: SessionLayer) -> Router {
    Router::new()
        .route("/sign-in/{name}", post(sign_in))
        .route("/notes", get(notes).post(note))
        .route("/sign-out", post(sign_out))
        .layer(sessions)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:3000")).await?;
    println!("listening on http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app(sessions()?)).await?)
}

#[cfg(test)]
mod tests;

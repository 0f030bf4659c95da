//! Where a person is signed in: lists their sessions, and ends one or all others.
//!
//! ```text
//! cargo run -p devices
//! curl -c laptop -A laptop -X POST http://localhost:3000/sign-in/ann
//! curl -c phone -A phone -X POST http://localhost:3000/sign-in/ann
//! curl -b laptop http://localhost:3000/devices
//! curl -b laptop -X DELETE http://localhost:3000/devices
//! ```

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header::USER_AGENT};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use session_http::axum::CurrentSession;
use session_http::{Error, MemoryStore, SessionId, SessionLayer};
use tokio::net::TcpListener;

async fn sign_in(
    session: CurrentSession,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<(), Error> {
    session.sign_in(&name)?; // an application checks a password first
    let device = headers.get(USER_AGENT).and_then(|name| name.to_str().ok());
    let device: String = device.unwrap_or("unknown").chars().take(100).collect(); // it may be long
    Ok(session.set_label(&device)?)
}

async fn list(session: CurrentSession) -> Result<Json<Vec<Value>>, Error> {
    let mut devices = Vec::new();
    if let Some(person) = session.principal() {
        for found in session.manager().sessions_of(&person).await? {
            devices.push(json!({
                "id": found.id().encode(),
                "name": found.label(),
                "last_seen": found.last_seen().to_string(),
                "is_this_one": found.is(&session),
            }));
        }
    }
    Ok(Json(devices))
}

async fn end_one(session: CurrentSession, Path(id): Path<String>) -> Result<StatusCode, Error> {
    let (Some(person), Ok(id)) = (session.principal(), id.parse::<SessionId>()) else {
        return Ok(StatusCode::NOT_FOUND);
    };
    // This ends the session only if it belongs to this person.
    match session.manager().end(&person, id).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Ok(StatusCode::NOT_FOUND),
    }
}

async fn end_others(session: CurrentSession) -> Result<String, Error> {
    let count = session.manager().sign_out_others(&session).await?;
    Ok(format!("signed out {count} others\n"))
}

fn app(sessions: SessionLayer) -> Router {
    Router::new()
        .route("/sign-in/{name}", post(sign_in))
        .route("/devices", get(list).delete(end_others))
        .route("/devices/{id}", delete(end_one))
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

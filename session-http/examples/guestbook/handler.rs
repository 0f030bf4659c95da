//! Routes, and what each does with the session.

use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, LOCATION};
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;
use session_core::Session;
use session_http::SessionExt;
use tracing::warn;

use crate::page::Page;
use crate::{BoxError, form, page};

/// What a browser gets of its own session as JSON.
#[derive(Serialize)]
struct Summary {
    id: Option<String>,
    new: bool,
    visits: u64,
    entries: Vec<String>,
    principal: Option<String>,
}

/// Answers a request. An `Err` would cut the connection, so it is kept for a session that could not be
/// loaded, for which the layer answers.
pub(crate) async fn handle(request: Request<Incoming>) -> Result<Page, session_http::Error> {
    match route(request).await {
        Ok(page) => Ok(page),
        Err(error) => match error.downcast::<session_http::Error>() {
            Ok(unloaded) => Err(*unloaded),
            Err(error) => {
                warn!(%error, "a request failed");
                Ok(page::failed())
            }
        },
    }
}

async fn route(request: Request<Incoming>) -> Result<Page, BoxError> {
    let route = (request.method().clone(), request.uri().path().to_owned());
    match (&route.0, route.1.as_str()) {
        (&Method::GET | &Method::HEAD, "/ping") => Ok(page::text(StatusCode::OK, "pong")),
        (&Method::GET | &Method::HEAD, "/") => guestbook(&request.session().await?),
        (&Method::GET | &Method::HEAD, "/session.json") => summary(&request.session().await?),
        (&Method::POST, "/entries") => {
            change(request, "entry", |session, entry| {
                session.update("entries", move |entries: Option<Vec<String>>| {
                    let mut entries = entries.unwrap_or_default();
                    entries.push(entry.clone());
                    entries
                })?;
                Ok(())
            })
            .await
        }
        (&Method::POST, "/sign-in") => {
            change(request, "name", |session, name| {
                session.sign_in(&format!("user:{name}"))
            })
            .await
        }
        (&Method::POST, "/clear") => {
            request.session().await?.clear();
            Ok(see_home())
        }
        (&Method::POST, "/sign-out") => {
            request.session().await?.destroy()?;
            Ok(see_home())
        }
        (_, "/" | "/ping" | "/session.json" | "/entries" | "/clear" | "/sign-in" | "/sign-out") => {
            Ok(page::text(StatusCode::METHOD_NOT_ALLOWED, "Not by this method."))
        }
        _ => Ok(page::text(StatusCode::NOT_FOUND, "There is no such page.")),
    }
}

fn guestbook(session: &Session) -> Result<Page, BoxError> {
    let visits = match session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1) {
        // A cookie can be so full that not one more digit fits: the page with its button to clear it comes all the same.
        Err(session_core::Error::Limit(_)) => session.get("visits")?.unwrap_or(0),
        visits => visits?,
    };
    let entries: Vec<String> = session.get("entries")?.unwrap_or_default();
    Ok(page::guestbook(visits, &entries, session.principal().as_deref()))
}

fn summary(session: &Session) -> Result<Page, BoxError> {
    let summary = Summary {
        id: session.id().map(|id| id.encode()),
        new: session.is_new(),
        visits: session.get("visits")?.unwrap_or(0),
        entries: session.get("entries")?.unwrap_or_default(),
        principal: session.principal(),
    };
    let mut response = Response::new(Full::from(serde_json::to_vec(&summary)?));
    let json = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    Ok(response)
}

/// Reads one field of a form and changes the session by it.
async fn change(
    request: Request<Incoming>,
    field: &str,
    change: impl FnOnce(&Session, String) -> Result<(), session_core::Error>,
) -> Result<Page, BoxError> {
    let session = request.session(); // borrows nothing: the body can be read first
    let text = match form::field(request, field).await {
        Ok(text) => text,
        Err(form::Refusal { status, reason }) => return Ok(page::text(status, reason)),
    };
    match change(&session.await?, text) {
        Ok(()) => Ok(see_home()),
        Err(error @ session_core::Error::Limit(_)) => {
            Ok(page::text(StatusCode::PAYLOAD_TOO_LARGE, &error.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}

fn see_home() -> Page {
    let mut response = page::text(StatusCode::SEE_OTHER, "");
    let home = hyper::header::HeaderValue::from_static("/");
    response.headers_mut().insert(LOCATION, home);
    response
}

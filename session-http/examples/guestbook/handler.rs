//! Routes, and what each does with the session.

use hyper::body::Incoming;
use hyper::header::{ALLOW, HeaderValue};
use hyper::{Method, Request, StatusCode};
use serde::Serialize;
use session_core::Session;
use session_http::SessionExt;
use tracing::warn;

use crate::form::Form;
use crate::page::{self, Page};
use crate::refusal::Refusal;
use crate::{device, sessions};

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
        Err(Refusal::Page(page)) => Ok(*page),
        Err(Refusal::Unloaded(error)) => Err(error),
        Err(Refusal::Fault(error)) => {
            warn!(%error, "a request failed");
            Ok(page::failed())
        }
    }
}

async fn route(request: Request<Incoming>) -> Result<Page, Refusal> {
    let path = request.uri().path().to_owned();
    let get = [Method::GET, Method::HEAD].contains(request.method());
    let post = request.method() == Method::POST;
    match path.as_str() {
        "/ping" if get => Ok(page::text(StatusCode::OK, "pong")),
        "/" if get => guestbook(&request.session().await?),
        "/session.json" if get => summary(&request.session().await?),
        "/csrf" if get => {
            let token = request.session().await?.csrf_token()?;
            Ok(page::text(StatusCode::OK, &token))
        }
        "/sessions" if get => {
            let json = sessions::wants_json(request.headers());
            sessions::list(&request.session().await?, json).await
        }
        "/sessions/revoke-others" if post => sessions::revoke_others(request).await,
        "/entries" if post => add_entry(request).await,
        "/sign-in" if post => sign_in(request).await,
        "/clear" if post => {
            let (session, _) = Form::read(request).await?;
            session.clear();
            Ok(page::see("/"))
        }
        "/sign-out" if post => {
            let (session, _) = Form::read(request).await?;
            session.sign_out()?;
            Ok(page::see("/"))
        }
        "/" | "/ping" | "/session.json" | "/csrf" | "/sessions" => only("GET, HEAD"),
        "/sessions/revoke-others" | "/entries" | "/clear" | "/sign-in" | "/sign-out" => only("POST"),
        path => match id_to_revoke(path) {
            Some(id) if post => sessions::revoke(request, id).await,
            Some(_) => only("POST"),
            None => Ok(page::apology(
                StatusCode::NOT_FOUND,
                "There is no such page",
                "The address may be misspelt, or the page has moved.",
            )),
        },
    }
}

/// The middle of `/sessions/ID/revoke`.
fn id_to_revoke(path: &str) -> Option<&str> {
    path.strip_prefix("/sessions/")?.strip_suffix("/revoke")
}

/// Says by which methods a page is asked for.
fn only(methods: &'static str) -> Result<Page, Refusal> {
    let mut page = page::apology(
        StatusCode::METHOD_NOT_ALLOWED,
        "Not this way",
        "This address takes forms, or only shows something. The guestbook has the buttons for it.",
    );
    page.headers_mut()
        .insert(ALLOW, HeaderValue::from_static(methods));
    Ok(page)
}

fn guestbook(session: &Session) -> Result<Page, Refusal> {
    let visits = match session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1) {
        // A cookie can be so full that not one more digit fits: the page with its button to clear it comes all the same.
        Err(session_core::Error::Limit(_)) => session.get("visits")?.unwrap_or(0),
        visits => visits?,
    };
    let entries: Vec<String> = session.get("entries")?.unwrap_or_default();
    let principal = session.principal();
    let csrf = session.csrf_token()?;
    Ok(page::guestbook(visits, &entries, principal.as_deref(), &csrf))
}

fn summary(session: &Session) -> Result<Page, Refusal> {
    let summary = Summary {
        id: session.id().map(|id| id.encode()),
        new: session.is_new(),
        visits: session.get("visits")?.unwrap_or(0),
        entries: session.get("entries")?.unwrap_or_default(),
        principal: session.principal(),
    };
    Ok(page::json(serde_json::to_vec(&summary)?))
}

async fn add_entry(request: Request<Incoming>) -> Result<Page, Refusal> {
    let (session, form) = Form::read(request).await?;
    let entry = form.text("entry")?;
    session.update("entries", move |entries: Option<Vec<String>>| {
        let mut entries = entries.unwrap_or_default();
        entries.push(entry.clone());
        entries
    })?;
    Ok(page::see("/"))
}

async fn sign_in(request: Request<Incoming>) -> Result<Page, Refusal> {
    let device = device::name(request.headers());
    let (session, form) = Form::read(request).await?;
    session.sign_in(&format!("user:{}", form.text("name")?))?;
    session.set_label(&device)?;
    Ok(page::see("/"))
}

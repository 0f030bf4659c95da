//! Routes, and what each does with the session.

use hyper::body::Incoming;
use hyper::header::{ALLOW, HeaderValue};
use hyper::{Method, Request, StatusCode};
use serde::Serialize;
use session_core::Session;
use session_http::SessionExt;
use tracing::warn;

use crate::admin::AdminRoutes;
use crate::form::{Form, LONGEST_FIELD};
use crate::page::{self, Page};
use crate::refusal::Refusal;
use crate::values::{ENTRIES, VISITS};
use crate::viewed::Viewed;
use crate::{device, sessions};

/// How many entries a session keeps, and how many bytes of text they may have together. The oldest
/// entries are dropped first. Each request reads the whole session, and others wait while a large
/// one is sent, so keep sessions small. Data that grows belongs in a database; the session keeps
/// only its id.
const MOST_ENTRIES: usize = 100;
const MOST_TEXT: usize = 32 * 1024;
/// How many bytes a name may have.
const LONGEST_NAME: usize = 240;

/// What `/session.json` shows of the browser's own session.
#[derive(Serialize)]
struct Summary {
    id: Option<String>,
    new: bool,
    visits: u64,
    entries: Vec<String>,
    principal: Option<String>,
}

/// Answers a request. hyper cuts the connection on an `Err`, except if the session could not be
/// loaded: then the layer answers. So this returns an `Err` only in that case.
pub(crate) async fn handle(
    request: Request<Incoming>,
    admin: Option<&AdminRoutes>,
) -> Result<Page, session_http::Error> {
    let answer = match admin {
        Some(admin) if AdminRoutes::has(request.uri().path()) => admin.answer(request).await,
        _ => route(request).await,
    };
    match answer {
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
    let viewed = Viewed::by(request.method(), request.headers());
    match path.as_str() {
        "/ping" if get => Ok(page::text(StatusCode::OK, "pong")),
        "/" if get => guestbook(&request.session().await?, viewed),
        "/session.json" if get => summary(&request.session().await?),
        "/csrf" if get => {
            let session = request.session().await?;
            let token = match request.method() == Method::GET {
                true => session.csrf_token()?,
                false => String::new(), // nobody sees a token, and it would begin a session
            };
            Ok(page::text(StatusCode::OK, &token))
        }
        "/sessions" if get => {
            let json = sessions::wants_json(request.headers());
            sessions::list(&request.session().await?, json, viewed).await
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
            session.destroy()?;
            Ok(page::see("/"))
        }
        "/" | "/ping" | "/session.json" | "/csrf" | "/sessions" => only("GET, HEAD"),
        "/sessions/revoke-others" | "/entries" | "/clear" | "/sign-in" | "/sign-out" => {
            only("POST")
        }
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

/// Answers a request whose method this address does not accept.
pub(crate) fn only(methods: &'static str) -> Result<Page, Refusal> {
    let mut page = page::apology(
        StatusCode::METHOD_NOT_ALLOWED,
        "Not this way",
        "This address only takes forms, or only shows a page. Use the buttons of the guestbook.",
    );
    page.headers_mut()
        .insert(ALLOW, HeaderValue::from_static(methods));
    Ok(page)
}

fn guestbook(session: &Session, viewed: Viewed) -> Result<Page, Refusal> {
    let visits = match viewed {
        Viewed::Now => count_visit(session)?,
        Viewed::Perhaps | Viewed::Never => session.at(VISITS).get()?.unwrap_or(0),
    };
    let principal = session.principal();
    // A CSRF token begins a session if there is none.
    let csrf = match viewed == Viewed::Never && session.is_new() {
        true => String::new(),
        false => session.csrf_token()?,
    };
    Ok(page::guestbook(
        visits,
        &entries(session)?,
        principal.as_deref(),
        &csrf,
    ))
}

fn count_visit(session: &Session) -> Result<u64, session_core::SessionError> {
    let more = |visits: Option<u64>| visits.unwrap_or(0).saturating_add(1);
    match session.at(VISITS).update(more) {
        // A cookie can be so full that not one more digit fits. The page is shown all the same,
        // since it has the button that clears the session.
        Err(session_core::SessionError::Limit(_)) => Ok(session.at(VISITS).get()?.unwrap_or(0)),
        visits => visits,
    }
}

fn entries(session: &Session) -> Result<Vec<String>, session_core::SessionError> {
    let entries = session.at(ENTRIES).get()?.unwrap_or_default();
    Ok(newest(entries))
}

/// Drops the oldest entries if there are too many, or if they have too much text.
fn newest(mut entries: Vec<String>) -> Vec<String> {
    let mut text = 0;
    let kept = entries.iter().rev().take(MOST_ENTRIES).take_while(|entry| {
        text += entry.len();
        text <= MOST_TEXT
    });
    let dropped = entries.len() - kept.count();
    entries.drain(..dropped);
    entries
}

fn summary(session: &Session) -> Result<Page, Refusal> {
    let summary = Summary {
        id: session.id().map(|id| id.encode()),
        new: session.is_new(),
        visits: session.at(VISITS).get()?.unwrap_or(0),
        entries: entries(session)?,
        principal: session.principal(),
    };
    Ok(page::json(serde_json::to_vec(&summary)?))
}

async fn add_entry(request: Request<Incoming>) -> Result<Page, Refusal> {
    let (session, form) = Form::read(request).await?;
    let entry = form.text("entry", LONGEST_FIELD)?;
    session.at(ENTRIES).update(move |entries| {
        let mut entries = entries.unwrap_or_default();
        entries.push(entry.clone());
        newest(entries)
    })?;
    Ok(page::see("/"))
}

async fn sign_in(request: Request<Incoming>) -> Result<Page, Refusal> {
    let device = device::name(request.headers());
    let (session, form) = Form::read(request).await?;
    session.sign_in(&format!("user:{}", form.text("name", LONGEST_NAME)?))?;
    session.set_label(&device)?;
    Ok(page::see("/"))
}

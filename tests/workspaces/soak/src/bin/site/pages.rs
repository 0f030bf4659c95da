//! The pages, and what each does with the session.

use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{Query, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use session_http::axum::CurrentSession;
use session_http::{Error, Session, SessionExt};
use session_soak::{ON_PURPOSE, Page};
use tokio::time::sleep;

use crate::dropped::Watched;

const CART: &str = "cart";
const LARGEST_BODY: usize = 1 << 20;
const WORK: Duration = Duration::from_millis(20);

#[derive(Debug, Deserialize)]
pub(super) struct Person {
    who: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Item {
    item: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Put {
    key: String,
    number: u64,
    /// Whether the page works for a moment before it answers.
    #[serde(default)]
    waits: bool,
}

/// When an upload asks for its session.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Ask {
    /// Before it reads the body.
    First,
    /// After it has read the body, when the token that came with the head is old.
    Last,
}

#[derive(Debug, Deserialize)]
pub(super) struct Upload {
    key: String,
    number: u64,
    ask: Ask,
}

/// What every page says about its session.
fn said(session: &Session) -> Page {
    Page {
        session: session.id().map(|id| id.encode()),
        who: session.principal(),
        ..Page::default()
    }
}

/// Reads all that is in the session.
pub(super) async fn page(session: CurrentSession) -> Result<Json<Page>, Error> {
    let mut page = said(&session);
    page.cart = session.get(CART)?.unwrap_or_default();
    for key in session.keys().into_iter().filter(|key| key != CART) {
        let number = session.get(&key)?.unwrap_or_default();
        page.numbers.insert(key, number);
    }
    Ok(Json(page))
}

pub(super) async fn sign_in(
    session: CurrentSession,
    person: Query<Person>,
) -> Result<Json<Page>, Error> {
    session.sign_in(&person.who)?;
    Ok(Json(said(&session)))
}

pub(super) async fn sign_out(session: CurrentSession) -> Result<Json<Page>, Error> {
    session.destroy()?;
    Ok(Json(said(&session)))
}

/// Adds an item to the cart, also while another page adds one.
pub(super) async fn add(session: CurrentSession, item: Query<Item>) -> Result<Json<Page>, Error> {
    let item = item.item;
    session.update(CART, move |cart: Option<Vec<u64>>| {
        let mut cart = cart.unwrap_or_default();
        cart.push(item);
        cart
    })?;
    Ok(Json(said(&session)))
}

/// Stores a number under its key.
pub(super) async fn put(
    Extension(watched): Extension<Watched>,
    session: CurrentSession,
    put: Query<Put>,
) -> Result<Json<Page>, Error> {
    session.insert(&put.key, put.number)?;
    watched.changed();
    if put.waits {
        sleep(WORK).await;
    }
    Ok(Json(said(&session)))
}

/// Does the same, and then fails with each even number. What it changed must not be stored.
pub(super) async fn faulty(session: CurrentSession, put: Query<Put>) -> Result<Response, Error> {
    session.insert(&put.key, put.number)?;
    if put.number.is_multiple_of(2) {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        return Ok((status, [(ON_PURPOSE, "1")], Json(said(&session))).into_response());
    }
    Ok(Json(said(&session)).into_response())
}

/// Stores a number when the whole body has arrived.
pub(super) async fn upload(
    Query(upload): Query<Upload>,
    request: Request,
) -> Result<Response, Error> {
    let (head, body) = request.into_parts();
    let session = match upload.ask {
        Ask::First => Some(head.session().await?),
        Ask::Last => None,
    };
    if to_bytes(body, LARGEST_BODY).await.is_err() {
        return Ok(StatusCode::BAD_REQUEST.into_response());
    }
    let session = match session {
        Some(session) => session,
        None => head.session().await?,
    };
    session.insert(&upload.key, upload.number)?;
    Ok(Json(said(&session)).into_response())
}

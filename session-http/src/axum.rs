//! Sessions for axum (feature `axum`).
//!
//! Pass [`SessionLayer`](crate::SessionLayer) to `Router::layer`, and take [`CurrentSession`] as an
//! argument of a handler.

use std::ops::Deref;

use axum_core::body::Body;
use axum_core::extract::FromRequestParts;
use axum_core::response::{IntoResponse, Response};
use http::request::Parts;
use session_core::Session;

use crate::error::{DefaultResponse, Error, HandedOn, OnError};
use crate::request::SessionExt;

/// The request's session as an argument of an axum handler.
///
/// ```
/// use axum::{Router, body::Body, routing::get};
/// use session_http::{MemoryStore, SessionLayer, axum::CurrentSession};
/// use tower::ServiceExt;
///
/// async fn visits(session: CurrentSession) -> Result<String, session_http::Error> {
///     let visits = session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1)?;
///     Ok(format!("visit {visits}"))
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let app = Router::new().route("/", get(visits)).layer(SessionLayer::new(MemoryStore::new()));
/// let response = app.oneshot(http::Request::new(Body::empty())).await.unwrap();
/// assert!(response.headers().contains_key("set-cookie"));
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct CurrentSession(pub Session);

impl<S: Send + Sync> FromRequestParts<S> for CurrentSession {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Error> {
        parts.session().await.map(Self)
    }
}

impl Deref for CurrentSession {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.0
    }
}

/// A handler can return the error itself. [`SessionLayer::on_error`][shape] makes the response.
///
/// [shape]: crate::SessionLayer::on_error
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response: http::Response<Body> = DefaultResponse.respond(&self);
        response.extensions_mut().insert(HandedOn(Some(self)));
        response
    }
}

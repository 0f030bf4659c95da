//! Forms: bodies that are not trusted, and that must come from our own pages.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Request, StatusCode};
use session_core::Session;
use session_http::SessionExt;
use tokio::time::sleep;

use crate::page;
use crate::refusal::Refusal;
use crate::server::Patience;

const LARGEST_BODY: usize = 64 * 1024;
/// How many bytes a field may have.
pub(crate) const LONGEST_FIELD: usize = 2_000;
/// How long a body may take, from the request's head to its last byte.
const SLOWEST_BODY: Duration = Duration::from_secs(30);
/// The same, while another connection waits for a place.
const SLOWEST_BODY_WHEN_FULL: Duration = Duration::from_secs(5);

/// The fields of a form.
pub(crate) struct Form(Bytes);

impl Form {
    /// Reads the form of a request, and loads its session. A form is refused unless it holds a CSRF
    /// token of that session, so that no other site can make a browser send one.
    pub(crate) async fn read(request: Request<Incoming>) -> Result<(Session, Self), Refusal> {
        // Read the body first: it may take long, and a session that was loaded before it would be
        // old by then. The layer judges the request by the time at which its head arrived, so a
        // token that was valid at that time is still accepted. A body that is refused costs no
        // store command.
        let (head, form) = Self::receive(request).await?;
        let session = head.session().await?;
        match form.only("csrf") {
            Some(token) if session.verify_csrf(&token) => Ok((session, form)),
            _ => Err(page::apology(
                StatusCode::FORBIDDEN,
                "This page is out of date",
                "You signed in or out since it was opened, or it is not from this site. Reload it \
                 and try again.",
            )
            .into()),
        }
    }

    /// Reads the form of a request, which may come from anywhere.
    pub(crate) async fn receive(request: Request<Incoming>) -> Result<(Parts, Self), Refusal> {
        let urlencoded = is_urlencoded(request.headers());
        let (head, body) = request.into_parts();
        let whole = Limited::new(body, LARGEST_BODY).collect();
        let body = tokio::select! {
            body = whole => match body {
                Ok(body) => body.to_bytes(),
                Err(error) if error.is::<LengthLimitError>() => {
                    return refuse(StatusCode::PAYLOAD_TOO_LARGE, "The form is larger than 64 KiB.");
                }
                Err(_) => return refuse(StatusCode::BAD_REQUEST, "The form arrived incomplete."),
            },
            // With a 408 the layer saves nothing.
            () = too_slow(&head) => {
                return refuse(
                    StatusCode::REQUEST_TIMEOUT,
                    "The form took too long to arrive. Send it again.",
                );
            }
        };
        if !urlencoded {
            return refuse(StatusCode::BAD_REQUEST, "This is not a form.");
        }
        Ok((head, Self(body)))
    }

    /// The text of the only field of this name, `longest` bytes at most.
    pub(crate) fn text(&self, name: &str, longest: usize) -> Result<String, Refusal> {
        let Some(value) = self.only(name) else {
            return refuse(
                StatusCode::BAD_REQUEST,
                "The form lacks a field, or has it twice.",
            );
        };
        let text = value.trim();
        if text.is_empty() || text.len() > longest {
            return refuse(
                StatusCode::BAD_REQUEST,
                &format!("The text is empty or longer than {longest} bytes."),
            );
        }
        Ok(text.to_owned())
    }

    fn only(&self, name: &str) -> Option<String> {
        let fields = form_urlencoded::parse(&self.0);
        let mut values = fields
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value);
        match (values.next(), values.next()) {
            (Some(value), None) => Some(value.into_owned()),
            _ => None,
        }
    }
}

/// Resolves when the body of a request has taken too long.
async fn too_slow(head: &Parts) {
    match head.extensions.get::<Patience>() {
        Some(patience) => patience.ends(SLOWEST_BODY_WHEN_FULL, SLOWEST_BODY).await,
        None => sleep(SLOWEST_BODY).await,
    }
}

fn refuse<T>(status: StatusCode, reason: &str) -> Result<T, Refusal> {
    Err(Refusal::text(status, reason))
}

fn is_urlencoded(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| {
        let kind = kind.as_bytes().split(|byte| *byte == b';').next();
        kind.unwrap_or_default()
            .trim_ascii()
            .eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
    })
}

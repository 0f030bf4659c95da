//! Forms: bodies that are not trusted, from pages that are ours.

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::{Request, StatusCode};
use session_core::Session;
use session_http::SessionExt;

use crate::page;
use crate::refusal::Refusal;

const LARGEST_BODY: usize = 64 * 1024;
const LONGEST_FIELD: usize = 2_000;

/// The fields of a form.
pub(crate) struct Form(Bytes);

impl Form {
    /// The form of a request and its session. It is refused unless it holds a CSRF token of that session, so that no other
    /// site can make a browser send one.
    pub(crate) async fn read(request: Request<Incoming>) -> Result<(Session, Self), Refusal> {
        let session = request.session(); // borrows nothing: the body can be read first
        let urlencoded = is_urlencoded(&request);
        let body = match Limited::new(request.into_body(), LARGEST_BODY).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                return refuse(StatusCode::PAYLOAD_TOO_LARGE, "The form is larger than 64 KiB.");
            }
            Err(_) => return refuse(StatusCode::BAD_REQUEST, "The form did not arrive whole."),
        };
        if !urlencoded {
            return refuse(StatusCode::BAD_REQUEST, "This is not a form.");
        }
        let (form, session) = (Self(body), session.await?);
        match form.only("csrf") {
            Some(token) if session.verify_csrf(&token) => Ok((session, form)),
            _ => Err(page::apology(
                StatusCode::FORBIDDEN,
                "This page is out of date",
                "You signed in or out since it was opened, or it never came from here. Reload it and try again.",
            )
            .into()),
        }
    }

    /// The text of the only field of this name.
    pub(crate) fn text(&self, name: &str) -> Result<String, Refusal> {
        let Some(value) = self.only(name) else {
            return refuse(
                StatusCode::BAD_REQUEST,
                "The form lacks its field, or has it twice.",
            );
        };
        let text = value.trim();
        if text.is_empty() || text.len() > LONGEST_FIELD {
            return refuse(
                StatusCode::BAD_REQUEST,
                "The text is empty or longer than 2,000 bytes.",
            );
        }
        Ok(text.to_owned())
    }

    fn only(&self, name: &str) -> Option<String> {
        let fields = form_urlencoded::parse(&self.0);
        let mut values = fields.filter(|(key, _)| key == name).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (Some(value), None) => Some(value.into_owned()),
            _ => None,
        }
    }
}

fn refuse<T>(status: StatusCode, reason: &str) -> Result<T, Refusal> {
    Err(Refusal::text(status, reason))
}

fn is_urlencoded(request: &Request<Incoming>) -> bool {
    request.headers().get(CONTENT_TYPE).is_some_and(|kind| {
        let kind = kind.as_bytes().split(|byte| *byte == b';').next();
        kind.unwrap_or_default()
            .trim_ascii()
            .eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
    })
}

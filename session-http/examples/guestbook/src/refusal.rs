//! Why a request gets another page than the one it asked for.

use hyper::StatusCode;

use crate::page::{self, Page};

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

pub(crate) enum Refusal {
    Page(Box<Page>),
    /// The session could not be loaded, so the layer answers.
    Unloaded(session_http::Error),
    /// Our own fault.
    Fault(BoxError),
}

impl Refusal {
    pub(crate) fn text(status: StatusCode, text: &str) -> Self {
        page::text(status, text).into()
    }
}

impl From<Page> for Refusal {
    fn from(page: Page) -> Self {
        Self::Page(Box::new(page))
    }
}

impl From<session_http::Error> for Refusal {
    fn from(error: session_http::Error) -> Self {
        Self::Unloaded(error)
    }
}

impl From<session_core::SessionError> for Refusal {
    fn from(error: session_core::SessionError) -> Self {
        match error {
            session_core::SessionError::Limit(limit) => {
                Self::text(StatusCode::PAYLOAD_TOO_LARGE, &limit.to_string())
            }
            error => {
                let error = session_http::Error::from(error);
                match error.status() {
                    StatusCode::INTERNAL_SERVER_ERROR => Self::Fault(error.into()),
                    _ => page::of_error(&error).into(),
                }
            }
        }
    }
}

impl From<serde_json::Error> for Refusal {
    fn from(error: serde_json::Error) -> Self {
        Self::Fault(error.into())
    }
}

//! What can go wrong between a request and its session, and the response that says so.

use http::{HeaderValue, Response, StatusCode, header};
use session_core::store::StoreError;

/// Why a request has no session, or why its session failed.
///
/// ```
/// use session_http::{Error, SessionExt};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let request = http::Request::new(()); // went through no layer
/// assert!(matches!(request.session().await, Err(Error::MissingLayer)));
/// # });
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The request went through no `SessionLayer`.
    #[error(
        "this request went through no session layer; wrap the service with `SessionLayer::layer`"
    )]
    MissingLayer,
    /// The request went through no `SessionLayer` of this name. Cookie names are case-sensitive.
    #[error(
        "this request went through no session layer named {0:?}; ask for the name of its cookie, \
         in the same case, or of its header"
    )]
    NoSuchName(String),
    /// Two layers of the same name have different stores or settings.
    #[error(
        "two session layers named {0:?} differ; share one layer by cloning it, or give them \
         different names"
    )]
    TwoManagers(String),
    /// Two layers around one service bind sessions to devices. Each browser would have to refresh
    /// the proof of the one before it may ask for that of the other.
    #[error(
        "two session layers around one service bind sessions to devices; let one of them do so"
    )]
    TwoBindings,
    /// The session could not be loaded, changed or saved.
    #[error(transparent)]
    Session(#[from] session_core::SessionError),
}

impl Error {
    /// Returns the HTTP status for this error.
    ///
    /// - 503: the same request may succeed later.
    /// - 409: the principal has too many sessions to sign in once more, a change was refused
    ///   because another request came first, or the session was not bound to a device.
    /// - 501: the store does not support the operation.
    /// - 500: anything else.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Session(error) if error.is_temporary() => StatusCode::SERVICE_UNAVAILABLE,
            Self::Session(
                session_core::SessionError::TooManySessions { .. }
                | session_core::SessionError::NotBound(_)
                | session_core::SessionError::Refused(_),
            ) => StatusCode::CONFLICT,
            Self::Session(session_core::SessionError::Store(StoreError::Unsupported(_))) => {
                StatusCode::NOT_IMPLEMENTED
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// Makes the response to a request whose session failed.
///
/// [`DefaultResponse`] implements it for bodies that have a default. A function or closure
/// `Fn(&Error) -> Response<B>`, given to
/// [`SessionLayer::on_error`](crate::SessionLayer::on_error), implements it for every body.
#[diagnostic::on_unimplemented(
    message = "the session layer cannot make a response with the body `{B}`",
    note = "give it one with `SessionLayer::on_error`, or use a body that is `Default`"
)]
pub trait OnError<B> {
    /// Makes the response for `error`.
    fn respond(&self, error: &Error) -> Response<B>;
}

impl<B, F> OnError<B> for F
where
    F: Fn(&Error) -> Response<B>,
{
    fn respond(&self, error: &Error) -> Response<B> {
        self(error)
    }
}

/// Makes the error response if the application sets no other.
///
/// It has the status [`Error::status`] and the body's default, which is empty for all usual bodies.
/// Caches must not store it.
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultResponse;

impl<B: Default> OnError<B> for DefaultResponse {
    fn respond(&self, error: &Error) -> Response<B> {
        let mut response = Response::new(B::default());
        *response.status_mut() = error.status();
        let no_store = HeaderValue::from_static("no-store");
        response
            .headers_mut()
            .insert(header::CACHE_CONTROL, no_store);
        response
    }
}

/// Marks a response that is nothing but an [`Error`] handed on, where a framework passes on no
/// error of a service (axum). It has the error until a layer has shaped the response.
#[derive(Clone)]
pub(crate) struct HandedOn(pub(crate) Option<Error>);

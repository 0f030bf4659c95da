//! Responses of handlers that hand on an error, and what takes their place.

use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH,
    CONTENT_LOCATION, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED, SET_COOKIE, TRAILER,
    TRANSFER_ENCODING, VARY,
};
use http::{HeaderName, Response};

use crate::error::{Error, HandedOn, OnError};
use crate::request::Announced;

/// The headers of a body, and that of the default response. They go with the response that has
/// them.
const OF_BODY: [HeaderName; 12] = [
    ACCEPT_RANGES,
    CACHE_CONTROL,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LENGTH,
    CONTENT_LOCATION,
    CONTENT_RANGE,
    CONTENT_TYPE,
    ETAG,
    LAST_MODIFIED,
    TRAILER,
    TRANSFER_ENCODING,
];

/// The response of `on_error`, where a handler handed on an error that no layer has shaped yet.
/// Any other response stays, and so does an `Err`.
pub(super) fn shape<B, E>(
    result: Result<Response<B>, E>,
    on_error: &impl OnError<B>,
) -> Result<Response<B>, E> {
    result.map(|response| {
        let shaped = match response.extensions().get() {
            Some(HandedOn(Some(error))) if is_bare(&response, error) => on_error.respond(error),
            _ => return response,
        };
        exchange(response, shaped)
    })
}

/// Whether this response is nothing but an error, also if a layer further in has shaped it.
pub(super) fn is_handed_on<B>(response: &Response<B>) -> bool {
    match response.extensions().get() {
        Some(HandedOn(Some(error))) => is_bare(response, error),
        Some(HandedOn(None)) => true,
        None => false,
    }
}

/// A handler that gives the error another status, or a body of some type, has made a response of
/// its own.
fn is_bare<B>(response: &Response<B>, error: &Error) -> bool {
    response.status() == error.status() && !response.headers().contains_key(CONTENT_TYPE)
}

/// Puts a response in the place of one that hands on an error. What services further in have added
/// to it stays, such as the headers of CORS or the cookie of another session.
pub(super) fn exchange<B>(bare: Response<B>, mut shaped: Response<B>) -> Response<B> {
    let (mut bare, _) = bare.into_parts();
    let own: Vec<HeaderName> = shaped.headers().keys().cloned().collect();
    for (name, value) in &bare.headers {
        let adds_up = [SET_COOKIE, VARY].contains(name);
        if adds_up || !(own.contains(name) || OF_BODY.contains(name)) {
            shaped.headers_mut().append(name, value.clone());
        }
    }
    if let Some(announced) = bare.extensions.remove::<Announced>() {
        shaped.extensions_mut().insert(announced);
    }
    shaped.extensions_mut().insert(HandedOn(None));
    shaped
}

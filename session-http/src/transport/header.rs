//! The header for clients without cookies: its settings, and how a token travels in it.

use std::borrow::Cow;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use session_core::{ClientToken, ConfigError, Lifetime};

use crate::transport::grammar::MAX_COOKIE;
use crate::transport::transport::{
    TokenHeaders, Tokens, Transport, add_vary, as_text, most_likely, sensitive,
};

/// Headers with a meaning that a token would break. Some of them are there in every request, or
/// may be sent by a page of any other site without a preflight request, so that they could not say
/// that a request comes from an app.
const TAKEN: [&str; 30] = [
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-language",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "expect",
    "host",
    "if-modified-since",
    "if-none-match",
    "keep-alive",
    "location",
    "origin",
    "range",
    "referer",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
];

/// Scripts cannot set the headers whose names begin like this.
const RESERVED: [&str; 2] = ["proxy-", "sec-"];

/// The header that carries a token, for clients without cookies.
///
/// A client sends its token in this header. A response gives a new token in the same header; an
/// empty header tells the client to forget its token. The default is `X-Session-Token`.
///
/// # Scripts of other origins
///
/// A script on a page of another origin needs two CORS headers in addition to
/// `Access-Control-Allow-Origin`. The application sets all three; the layer does not:
///
/// - `Access-Control-Expose-Headers: X-Session-Token` on every response. Without it the script
///   cannot read its token, and gets no new one.
/// - `Access-Control-Allow-Headers: X-Session-Token` (with `Authorization` for
///   [`bearer`](Self::bearer)) on the response to a preflight request. Without it the browser does
///   not send the token.
///
/// ```
/// use session_http::{HeaderConfig, MemoryStore, SessionLayer};
///
/// let layer = SessionLayer::builder(MemoryStore::new())
///     .header(HeaderConfig::default().bearer(true)) // `Authorization: Bearer ..` will do too
///     .build()
///     .unwrap();
/// assert_eq!(layer.name(), "x-session-token");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderConfig {
    name: HeaderName,
    bearer: bool,
}

impl Default for HeaderConfig {
    fn default() -> Self {
        Self::new(HeaderName::from_static("x-session-token"))
    }
}

impl HeaderConfig {
    /// A header with this name.
    ///
    /// `build` refuses a header that has another meaning in HTTP, that browsers send by themselves,
    /// or that a page of any site may send (such as `Accept-Language`).
    pub const fn new(name: HeaderName) -> Self {
        Self {
            name,
            bearer: false,
        }
    }

    /// Sets whether a token is also accepted from `Authorization: Bearer`. Default: `false`.
    #[must_use]
    pub const fn bearer(mut self, bearer: bool) -> Self {
        self.bearer = bearer;
        self
    }

    fn write(&self, text: &str, response: &mut HeaderMap) {
        if let Some(value) = sensitive(text) {
            response.insert(self.name.clone(), value);
        }
    }
}

impl Transport for HeaderConfig {
    fn name(&self) -> &str {
        self.name.as_str()
    }

    fn is_named(&self, name: &str) -> bool {
        self.name.as_str().eq_ignore_ascii_case(name)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let name = self.name.as_str();
        let is_reserved = RESERVED.iter().any(|start| name.starts_with(start));
        if is_reserved || TAKEN.contains(&name) {
            return Err(ConfigError::new(format!(
                "the header {name:?} has another meaning in HTTP; choose a name of its own"
            )));
        }
        Ok(())
    }

    /// Such a client decides by itself how long it keeps a token.
    fn check_lifetime(&self, _: Lifetime) -> Result<(), ConfigError> {
        Ok(())
    }

    /// As much as one cookie may have.
    fn max_token(&self) -> usize {
        MAX_COOKIE
    }

    fn token_headers(&self, request: &HeaderMap) -> TokenHeaders {
        let mut found: TokenHeaders = request.get_all(&self.name).into_iter().cloned().collect();
        if self.bearer {
            let authorization = request.get_all(AUTHORIZATION).into_iter();
            let is_bearer = |value: &&HeaderValue| strip_bearer(value.as_bytes()).is_some();
            found.extend(authorization.filter(is_bearer).cloned());
        }
        found
    }

    fn tokens<'a>(&self, headers: &'a [HeaderValue]) -> Tokens<'a> {
        let texts = headers.iter().map(|value| {
            let text = value.as_bytes();
            strip_bearer(text).unwrap_or(text)
        });
        let texts = most_likely(texts).into_iter();
        texts.map(|text| Cow::Borrowed(as_text(text))).collect()
    }

    fn send(&self, token: &ClientToken, _: &[HeaderValue], response: &mut HeaderMap) {
        self.write(token.as_str(), response);
    }

    /// An empty header says so.
    fn clear(&self, _: &[HeaderValue], response: &mut HeaderMap) {
        self.write("", response);
    }

    fn vary(&self, response: &mut HeaderMap) {
        add_vary(response, &HeaderValue::from_name(self.name.clone()));
        if self.bearer {
            add_vary(response, &HeaderValue::from_static("Authorization"));
        }
    }
}

/// The token after `Bearer `, in whatever case that is written.
pub(super) fn strip_bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| rest.trim_ascii())
}

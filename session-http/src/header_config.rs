//! The header for clients without cookies.

use http::HeaderName;
use session_core::ConfigError;

/// Headers with a meaning that a token would break.
const TAKEN: [&str; 22] = [
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "expect",
    "host",
    "keep-alive",
    "location",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
    "via",
];

/// The header that carries a token, for clients without cookies.
///
/// Requests bring it in this header, responses give a new one in the same header; an
/// empty one means: forget it. The default is `X-Session-Token`.
///
/// # Scripts of other origins
///
/// A script in a browser whose page is of another origin needs two headers of CORS besides
/// `Access-Control-Allow-Origin`, which the layer leaves to the application:
///
/// - `Access-Control-Expose-Headers: X-Session-Token` on every response. Without it the script
///   cannot read its token, and never learns of a new one.
/// - `Access-Control-Allow-Headers: X-Session-Token` (with `Authorization` for
///   [`bearer`](Self::bearer)) on the answer to a preflight request. Without it the browser does
///   not send the token.
///
/// ```
/// use session_core::MemoryStore;
/// use session_http::{HeaderConfig, SessionLayer};
///
/// let layer = SessionLayer::builder(MemoryStore::new())
///     .header(HeaderConfig::default().bearer(true)) // `Authorization: Bearer ..` will do too
///     .build()
///     .unwrap();
/// assert_eq!(layer.name(), "x-session-token");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderConfig {
    pub(crate) name: HeaderName,
    pub(crate) bearer: bool,
}

impl Default for HeaderConfig {
    fn default() -> Self {
        Self::new(HeaderName::from_static("x-session-token"))
    }
}

impl HeaderConfig {
    /// A header of this name.
    pub const fn new(name: HeaderName) -> Self {
        Self {
            name,
            bearer: false,
        }
    }

    /// Whether a token is taken from `Authorization: Bearer` too. Default `false`.
    #[must_use]
    pub const fn bearer(mut self, bearer: bool) -> Self {
        self.bearer = bearer;
        self
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let name = self.name.as_str();
        if TAKEN.contains(&name) {
            return Err(ConfigError::new(format!(
                "the header {name:?} has another meaning in HTTP; choose a name of its own"
            )));
        }
        Ok(())
    }
}

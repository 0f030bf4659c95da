//! The cookie that carries a token.

use cookie::{Cookie, CookieBuilder};
use http::HeaderValue;
use session_core::ConfigError;

use crate::transport::grammar::{is_name_of_piece, is_token};
use crate::transport::place::{fault_of_domain, fault_of_path, first_of, host};
use crate::transport::transport::sensitive;

/// Whether a browser sends the cookie with requests that come from other sites.
///
/// RFC 6265bis defines the attribute. A site is a registrable domain, such as `example.com`, with
/// its scheme.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SameSite {
    /// Never. A person who follows a link from another site arrives signed out.
    Strict,
    /// Only when a person follows a link or submits a `GET` form; not with other forms, images or
    /// scripts of other sites. The default.
    #[default]
    Lax,
    /// Always. It requires `Secure`, and the application has to prevent request forgery by itself.
    None,
}

impl From<SameSite> for cookie::SameSite {
    fn from(same_site: SameSite) -> Self {
        match same_site {
            SameSite::Strict => Self::Strict,
            SameSite::Lax => Self::Lax,
            SameSite::None => Self::None,
        }
    }
}

/// The name and attributes of the cookie that carries a token.
///
/// The default is `__Host-id` with `Secure`, `HttpOnly`, `SameSite=Lax` and `Path=/`. The browser
/// drops the cookie when it closes, unless the session's [`Lifetime`](session_core::Lifetime) is
/// persistent. `build` refuses attributes that contradict each other, because a browser would drop
/// such a cookie silently.
///
/// ```
/// use session_http::{CookieConfig, MemoryStore, SameSite, SessionLayer};
///
/// let cookie = CookieConfig::new("__Host-admin").same_site(SameSite::Strict);
/// assert!(SessionLayer::builder(MemoryStore::new()).cookie(cookie).build().is_ok());
///
/// let wrong = CookieConfig::new("__Host-admin").path("/admin"); // the prefix demands Path=/
/// assert!(SessionLayer::builder(MemoryStore::new()).cookie(wrong).build().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieConfig {
    name: String,
    path: String,
    domain: Option<String>,
    same_site: SameSite,
    secure: bool,
    http_only: bool,
    partitioned: bool,
}

impl Default for CookieConfig {
    fn default() -> Self {
        Self::new("__Host-id")
    }
}

impl CookieConfig {
    /// A cookie of this name with the default attributes.
    ///
    /// A large session of a cookie store continues in further cookies, with this name followed by
    /// `~1`, `~2` and so on. The layer writes and removes these cookies. So the application should
    /// not set such a cookie, and `build` refuses a layer whose own name looks like one.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            path: "/".to_owned(),
            domain: None,
            same_site: SameSite::Lax,
            secure: true,
            http_only: true,
            partitioned: false,
        }
    }

    /// The name of the cookie.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sets the path under which browsers send the cookie. Default: `/`.
    ///
    /// Write the path as a browser requests it: percent-encoded, and without a query. `build`
    /// refuses a path that no request can have.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Sets the domain to which browsers send the cookie, together with all domains below it.
    ///
    /// Default: only the host that set the cookie.
    ///
    /// Write the domain without scheme, port, path and wildcard. Write international names in
    /// punycode. `build` refuses a domain that can match no host. An IPv4 address or a single
    /// label, such as `localhost`, matches only that host, so it does no more than the default.
    /// Browsers ignore a cookie for a public suffix, such as `co.uk`; `build` does not know public
    /// suffixes.
    ///
    /// ```
    /// use session_http::{CookieConfig, MemoryStore, SessionLayer};
    ///
    /// let build = |domain: &str| {
    ///     let cookie = CookieConfig::new("__Secure-id").domain(domain);
    ///     SessionLayer::builder(MemoryStore::new()).cookie(cookie).build()
    /// };
    /// assert!(build("example.com").is_ok()); // and shop.example.com, and all others below it
    /// assert!(build("example.com:8080").is_err()); // no browser would ever send that back
    /// ```
    #[must_use]
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Sets whether browsers send the cookie with requests from other sites. Default:
    /// [`SameSite::Lax`].
    #[must_use]
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// Sets whether browsers send the cookie over secure connections only. Default: `true`.
    ///
    /// Chromium and Firefox treat `http://localhost` as secure. They drop a secure cookie that
    /// comes from any other address over plain HTTP.
    #[must_use]
    pub fn secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    /// Sets whether the cookie is hidden from scripts. Default: `true`.
    #[must_use]
    pub fn http_only(mut self, http_only: bool) -> Self {
        self.http_only = http_only;
        self
    }

    /// Sets whether browsers keep a separate cookie for each top-level site (CHIPS). Default:
    /// `false`.
    #[must_use]
    pub fn partitioned(mut self, partitioned: bool) -> Self {
        self.partitioned = partitioned;
        self
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match self.fault() {
            None => Ok(()),
            Some(fault) => {
                let text = format!("the cookie {:?} {fault}", self.name);
                Err(ConfigError::new(text))
            }
        }
    }

    /// What contradicts what browsers accept, or another attribute.
    fn fault(&self) -> Option<&'static str> {
        // Browsers compare prefixes without regard to case (RFC 6265bis, 5.7).
        let prefixed = |prefix: &str| {
            let start = self.name.get(..prefix.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        let host = prefixed("__Host-");
        let http = prefixed("__Host-Http-") || prefixed("__Http-");
        first_of([
            (
                self.name.is_empty() || !self.name.bytes().all(is_token),
                "has a name that is no token of RFC 9110; use letters, digits, `-` and `_`",
            ),
            (
                self.name.len() > 256,
                "has a name of more than 256 octets; that leaves little room for its value",
            ),
            (
                is_name_of_piece(&self.name),
                "has a name that ends as those of the pieces of a large session do; drop the `~` \
                 and its digit",
            ),
        ])
        .or_else(|| fault_of_path(&self.path))
        .or_else(|| fault_of_domain(self.domain.as_deref()?))
        .or_else(|| {
            first_of([
                (
                    (host || http || prefixed("__Secure-")) && !self.secure,
                    "has a prefix that demands `Secure`; set it or drop the prefix",
                ),
                (
                    host && (self.path != "/" || self.domain.is_some()),
                    "has the prefix `__Host-`, which demands `Path=/` and no `Domain`; change \
                     those or the prefix",
                ),
                (
                    http && !self.http_only,
                    "has a prefix that demands `HttpOnly`; set it or drop the prefix",
                ),
                (
                    self.same_site == SameSite::None && !self.secure,
                    "has `SameSite=None`, which demands `Secure`",
                ),
                (
                    self.partitioned && !self.secure,
                    "is `Partitioned`, which demands `Secure`",
                ),
            ])
        })
    }

    /// Why no cookie with a proof can stand beside this one.
    #[cfg(feature = "device-binding")]
    pub(super) fn fault_beside_proofs(&self) -> Option<&'static str> {
        first_of([
            (
                !self.name.starts_with("__Host-"),
                "has no prefix `__Host-`, so a neighbouring host could plant another session \
                 beside it; give it a name like `__Host-id`",
            ),
            (
                self.partitioned,
                "is `Partitioned`, and no browser is known to prove its device then; drop it",
            ),
        ])
    }

    /// The cookie beside this one that carries proofs of a device.
    #[cfg(feature = "device-binding")]
    pub(super) fn for_proofs(&self) -> Self {
        let own = |prefix| self.name.strip_prefix(prefix);
        let name = own("__Host-Http-").or(own("__Host-"));
        Self {
            name: format!("__Host-{}-bound", name.unwrap_or(&self.name)),
            http_only: true,
            ..self.clone()
        }
    }

    /// What follows name and value in each Set-Cookie that gives one.
    pub(super) fn attributes(&self) -> String {
        let mut text = self.dress("").build().to_string();
        text.drain(..1); // the `=` between name and value
        text
    }

    /// The Set-Cookie that removes `name`: it repeats every attribute, or it would miss.
    pub(super) fn removal(&self, name: &str) -> Option<HeaderValue> {
        let mut cookie = self.dress(name).build();
        cookie.make_removal();
        sensitive(cookie.to_string())
    }

    /// Whether a cookie of our name with these attributes is another one. A path that is not given
    /// is that of the request, and may be ours.
    pub(super) fn is_elsewhere(&self, cookie: &Cookie<'_>) -> bool {
        let (domain, path) = (cookie.domain(), cookie.path());
        let same_partition = cookie.partitioned().unwrap_or(false) == self.partitioned;
        let given = |domain: &&str| !domain.is_empty();
        let own = self.domain.as_deref().map(host);
        let same_domain = match (own, domain.map(host).filter(given)) {
            (Some(own), Some(other)) => own.eq_ignore_ascii_case(other),
            (own, other) => own == other,
        };
        !same_domain
            || !same_partition
            || path.is_some_and(|path| path.starts_with('/') && path != self.path)
    }

    fn dress<'a>(&'a self, name: &'a str) -> CookieBuilder<'a> {
        let cookie = Cookie::build((name, ""))
            .path(self.path.as_str())
            .secure(self.secure)
            .http_only(self.http_only)
            .same_site(cookie::SameSite::from(self.same_site))
            .partitioned(self.partitioned);
        match &self.domain {
            Some(domain) => cookie.domain(domain.as_str()),
            None => cookie,
        }
    }
}

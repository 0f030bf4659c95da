//! The transports of one layer: a cookie, a header, or both, and which one serves a request.

use std::iter;

use http::{HeaderMap, HeaderValue};
use session_core::store::RecordLocation;
use session_core::{ConfigError, Directive, Lifetime};

use crate::transport::caching::forbid_storing;
use crate::transport::transport::{TokenHeaders, Transport};
use crate::transport::{CookieConfig, CookieTransport, HeaderConfig};

/// How the tokens of a layer travel.
///
/// Where there are both, a request that has the header is served by it, even if the header is
/// empty. Every other request is served by the cookie. What the other one holds is ignored, and is
/// not changed. So no script can have the token of an `HttpOnly` cookie moved to a header that it
/// can read.
#[derive(Clone, Debug)]
pub(crate) enum Transports {
    Cookie(CookieTransport),
    Header(HeaderConfig),
    Both {
        cookie: CookieTransport,
        header: HeaderConfig,
    },
}

/// Which transport serves a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    Cookie,
    Header,
}

/// The token headers of a request, and which transport they are for.
#[derive(Clone)]
pub(crate) struct Carried {
    pub(crate) by: Carrier,
    pub(crate) headers: TokenHeaders,
}

impl Transports {
    /// The default cookie is replaced by whatever was set.
    pub(crate) fn new(
        cookie: Option<CookieConfig>,
        header: Option<HeaderConfig>,
        location: RecordLocation,
    ) -> Self {
        match (cookie, header) {
            (None, Some(header)) => Self::Header(header),
            (Some(cookie), Some(header)) => Self::Both {
                cookie: CookieTransport::new(cookie, location),
                header,
            },
            (cookie, None) => {
                Self::Cookie(CookieTransport::new(cookie.unwrap_or_default(), location))
            }
        }
    }

    /// The cookie is first.
    fn all(&self) -> impl Iterator<Item = &dyn Transport> {
        let (first, second): (&dyn Transport, Option<&dyn Transport>) = match self {
            Self::Cookie(cookie) => (cookie, None),
            Self::Header(header) => (header, None),
            Self::Both { cookie, header } => (cookie, Some(header)),
        };
        iter::once(first).chain(second)
    }

    /// The transport that serves a request. A layer asks only for one that it has.
    pub(crate) fn of(&self, carrier: Carrier) -> &dyn Transport {
        match (self, carrier) {
            (Self::Cookie(cookie), _) => cookie,
            (Self::Header(header), _) => header,
            (Self::Both { cookie, .. }, Carrier::Cookie) => cookie,
            (Self::Both { header, .. }, Carrier::Header) => header,
        }
    }

    /// Whether there is such a transport.
    #[cfg(feature = "testing")]
    pub(crate) fn has(&self, carrier: Carrier) -> bool {
        match carrier {
            Carrier::Cookie => !matches!(self, Self::Header(_)),
            Carrier::Header => !matches!(self, Self::Cookie(_)),
        }
    }

    /// Decides which transport serves a request. Nothing is parsed yet, since most requests never
    /// ask for their session.
    pub(crate) fn carried(&self, request: &HeaderMap) -> Carried {
        let (by, headers) = match self {
            Self::Cookie(cookie) => (Carrier::Cookie, cookie.token_headers(request)),
            Self::Header(header) => (Carrier::Header, header.token_headers(request)),
            Self::Both { cookie, header } => match header.token_headers(request) {
                none if none.is_empty() => (Carrier::Cookie, cookie.token_headers(request)),
                some => (Carrier::Header, some),
            },
        };
        Carried { by, headers }
    }

    /// The name of the cookie, or of the header where there is no cookie.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Cookie(cookie) | Self::Both { cookie, .. } => cookie.name(),
            Self::Header(header) => header.name(),
        }
    }

    /// Whether a handler that asks for this name means one of these.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.all().any(|transport| transport.is_named(name))
    }

    /// A name by which a handler that asks for the one could mean the other.
    pub(crate) fn shared_name<'a>(&'a self, other: &'a Self) -> Option<&'a str> {
        let own = self.all().map(Transport::name);
        let mut own = own.filter(|name| other.is_named(name));
        let mut theirs = other.all().map(Transport::name);
        own.next()
            .or_else(|| theirs.find(|name| self.is_named(name)))
    }

    /// Refuses settings that contradict each other, or that no client can follow.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        self.all().try_for_each(Transport::check)
    }

    /// Refuses a lifetime for which clients keep no token.
    pub(crate) fn check_lifetime(&self, lifetime: Lifetime) -> Result<(), ConfigError> {
        self.all()
            .try_for_each(|transport| transport.check_lifetime(lifetime))
    }

    /// Characters that a token may have: it may travel by each of them.
    pub(crate) fn max_token(&self) -> usize {
        self.narrowest().max_token()
    }

    /// The transport that carries the fewest characters.
    pub(crate) fn narrowest(&self) -> &dyn Transport {
        match self {
            Self::Cookie(cookie) => cookie,
            Self::Header(header) => header,
            Self::Both { cookie, header } if cookie.max_token() <= header.max_token() => cookie,
            Self::Both { header, .. } => header,
        }
    }

    /// Tells caches that the response depends on the client's token, wherever that is.
    pub(crate) fn vary(&self, response: &mut HeaderMap) {
        self.all().for_each(|transport| transport.vary(response));
    }

    /// Puts into a response what a commit has for the client.
    pub(crate) fn announce(
        &self,
        directive: &Directive,
        request: &Carried,
        response: &mut HeaderMap,
    ) {
        if *directive != Directive::Nothing {
            // First, since it removes headers, and the token may be in one with such a name.
            forbid_storing(response);
        }
        let presented: &[HeaderValue] = &request.headers;
        match directive {
            Directive::Nothing => {}
            Directive::Hold(token) => self.of(request.by).send(token, presented, response),
            Directive::Forget => self.of(request.by).clear(presented, response),
        }
    }
}

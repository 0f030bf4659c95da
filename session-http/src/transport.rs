//! How a token travels: in a cookie, or in a header for clients without cookies.

mod caching;
mod chunks;
mod set_cookie;

use std::borrow::Cow;

use http::header::{AUTHORIZATION, COOKIE, VARY};
use http::{HeaderMap, HeaderValue};
use session_core::{Capability, ClientToken, ConfigError, Directive, Lifetime};
use smallvec::SmallVec;

pub(crate) use self::chunks::is_name_of_piece;
use self::chunks::{MOST_COOKIES, chunk_name, chunk_size, further, head, sent, split};
use self::set_cookie::replace;
use crate::cookie_config::{CookieConfig, LARGEST, LONGEST};
use crate::header_config::HeaderConfig;

/// At most this many tokens are handed on: more than a browser keeps cookies of one site (180), so
/// that planted ones do not hide the client's own. Few of them are looked up.
const MOST: usize = 200;

/// Characters of the shortest token: an id and a secret. A sealed session is longer, and where it
/// is spread over several cookies, its first one is full.
const SHORTEST: usize = 43;

/// Where tokens come from and go to.
#[derive(Clone, Debug)]
pub(crate) enum Transport {
    Cookie {
        cookie: CookieConfig,
        /// What follows name and value.
        attributes: String,
        /// Over how many cookies a token may be spread.
        chunks: usize,
        /// The client holds the session itself.
        sealed: bool,
    },
    Header(HeaderConfig),
}

impl Transport {
    pub(crate) fn cookie(cookie: CookieConfig, capability: Capability) -> Self {
        let (sealed, chunks) = match capability {
            Capability::Client { cookies, .. } => (true, cookies.clamp(1, MOST_COOKIES)),
            _ => (false, 1),
        };
        Self::Cookie {
            attributes: cookie.attributes(),
            cookie,
            chunks,
            sealed,
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Cookie { cookie, .. } => cookie.name(),
            Self::Header(header) => header.name.as_str(),
        }
    }

    /// Whether somebody who asks for this name means this one. Names of cookies differ by case,
    /// names of headers do not.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        match self {
            Self::Cookie { cookie, .. } => cookie.name() == name,
            Self::Header(header) => header.name.as_str().eq_ignore_ascii_case(name),
        }
    }

    /// Whether who asks for the one could mean the other.
    pub(crate) fn clashes(&self, other: &Self) -> bool {
        self.is_named(other.name()) || other.is_named(self.name())
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::Cookie { cookie, .. } => cookie.check(),
            Self::Header(header) => header.check(),
        }
    }

    /// Whether clients keep a token as long as this.
    pub(crate) fn check_lifetime(&self, lifetime: Lifetime) -> Result<(), ConfigError> {
        let cookie = matches!(self, Self::Cookie { .. });
        if cookie && lifetime.is_persistent() && lifetime.absolute() > LONGEST {
            return Err(ConfigError::new(
                "browsers keep no cookie longer than 400 days (RFC 6265bis, 5.5); shorten the lifetime",
            ));
        }
        Ok(())
    }

    /// Characters that a token may have.
    pub(crate) fn max_token(&self) -> usize {
        match self {
            Self::Cookie {
                cookie, chunks: 1, ..
            } => LARGEST - cookie.name().len(),
            Self::Cookie { cookie, chunks, .. } => chunks * chunk_size(cookie.name()),
            Self::Header(_) => LARGEST,
        }
    }

    /// The request headers that may hold tokens; cloning one shares its bytes.
    pub(crate) fn pick<'a>(
        &'a self,
        headers: &'a HeaderMap,
    ) -> impl Iterator<Item = &'a HeaderValue> {
        let (own, bearer) = match self {
            Self::Cookie { .. } => (&COOKIE, false),
            Self::Header(header) => (&header.name, header.bearer),
        };
        let authorization = bearer
            .then(|| headers.get_all(AUTHORIZATION))
            .into_iter()
            .flatten()
            .filter(|value| strip_bearer(value.as_bytes()).is_some());
        headers.get_all(own).into_iter().chain(authorization)
    }

    /// The tokens in these headers.
    pub(crate) fn tokens<'a>(
        &self,
        headers: impl Iterator<Item = &'a HeaderValue> + Clone,
    ) -> Tokens<'a> {
        let mut tokens = Tokens::default();
        match self {
            Self::Cookie {
                cookie,
                chunks,
                sealed,
                ..
            } => {
                let mut parts = None;
                let own = values(headers.clone(), cookie.name()).filter(|value| !value.is_empty());
                for value in most_likely(own) {
                    tokens
                        .found
                        .push(match head(as_text(value), *chunks, cookie.name()) {
                            None => Cow::Borrowed(as_text(value)),
                            Some((count, head)) => {
                                let parts = parts
                                    .get_or_insert_with(|| further(headers.clone(), cookie.name()));
                                Cow::Owned(
                                    parts[..count - 1]
                                        .iter()
                                        .fold(head.to_owned(), |whole, part| whole + part),
                                )
                            }
                        });
                }
                // Pieces whose first one is missing: a session that does not open, but there is
                // one.
                if *sealed && tokens.found.is_empty() {
                    let parts = further(headers, cookie.name());
                    let longest = parts.into_iter().max_by_key(|part| part.len());
                    tokens
                        .found
                        .extend(longest.filter(|part| !part.is_empty()).map(Cow::Borrowed));
                }
            }
            Self::Header(_) => {
                let texts = headers.map(|value| {
                    let text = value.as_bytes();
                    strip_bearer(text).unwrap_or(text)
                });
                let texts = most_likely(texts.filter(|text| !text.is_empty()));
                tokens
                    .found
                    .extend(texts.into_iter().map(|text| Cow::Borrowed(as_text(text))));
            }
        }
        tokens
    }

    /// Tells the client. Of the request's headers it takes which cookies hold pieces of a session
    /// that has another form now, or none: they go, however many cookies a session may take today.
    pub(crate) fn tell<'a>(
        &self,
        directive: &Directive,
        requested: &(impl Iterator<Item = &'a HeaderValue> + Clone),
        headers: &mut HeaderMap,
    ) {
        let token = match directive {
            Directive::Nothing => return,
            Directive::Hold(token) => Some(token),
            Directive::Forget => None,
        };
        caching::forbid(headers);
        match self {
            Self::Header(header) => {
                let text = token.map_or("", ClientToken::as_str);
                if let Ok(mut value) = HeaderValue::from_str(text) {
                    value.set_sensitive(true);
                    headers.insert(header.name.clone(), value);
                }
            }
            Self::Cookie {
                cookie,
                attributes,
                chunks,
                ..
            } => {
                let mut left = sent(requested.clone(), cookie.name());
                if let Some(token) = token {
                    for (at, (name, value)) in split(token.as_str(), *chunks, cookie.name())
                        .into_iter()
                        .enumerate()
                    {
                        let value = CookieConfig::set(attributes, &name, &value, token.max_age());
                        replace(headers, cookie, &name, value);
                        if let Some(left) = left.get_mut(at) {
                            *left = false;
                        }
                    }
                } else {
                    // Whatever came: a client that is to forget hears so.
                    left[0] |= !left.contains(&true);
                }
                for (at, _) in left.iter().enumerate().filter(|(_, left)| **left) {
                    let name = chunk_name(cookie.name(), at);
                    replace(headers, cookie, &name, cookie.remove(&name));
                }
            }
        }
    }

    /// Notes that the response depends on the session.
    pub(crate) fn vary(&self, headers: &mut HeaderMap) {
        match self {
            Self::Cookie { .. } => add_vary(headers, &HeaderValue::from_static("Cookie")),
            Self::Header(header) => {
                add_vary(headers, &HeaderValue::from_name(header.name.clone()));
                if header.bearer {
                    add_vary(headers, &HeaderValue::from_static("Authorization"));
                }
            }
        }
    }
}

/// The tokens of one request, in the order of the request.
///
/// There is room for one: handlers hold it while they wait, and more come from a planted cookie.
#[derive(Default)]
pub(crate) struct Tokens<'a> {
    found: SmallVec<[Cow<'a, str>; 1]>,
}

impl Tokens<'_> {
    /// The tokens as plain text.
    pub(crate) fn as_strs(&self) -> SmallVec<[&str; 1]> {
        self.found.iter().map(Cow::as_ref).collect()
    }
}

/// The first values that may be tokens, in their order. Those that are too short are among them
/// only while there is room.
fn most_likely<'a>(values: impl Iterator<Item = &'a [u8]>) -> SmallVec<[&'a [u8]; 1]> {
    let mut found: SmallVec<[&[u8]; 1]> = SmallVec::new();
    let is_short = |value: &&[u8]| value.len() < SHORTEST;
    for value in values {
        if found.len() == MOST {
            if is_short(&value) {
                continue;
            }
            match found.iter().position(is_short) {
                Some(at) => found.remove(at),
                None => break,
            };
        }
        found.push(value);
    }
    found
}

/// The values of the cookies of this very name (RFC 6265bis, 5.4: names differ by case, and a
/// nameless cookie is none of ours).
fn values<'a>(
    headers: impl Iterator<Item = &'a HeaderValue>,
    name: &str,
) -> impl Iterator<Item = &'a [u8]> {
    pairs(headers).filter_map(move |pair| value(pair.strip_prefix(name.as_bytes())?))
}

/// The pairs of name and value in these Cookie headers.
fn pairs<'a>(headers: impl Iterator<Item = &'a HeaderValue>) -> impl Iterator<Item = &'a [u8]> {
    headers.flat_map(|header| Pairs(Some(header.as_bytes())))
}

/// What stands between the semicolons of a header.
struct Pairs<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Pairs<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.0.take()?;
        let pair = match memchr::memchr(b';', rest) {
            Some(at) => {
                self.0 = Some(&rest[at + 1..]);
                &rest[..at]
            }
            None => rest,
        };
        Some(pair.trim_ascii())
    }
}

/// The value in what follows the name of a pair; `None` if the name goes on.
fn value(rest: &[u8]) -> Option<&[u8]> {
    Some(
        rest.trim_ascii_start()
            .strip_prefix(b"=")?
            .trim_ascii_start(),
    )
}

/// Text that is not ASCII becomes empty, which is no token of ours.
fn as_text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

fn strip_bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(7)?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| rest.trim_ascii())
}

fn add_vary(headers: &mut HeaderMap, name: &HeaderValue) {
    let named = |value: &HeaderValue| {
        let mut words = value
            .as_bytes()
            .split(|byte| *byte == b',')
            .map(<[u8]>::trim_ascii);
        words.any(|word| word.eq_ignore_ascii_case(name.as_bytes()) || word == b"*")
    };
    if !headers.get_all(VARY).iter().any(named) {
        headers.append(VARY, name.clone());
    }
}

#[cfg(test)]
mod tests;

//! What a transport does, and what the cookie and the header both need for it.

use std::borrow::Cow;
use std::fmt;

use http::header::VARY;
use http::{HeaderMap, HeaderValue};
use session_core::{ClientToken, ConfigError, Lifetime};
use smallvec::SmallVec;

/// The headers of one request that may hold tokens. Almost always there is one, and there is room
/// for it, so that nothing is allocated. Its bytes are shared with the request.
pub(crate) type TokenHeaders = SmallVec<[HeaderValue; 1]>;

/// The tokens of one request, in the order of the request. There is room for one: handlers hold it
/// while they wait, and more come from a planted cookie.
pub(crate) type Tokens<'a> = SmallVec<[Cow<'a, str>; 1]>;

/// Where tokens come from and go to.
pub(crate) trait Transport: fmt::Debug + Send + Sync {
    /// The name of the cookie or of the header.
    fn name(&self) -> &str;

    /// Whether a handler that asks for this name means this transport. Names of cookies differ by
    /// case, names of headers do not.
    fn is_named(&self, name: &str) -> bool;

    /// Refuses settings that contradict each other, or that no client can follow.
    fn check(&self) -> Result<(), ConfigError>;

    /// Refuses a lifetime for which clients keep no token.
    fn check_lifetime(&self, lifetime: Lifetime) -> Result<(), ConfigError>;

    /// Characters that a token may have.
    fn max_token(&self) -> usize;

    /// The headers of a request that may hold tokens. Nothing is parsed yet, since most requests
    /// never ask for their session.
    fn token_headers(&self, request: &HeaderMap) -> TokenHeaders;

    /// The tokens in these headers.
    fn tokens<'a>(&self, headers: &'a [HeaderValue]) -> Tokens<'a>;

    /// Gives the client this token. `presented` are the token headers of the request: what they
    /// hold beyond the new token must go.
    fn send(&self, token: &ClientToken, presented: &[HeaderValue], response: &mut HeaderMap);

    /// Has the client forget its token.
    fn clear(&self, presented: &[HeaderValue], response: &mut HeaderMap);

    /// Tells caches that the response depends on the client's token.
    fn vary(&self, response: &mut HeaderMap);
}

/// At most this many tokens are handed on: more than a browser keeps cookies of one site (180), so
/// that planted ones do not hide the client's own. Few of them are looked up.
pub(super) const MAX_TOKENS: usize = 200;

/// Characters of the shortest token: an id and a secret. A sealed session is longer, and where it
/// is spread over several cookies, its first piece is full.
const SHORTEST_TOKEN: usize = 43;

/// The first values that may be tokens, in their order. Those that are too short are among them
/// only while there is room.
pub(super) fn most_likely<'a>(values: impl Iterator<Item = &'a [u8]>) -> SmallVec<[&'a [u8]; 1]> {
    let mut found: SmallVec<[&[u8]; 1]> = SmallVec::new();
    let is_short = |value: &&[u8]| value.len() < SHORTEST_TOKEN;
    for value in values.filter(|value| !value.is_empty()) {
        if found.len() == MAX_TOKENS {
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

/// Text that is not UTF-8 becomes empty, which is no token of ours.
pub(super) fn as_text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// The value of a header that carries a token. Logs do not show it.
pub(crate) fn sensitive(text: impl TryInto<HeaderValue>) -> Option<HeaderValue> {
    let mut value = text.try_into().ok()?;
    value.set_sensitive(true);
    Some(value)
}

pub(super) fn add_vary(headers: &mut HeaderMap, name: &HeaderValue) {
    let names_it = |value: &HeaderValue| {
        let mut words = value.as_bytes().split(|byte| *byte == b',');
        words.any(|word| {
            let word = word.trim_ascii();
            word.eq_ignore_ascii_case(name.as_bytes()) || word == b"*"
        })
    };
    if !headers.get_all(VARY).iter().any(names_it) {
        headers.append(VARY, name.clone());
    }
}

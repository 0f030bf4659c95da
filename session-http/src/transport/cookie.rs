//! How a token travels in a cookie, or a sealed session in several.
//!
//! What replaces or removes a session also removes each piece of it that the request brought, even
//! over a store that writes none today: the number of cookies may have been larger before.

use std::borrow::Cow;
use std::iter;

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};
use session_core::store::RecordLocation;
use session_core::{ClientToken, ConfigError, Lifetime};

use crate::transport::CookieConfig;
use crate::transport::grammar::{
    MAX_AGE, MAX_COOKIE, MAX_PIECES, cut, first_of_several, is_about, piece_name, piece_size,
    pieces, removed_by, set_cookie,
};
use crate::transport::transport::{
    TokenHeaders, Tokens, Transport, add_vary, as_text, most_likely,
};

/// The cookie of a layer, and what is in it.
#[derive(Clone, Debug)]
pub(crate) struct CookieTransport {
    config: CookieConfig,
    /// What follows name and value in each Set-Cookie that gives one.
    attributes: String,
    content: Content,
}

/// What the client holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// A token that names a session of the store.
    Token,
    /// The session itself, in at most this many pieces.
    Sealed { max_pieces: usize },
}

impl CookieTransport {
    pub(crate) fn new(config: CookieConfig, location: RecordLocation) -> Self {
        let content = match location {
            RecordLocation::Client { pieces, .. } => Content::Sealed {
                max_pieces: pieces.clamp(1, MAX_PIECES),
            },
            _ => Content::Token,
        };
        Self {
            attributes: config.attributes(),
            config,
            content,
        }
    }

    #[cfg(feature = "device-binding")]
    pub(crate) const fn config(&self) -> &CookieConfig {
        &self.config
    }

    fn max_pieces(&self) -> usize {
        match self.content {
            Content::Token => 1,
            Content::Sealed { max_pieces } => max_pieces,
        }
    }

    /// The tokens in these headers, which are read twice at most.
    pub(super) fn read<'a>(
        &self,
        headers: impl Iterator<Item = &'a HeaderValue> + Clone,
    ) -> Tokens<'a> {
        let name = self.config.name();
        let firsts = pieces(headers.clone(), name).filter(|(number, _)| *number == 0);
        let firsts = most_likely(firsts.map(|(_, value)| value));
        let firsts = firsts.into_iter().map(as_text);
        let Content::Sealed { max_pieces } = self.content else {
            return firsts.map(Cow::Borrowed).collect();
        };
        // Of several pieces with one name the first counts. If one is missing, or left from another
        // token, the whole does not open.
        let mut further = [""; MAX_PIECES - 1];
        for (number, value) in pieces(headers, name) {
            if number > 0 && further[number - 1].is_empty() {
                further[number - 1] = as_text(value);
            }
        }
        let whole = |first| match first_of_several(first, max_pieces, name) {
            None => Cow::Borrowed(first),
            Some((count, text)) => {
                let others = further[..count - 1].iter().copied();
                Cow::Owned(iter::once(text).chain(others).collect())
            }
        };
        let mut tokens: Tokens<'a> = firsts.map(whole).collect();
        // Pieces whose first one is missing are no session that opens, but the manager must know
        // that there is one.
        if tokens.is_empty() {
            let longest = further.into_iter().max_by_key(|text| text.len());
            tokens.extend(longest.filter(|text| !text.is_empty()).map(Cow::Borrowed));
        }
        tokens
    }

    /// Which pieces the client holds, however many are written today.
    fn held(&self, presented: &[HeaderValue]) -> [bool; MAX_PIECES] {
        let mut held = [false; MAX_PIECES];
        for (number, _) in pieces(presented.iter(), self.config.name()) {
            held[number] = true;
        }
        held
    }

    fn remove(&self, pieces: [bool; MAX_PIECES], response: &mut HeaderMap) {
        for (number, _) in pieces.iter().enumerate().filter(|(_, is_held)| **is_held) {
            let name = piece_name(self.config.name(), number);
            self.replace(&name, self.config.removal(&name), response);
        }
    }

    /// Adds a Set-Cookie in place of any other of that name; those of other names stay.
    ///
    /// Of a handler's own with our name only a removal in another place stays: to a browser that is
    /// another cookie, while a value would be a second cookie of our name. Ours comes last, so that
    /// it counts where both are about one cookie after all.
    fn replace(&self, name: &str, set_cookie: Option<HeaderValue>, response: &mut HeaderMap) {
        let Some(set_cookie) = set_cookie else { return };
        let is_ours = |other: &HeaderValue| {
            is_about(other, name)
                && !removed_by(other).is_some_and(|cookie| self.config.is_elsewhere(&cookie))
        };
        let all = response.get_all(SET_COOKIE);
        if all.iter().any(is_ours) {
            let others: Vec<_> = all
                .iter()
                .filter(|other| !is_ours(other))
                .cloned()
                .collect();
            response.remove(SET_COOKIE);
            for other in others {
                response.append(SET_COOKIE, other);
            }
        }
        response.append(SET_COOKIE, set_cookie);
    }
}

impl Transport for CookieTransport {
    fn name(&self) -> &str {
        self.config.name()
    }

    fn is_named(&self, name: &str) -> bool {
        self.config.name() == name
    }

    fn check(&self) -> Result<(), ConfigError> {
        self.config.check()
    }

    fn check_lifetime(&self, lifetime: Lifetime) -> Result<(), ConfigError> {
        if lifetime.is_persistent() && lifetime.absolute() > MAX_AGE {
            return Err(ConfigError::new(
                "browsers keep no cookie longer than 400 days (RFC 6265bis, 5.5); shorten the \
                 lifetime",
            ));
        }
        Ok(())
    }

    fn max_token(&self) -> usize {
        let name = self.config.name();
        match self.max_pieces() {
            1 => MAX_COOKIE - name.len(),
            several => several * piece_size(name),
        }
    }

    fn token_headers(&self, request: &HeaderMap) -> TokenHeaders {
        request.get_all(COOKIE).into_iter().cloned().collect()
    }

    fn tokens<'a>(&self, headers: &'a [HeaderValue]) -> Tokens<'a> {
        self.read(headers.iter())
    }

    fn send(&self, token: &ClientToken, presented: &[HeaderValue], response: &mut HeaderMap) {
        let mut stale = self.held(presented);
        let pieces = cut(token.as_str(), self.max_pieces(), self.config.name());
        for ((name, value), stale) in pieces.iter().zip(&mut stale) {
            let set_cookie = set_cookie(name, value, &self.attributes, token.max_age());
            self.replace(name, set_cookie, response);
            *stale = false;
        }
        self.remove(stale, response);
    }

    fn clear(&self, presented: &[HeaderValue], response: &mut HeaderMap) {
        let mut stale = self.held(presented);
        // Also where the request brought none: a client that is to forget its token is told so.
        stale[0] |= !stale.contains(&true);
        self.remove(stale, response);
    }

    fn vary(&self, response: &mut HeaderMap) {
        add_vary(response, &HeaderValue::from_static("Cookie"));
    }
}

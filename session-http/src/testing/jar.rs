//! What a client keeps between its requests.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use cookie::Cookie;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};
use session_core::Timestamp;

use crate::transport::{Carrier, Transports};

/// Cookies, or a token in a header.
#[derive(Clone)]
pub(super) enum Jar {
    /// As a browser has them, by name.
    Cookies(BTreeMap<String, Kept>),
    /// As an app has it: the header, and its newest value, which is empty at first.
    Header {
        name: HeaderName,
        value: HeaderValue,
    },
}

#[derive(Clone)]
pub(super) struct Kept {
    value: String,
    /// `None` for a cookie that ends with the browser.
    expires_at: Option<Timestamp>,
}

impl Jar {
    /// An empty one for the first of these transports.
    pub(super) fn new(transports: &Transports) -> Self {
        match transports.has(Carrier::Cookie) {
            true => Self::Cookies(BTreeMap::new()),
            false => Self::by_header(transports),
        }
    }

    /// An empty one for the header; for cookies where there is no header.
    pub(super) fn by_header(transports: &Transports) -> Self {
        let name = transports.of(Carrier::Header).name().as_bytes();
        match HeaderName::from_bytes(name) {
            Ok(name) if transports.has(Carrier::Header) => Self::Header {
                name,
                value: HeaderValue::from_static(""),
            },
            _ => Self::Cookies(BTreeMap::new()),
        }
    }

    /// Puts into a request what the client has by now, alongside what is there already.
    pub(super) fn attach(&self, request: &mut HeaderMap, now: Timestamp) {
        match self {
            Self::Cookies(cookies) => {
                let live = cookies.iter().filter(|(_, kept)| kept.is_live(now));
                let mut all: Vec<u8> = Vec::new();
                let own = live.map(|(name, kept)| format!("{name}={}", kept.value).into_bytes());
                let given = request.get_all(COOKIE).iter();
                for pair in given.map(|value| value.as_bytes().to_vec()).chain(own) {
                    if !all.is_empty() {
                        all.extend(b"; ");
                    }
                    all.extend(pair);
                }
                if let Some(value) = HeaderValue::from_bytes(&all)
                    .ok()
                    .filter(|_| !all.is_empty())
                {
                    request.insert(COOKIE, value);
                }
            }
            Self::Header { name, value } => {
                request.entry(name).or_insert_with(|| value.clone());
            }
        }
    }

    /// Keeps what a response gives, and forgets what it says is to be forgotten.
    pub(super) fn receive(&mut self, response: &HeaderMap, now: Timestamp) {
        match self {
            Self::Cookies(cookies) => {
                let texts = response.get_all(SET_COOKIE).iter();
                let texts = texts.filter_map(|value| value.to_str().ok());
                for cookie in texts.filter_map(|text| Cookie::parse(text).ok()) {
                    let kept = Kept::new(&cookie, now);
                    match kept.is_live(now) {
                        true => cookies.insert(cookie.name().to_owned(), kept),
                        false => cookies.remove(cookie.name()),
                    };
                }
            }
            Self::Header { name, value } => {
                if let Some(new) = response.get(&*name) {
                    value.clone_from(new);
                }
            }
        }
    }
}

impl Kept {
    fn new(cookie: &Cookie<'_>, now: Timestamp) -> Self {
        let after = |seconds: i64| Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
        let max_age = cookie.max_age().map(|age| now + after(age.whole_seconds()));
        let date = cookie.expires_datetime();
        let date = date.map(|date| Timestamp::default() + after(date.unix_timestamp()));
        Self {
            value: cookie.value().to_owned(),
            expires_at: max_age.or(date), // RFC 6265, 4.1.2.2
        }
    }

    fn is_live(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|at| now < at)
    }
}

/// Shows names only: values are secrets.
impl fmt::Debug for Jar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cookies(cookies) => f.debug_tuple("Cookies").field(&cookies.keys()).finish(),
            Self::Header { name, .. } => f.debug_tuple("Header").field(name).finish(),
        }
    }
}

//! Who may see the page, and which forms come from it.

use std::mem;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue, ORIGIN};
use hyper::{HeaderMap, Uri};
use session_core::Timestamp;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// How many wrong passwords are compared in a minute, from all clients together. With a password
/// that `openssl rand` made, nobody guesses it in any number of minutes. The limit only keeps a
/// poor one for longer.
const MOST_WRONG: u32 = 30;
const MINUTE: Duration = Duration::from_secs(60);

/// Asks for a password.
pub(super) struct Gate {
    /// The hash of the password. Hashes have one length, so comparing them shows none.
    password: [u8; 32],
    wrong: Mutex<Wrong>,
}

/// The wrong passwords of one minute.
#[derive(Default)]
struct Wrong {
    since: Timestamp,
    count: u32,
    /// Somebody was told to come later.
    told: bool,
}

/// What a request may do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Granted,
    Denied,
    /// There were too many wrong passwords, so this one was not looked at.
    Later {
        pause: Duration,
        /// It is the first one of this minute, and worth a line in the log.
        first: bool,
    },
}

impl Gate {
    pub(super) fn new(password: &str) -> Self {
        Self {
            password: Sha256::digest(password).into(),
            wrong: Mutex::default(),
        }
    }

    /// Looks at the password of a request. A request without one, such as the first of a browser,
    /// is no attempt.
    pub(super) fn judge(&self, headers: &HeaderMap, now: Timestamp) -> Entry {
        let Some(password) = password(headers) else {
            return Entry::Denied;
        };
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        if now < wrong.since || now.duration_since(wrong.since) >= MINUTE {
            *wrong = Wrong {
                since: now,
                ..Wrong::default()
            };
        }
        if wrong.count >= MOST_WRONG {
            let passed = now.duration_since(wrong.since);
            return Entry::Later {
                pause: MINUTE.saturating_sub(passed),
                first: !mem::replace(&mut wrong.told, true),
            };
        }
        let hash: [u8; 32] = Sha256::digest(password).into();
        match bool::from(self.password.ct_eq(&hash)) {
            true => Entry::Granted,
            false => {
                wrong.count += 1;
                Entry::Denied
            }
        }
    }
}

/// The password of HTTP Basic authentication. Any name goes with it.
fn password(headers: &HeaderMap) -> Option<Vec<u8>> {
    let value = only(headers, &AUTHORIZATION)?;
    let (scheme, credentials) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let credentials = STANDARD.decode(credentials.trim()).ok()?;
    let colon = credentials.iter().position(|byte| *byte == b':')?;
    credentials.get(colon + 1..).map(<[u8]>::to_vec)
}

/// Whether the page itself sent this form. A browser sends the password along with a form of any
/// other site too, so the password proves nothing here.
///
/// Every browser says where a form comes from: in `Sec-Fetch-Site` (on secure connections and on
/// localhost), and in `Origin`. A form that says neither is refused.
pub(super) fn is_own_form(headers: &HeaderMap, uri: &Uri) -> bool {
    const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
    if headers.contains_key(SITE) {
        return only(headers, &SITE).is_some_and(|site| site == "same-origin");
    }
    let host = match uri.authority() {
        Some(authority) => Some(authority.as_str()), // of HTTP/2
        None => only(headers, &HOST).and_then(|host| host.to_str().ok()),
    };
    let origin = only(headers, &ORIGIN).and_then(|origin| origin.to_str().ok());
    // A proxy may have taken the TLS away, so the scheme is not compared.
    let origin = origin.and_then(|origin| origin.split_once("://"));
    match (origin, host) {
        (Some((_, origin)), Some(host)) => origin.eq_ignore_ascii_case(host),
        _ => false,
    }
}

/// The value of a header that is there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    value.filter(|_| values.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_millis(1_764_504_000_000);

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), value.parse().unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    fn basic(credentials: &str) -> HeaderMap {
        let value = format!("Basic {}", STANDARD.encode(credentials));
        headers(&[("authorization", &value)])
    }

    #[test]
    fn only_the_password_opens() {
        let gate = Gate::new("pass:wörd");
        for good in ["admin:pass:wörd", ":pass:wörd"] {
            assert_eq!(gate.judge(&basic(good), NOON), Entry::Granted, "{good}");
        }
        for bad in ["admin:pass:wörd ", "admin:pass", "pass:wörd", "admin:", ""] {
            assert_eq!(gate.judge(&basic(bad), NOON), Entry::Denied, "{bad}");
        }
        let mut twice = basic(":pass:wörd");
        twice.append(AUTHORIZATION, HeaderValue::from_static("Basic x"));
        let text = STANDARD.encode(":pass:wörd");
        let lower = headers(&[("authorization", &format!("basic {text}"))]);
        assert_eq!(gate.judge(&lower, NOON), Entry::Granted);
        let other = headers(&[("authorization", &format!("Bearer {text}"))]);
        for bad in [twice, other, HeaderMap::new(), basic("no colon")] {
            assert_eq!(gate.judge(&bad, NOON), Entry::Denied, "{bad:?}");
        }
    }

    #[test]
    fn wrong_passwords_are_limited() {
        let gate = Gate::new("right");
        let (right, wrong) = (basic(":right"), basic(":wrong"));
        for _ in 0..MOST_WRONG {
            assert_eq!(gate.judge(&right, NOON), Entry::Granted);
            assert_eq!(gate.judge(&HeaderMap::new(), NOON), Entry::Denied);
            assert_eq!(gate.judge(&wrong, NOON), Entry::Denied);
        }
        let soon = NOON + Duration::from_secs(20);
        let pause = Duration::from_secs(40);
        let later = |first| Entry::Later { pause, first };
        assert_eq!(gate.judge(&wrong, soon), later(true));
        assert_eq!(gate.judge(&right, soon), later(false));
        assert_eq!(gate.judge(&right, soon), later(false));
        assert_eq!(gate.judge(&right, NOON + MINUTE), Entry::Granted);
        // A clock that is set back locks nobody out.
        assert_eq!(gate.judge(&right, NOON - MINUTE), Entry::Granted);
    }

    #[test]
    fn forms_of_other_sites_are_refused() {
        let path = Uri::from_static("/admin/end");
        let full = Uri::from_static("https://site.example/admin/end");
        let host = ("host", "site.example");
        let (own, foreign) = ("https://site.example", "https://evil.example");
        for (good, uri) in [
            (headers(&[host, ("origin", own)]), &path),
            (headers(&[host, ("origin", "http://SITE.example")]), &path),
            (headers(&[("origin", own)]), &full),
            (headers(&[host, ("sec-fetch-site", "same-origin")]), &path),
        ] {
            assert!(is_own_form(&good, uri), "{good:?}");
        }
        for (bad, uri) in [
            (headers(&[host]), &path),
            (headers(&[host, ("origin", foreign)]), &path),
            (headers(&[host, ("origin", "null")]), &path),
            (
                headers(&[host, ("origin", own), ("origin", foreign)]),
                &path,
            ),
            (
                headers(&[host, ("origin", "https://site.example:8443")]),
                &path,
            ),
            (
                headers(&[host, ("origin", own), ("sec-fetch-site", "same-site")]),
                &path,
            ),
            (
                headers(&[host, ("origin", own), ("sec-fetch-site", "none")]),
                &path,
            ),
            (
                headers(&[("host", "evil.example"), ("origin", foreign)]),
                &full,
            ),
            (headers(&[("origin", own)]), &path),
        ] {
            assert!(!is_own_form(&bad, uri), "{bad:?}");
        }
    }
}

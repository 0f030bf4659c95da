//! Our Set-Cookie among those of the handler.

use cookie::Cookie;
use cookie::time::OffsetDateTime;
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};

use crate::cookie_config::CookieConfig;

/// Adds a Set-Cookie in place of any other of that name; those of other names stay.
///
/// What a handler removes in another place, which is another cookie to a browser, stays too. Ours
/// comes last, so that it counts where both are about one cookie after all.
pub(super) fn replace(
    headers: &mut HeaderMap,
    config: &CookieConfig,
    name: &str,
    value: Option<HeaderValue>,
) {
    let Some(value) = value else { return };
    let own = |other: &HeaderValue| is_of(other, name) && !removes_another(other, config);
    if headers.get_all(SET_COOKIE).iter().any(own) {
        let others: Vec<_> = headers
            .get_all(SET_COOKIE)
            .iter()
            .filter(|other| !own(other))
            .cloned()
            .collect();
        headers.remove(SET_COOKIE);
        for other in others {
            headers.append(SET_COOKIE, other);
        }
    }
    headers.append(SET_COOKIE, value);
}

fn is_of(set_cookie: &HeaderValue, name: &str) -> bool {
    let text = set_cookie.as_bytes().trim_ascii_start();
    let rest = text.strip_prefix(name.as_bytes());
    rest.is_some_and(|rest| rest.trim_ascii_start().starts_with(b"="))
}

/// Whether it removes the cookie of this name on another domain or path, or in another partition.
fn removes_another(set_cookie: &HeaderValue, config: &CookieConfig) -> bool {
    let parsed = set_cookie
        .to_str()
        .ok()
        .and_then(|text| Cookie::parse(text).ok());
    parsed.is_some_and(|cookie| is_removal(&cookie) && config.is_elsewhere(&cookie))
}

/// Whether a browser that gets this removes the cookie (RFC 6265, 5.3): its clock and ours show
/// about the same.
fn is_removal(cookie: &Cookie<'_>) -> bool {
    match (cookie.max_age(), cookie.expires_datetime()) {
        (Some(age), _) => !age.is_positive(),
        (None, Some(end)) => end <= OffsetDateTime::now_utc(),
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_set_cookies() {
        let own = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.append(SET_COOKIE, HeaderValue::from_static(value));
            replace(
                &mut headers,
                &CookieConfig::new("id"),
                "id",
                Some(HeaderValue::from_static("id=new")),
            );
            headers.get_all(SET_COOKIE).iter().count() == 1
        };
        for value in [
            "id=old",
            "id=",
            " id=old",
            "id =old; Path=/",
            "\tid\t=\told",
        ] {
            assert!(own(value), "{value:?}");
        }
        for value in [
            "Id=other",
            "id2=other",
            "i=other",
            "id",
            "other; id=x",
            "=id=x",
            "\"id\"=x",
        ] {
            assert!(!own(value), "{value:?}");
        }
    }
}

//! The texts of `Cookie` and `Set-Cookie`, and the pieces of a session that fills several cookies.
//!
//! A sealed session that is too large for one cookie is cut into pieces. The first has the name of
//! the layer, and its value begins with the number of pieces: `id=3.AAAA`, `id~1=BBBB`, `id~2=CC`.
//! `NAME-1` could be a cookie of the application, or of another layer, and tidying up would remove
//! it. So the mark is `~`, and a layer whose own name ends like that is refused.

use std::borrow::Cow;
use std::fmt::Write;
use std::time::Duration;

use cookie::Cookie;
use cookie::time::OffsetDateTime;
use http::HeaderValue;
use smallvec::{SmallVec, smallvec};

use crate::transport::transport::{as_text, sensitive};

/// Octets of name and value that a browser takes (RFC 6265bis, 5.6).
pub(super) const MAX_COOKIE: usize = 4096;

/// For how long a browser keeps a cookie at most (RFC 6265bis, 5.5).
pub(super) const MAX_AGE: Duration = Duration::from_secs(400 * 24 * 3600);

/// The most pieces that a session is ever cut into: the one named like the layer, and eight more.
pub(super) const MAX_PIECES: usize = 9;

/// Stands between a cookie's name and the number of a piece.
const MARK: u8 = b'~';

/// The name of the piece with this number.
pub(super) fn piece_name(name: &str, number: usize) -> Cow<'_, str> {
    match number {
        0 => Cow::Borrowed(name),
        _ => Cow::Owned(format!("{name}{}{number}", char::from(MARK))),
    }
}

/// Whether a piece of another session might have this name.
pub(super) fn is_name_of_piece(name: &str) -> bool {
    matches!(name.as_bytes(), [.., MARK, b'1'..=b'9'])
}

/// Characters of a token that fit into one of several pieces. The first one says how many there are
/// (`3.`); the names of the others are as much longer (`~1`).
pub(super) fn piece_size(name: &str) -> usize {
    MAX_COOKIE - name.len() - 2
}

/// Names and values. Nearly always there is one.
type Pieces<'a> = SmallVec<[(Cow<'a, str>, Cow<'a, str>); 1]>;

/// Cuts a token into as few pieces as will hold it: their names and values.
pub(super) fn cut<'a>(token: &'a str, max_pieces: usize, name: &'a str) -> Pieces<'a> {
    if max_pieces == 1 || token.len() <= MAX_COOKIE - name.len() {
        return smallvec![(Cow::Borrowed(name), Cow::Borrowed(token))];
    }
    let texts = token.as_bytes().chunks(piece_size(name)).map(as_text);
    let count = texts.len();
    let value = |(number, text)| match number {
        0 => (piece_name(name, 0), Cow::Owned(format!("{count}.{text}"))),
        _ => (piece_name(name, number), Cow::Borrowed(text)),
    };
    texts.enumerate().map(value).collect()
}

/// How many pieces a token was cut into, and the text of the first; `None` if it is in one.
///
/// A first piece of several is full. One that is not full is never put together with the others.
/// Otherwise a request with a few large pieces and many small first ones would take much memory.
pub(super) fn first_of_several<'a>(
    value: &'a str,
    max_pieces: usize,
    name: &str,
) -> Option<(usize, &'a str)> {
    let (count, text) = value.split_once('.')?;
    let [digit @ b'2'..=b'9'] = count.as_bytes() else {
        return None;
    };
    let count = usize::from(digit - b'0');
    (count <= max_pieces && text.len() == piece_size(name)).then_some((count, text))
}

/// The cookies of a session: number and value of each piece. Names differ by case, and a cookie
/// without a name is none of ours (RFC 6265bis, 5.4).
pub(super) fn pieces<'a>(
    headers: impl Iterator<Item = &'a HeaderValue>,
    name: &str,
) -> impl Iterator<Item = (usize, &'a [u8])> {
    let pairs = headers.flat_map(|header| Pairs(Some(header.as_bytes())));
    pairs.filter_map(|pair| match pair.strip_prefix(name.as_bytes())? {
        [MARK, digit @ b'1'..=b'8', rest @ ..] => Some((usize::from(digit - b'0'), value(rest)?)),
        rest => Some((0, value(rest)?)),
    })
}

/// What stands between the semicolons of a Cookie header.
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
    let value = rest.trim_ascii_start().strip_prefix(b"=")?;
    Some(value.trim_ascii_start())
}

/// A character of a token (RFC 9110, 5.6.2), which is what a name is made of.
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The Set-Cookie that gives a cookie its value. `attributes` begin with a semicolon.
pub(super) fn set_cookie(
    name: &str,
    value: &str,
    attributes: &str,
    max_age: Option<Duration>,
) -> Option<HeaderValue> {
    const AGE: &str = "; Max-Age=";
    let max_age = max_age.map(|age| whole_seconds(age.min(MAX_AGE)));
    let digits = |seconds: u64| seconds.ilog10() as usize + 1;
    let age_room = max_age.map_or(0, |seconds| AGE.len() + digits(seconds));
    // As long as the text, so that the header takes it over without an allocation.
    let mut text =
        String::with_capacity(name.len() + 1 + value.len() + attributes.len() + age_room);
    for part in [name, "=", value, attributes] {
        text.push_str(part);
    }
    if let Some(seconds) = max_age {
        let _ = write!(text, "{AGE}{seconds}");
    }
    sensitive(text)
}

/// Rounded up, and never none: `Max-Age=0` removes a cookie.
fn whole_seconds(age: Duration) -> u64 {
    let begun = u64::from(age.subsec_nanos() > 0);
    (age.as_secs() + begun).max(1)
}

/// Whether a Set-Cookie is about the cookie of this name.
pub(super) fn is_about(set_cookie: &HeaderValue, name: &str) -> bool {
    let text = set_cookie.as_bytes().trim_ascii_start();
    text.strip_prefix(name.as_bytes()).and_then(value).is_some()
}

/// The cookie that a browser removes when it gets this Set-Cookie (RFC 6265, 5.3): its clock and
/// ours show about the same.
pub(super) fn removed_by(set_cookie: &HeaderValue) -> Option<Cookie<'_>> {
    let cookie = Cookie::parse(set_cookie.to_str().ok()?).ok()?;
    let removes = match (cookie.max_age(), cookie.expires_datetime()) {
        (Some(age), _) => !age.is_positive(),
        (None, Some(end)) => end <= OffsetDateTime::now_utc(),
        (None, None) => false,
    };
    removes.then_some(cookie)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_that_is_given_is_never_removed_by_its_age() {
        for (millis, expected) in [
            (0, 1),
            (1, 1),
            (999, 1),
            (1_000, 1),
            (1_001, 2),
            (59_999, 60),
        ] {
            let age = Duration::from_millis(millis);
            let cookie = set_cookie("id", "token", "; Secure", Some(age)).unwrap();
            assert_eq!(cookie, format!("id=token; Secure; Max-Age={expected}"));
        }
        for age in [MAX_AGE, MAX_AGE + Duration::from_nanos(1), Duration::MAX] {
            let cookie = set_cookie("id", "token", "", Some(age)).unwrap();
            assert_eq!(cookie, "id=token; Max-Age=34560000");
        }
        let session = set_cookie("id", "token", "; Secure", None).unwrap();
        assert_eq!(session, "id=token; Secure");
    }

    #[test]
    fn names_of_set_cookies() {
        let is_ours = |value| is_about(&HeaderValue::from_static(value), "id");
        for value in [
            "id=old",
            "id=",
            " id=old",
            "id =old; Path=/",
            "\tid\t=\told",
        ] {
            assert!(is_ours(value), "{value:?}");
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
            assert!(!is_ours(value), "{value:?}");
        }
    }
}

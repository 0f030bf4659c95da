use std::borrow::Cow;
use std::cell::Cell;

use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};
use session_core::store::RecordLocation;

use crate::transport::CookieConfig;
use crate::transport::cookie::CookieTransport;
use crate::transport::grammar::{MAX_COOKIE, cut, piece_size};
use crate::transport::header::strip_bearer;
use crate::transport::transport::{MAX_TOKENS, Transport};

const NAMES: [&str; 3] = ["a", "__Host-id", "cart.of-the_shop"];

/// A token in which every position counts.
fn token(length: usize) -> String {
    let letter = |at: usize| char::from(b'a' + ((at * 7 + at / 1_000) % 26) as u8);
    (0..length).map(letter).collect()
}

fn transport(name: &str, cookies: usize) -> CookieTransport {
    let location = RecordLocation::client(54, cookies);
    CookieTransport::new(CookieConfig::new(name), location)
}

fn header(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap()
}

/// Cookies as a request brings them.
fn sent<'a>(cookies: impl IntoIterator<Item = &'a (Cow<'a, str>, Cow<'a, str>)>) -> HeaderValue {
    let pairs = cookies
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"));
    header(&pairs.collect::<Vec<_>>().join("; "))
}

/// The tokens that are read from one Cookie header.
fn read(transport: &CookieTransport, cookies: &HeaderValue) -> Vec<String> {
    let tokens = transport.read([cookies].into_iter());
    tokens.iter().map(ToString::to_string).collect()
}

#[test]
fn the_longest_token_of_one_cookie() {
    for name in NAMES {
        let most = MAX_COOKIE - name.len();
        let whole = token(most);
        assert_eq!(
            cut(&whole, 3, name).into_vec(),
            [(name.into(), Cow::Borrowed(whole.as_str()))]
        );
        let more = token(most + 1);
        let parts = cut(&more, 3, name).into_vec();
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[0].0.len() + parts[0].1.len(), MAX_COOKIE);
        assert!(parts[0].1.starts_with("2."));
        assert_eq!(
            parts[1],
            (format!("{name}~1").into(), more[piece_size(name)..].into())
        );
        // Where there is one cookie only, nothing is split.
        assert_eq!(cut(&more, 1, name).len(), 1);
    }
}

#[test]
fn what_may_be_sent_fits_and_comes_back() {
    for name in NAMES {
        for cookies in 1..=8 {
            let transport = transport(name, cookies);
            for length in [
                1,
                42,
                4_000,
                4_087,
                4_088,
                transport.max_token() - 1,
                transport.max_token(),
            ] {
                if length > transport.max_token() {
                    continue;
                }
                let token = token(length);
                let parts = cut(&token, cookies, name).into_vec();
                assert!(parts.len() <= cookies, "{length} in {cookies}");
                for (name, value) in &parts {
                    assert!(name.len() + value.len() <= MAX_COOKIE && !value.is_empty());
                }
                assert_eq!(read(&transport, &sent(&parts)), [token]);
            }
        }
    }
}

#[test]
fn the_order_of_pieces_does_not_matter() {
    let (transport, token) = (transport("id", 4), token(12_345));
    let mut parts = cut(&token, 4, "id").into_vec();
    assert_eq!(parts.len(), 4);
    for _ in 0..4 {
        parts.rotate_left(1);
        assert_eq!(read(&transport, &sent(&parts)), [token.as_str()]);
    }
}

#[test]
fn only_the_count_that_was_written_is_read() {
    let (transport, a) = (transport("id", 3), token(piece_size("id")));
    let read =
        |count: &str, parts: &str| read(&transport, &header(&format!("id={count}.{a}{parts}")));
    assert_eq!(read("2", "; id~1=b; id~2=c"), [format!("{a}b")]);
    assert_eq!(read("3", "; id~1=b; id~2=c"), [format!("{a}bc")]);
    assert_eq!(read("3", "; id~1=b"), [format!("{a}b")]);
    // Of several with one name the first counts.
    assert_eq!(read("2", "; id~1=b; id~1=c"), [format!("{a}b")]);
    for count in [
        "0",
        "1",
        "4",
        "+2",
        "02",
        "-2",
        "2 ",
        "",
        "999999999999999999999",
    ] {
        let whole = format!("{count}.{a}");
        assert_eq!(read(count, "; id~1=b; id~2=c"), [whole.trim()], "{count:?}");
    }
}

/// Or many of them would each take as much memory as all further parts.
#[test]
fn a_first_part_that_is_not_full_is_not_put_together() {
    let transport = transport("id", 3);
    for length in [0, 1, 43, piece_size("id") - 1, piece_size("id") + 1] {
        let value = format!("2.{}", token(length));
        assert_eq!(
            read(&transport, &header(&format!("id={value}; id~1=b"))),
            [value]
        );
    }
}

#[test]
fn as_many_are_handed_on_as_a_browser_keeps() {
    let transport = transport("id", 1);
    let numbers: Vec<String> = (0..MAX_TOKENS + 10).map(|n| n.to_string()).collect();
    let cookies: Vec<String> = numbers.iter().map(|n| format!("id={n}")).collect();
    assert_eq!(
        read(&transport, &header(&cookies.join("; "))),
        numbers[..MAX_TOKENS]
    );
}

/// A request with thousands of cookies of one name is not read thousands of times.
#[test]
fn many_cookies_of_one_name_are_read_a_few_times() {
    let transport = transport("id", 8);
    let first = format!("id=8.{};", token(piece_size("id")));
    let flood = header(&first.repeat(300));
    let reads = Cell::new(0);
    let headers = [&flood].into_iter().inspect(|_| reads.set(reads.get() + 1));
    transport.read(headers);
    assert!(reads.get() <= 2, "read {} times", reads.get());
}

#[test]
fn a_client_that_sent_no_cookie_is_told_to_forget_it_all_the_same() {
    for cookies in [1, 3] {
        let mut response = HeaderMap::new();
        transport("id", cookies).clear(&[], &mut response);
        let removals: Vec<_> = response.get_all(SET_COOKIE).iter().collect();
        assert_eq!(removals.len(), 1);
        assert!(removals[0].as_bytes().starts_with(b"id=;"));
    }
}

#[test]
fn what_stands_behind_bearer() {
    for (value, token) in [
        (&b"Bearer abc"[..], Some(&b"abc"[..])),
        (b"bEARER abc", Some(b"abc")),
        (b"Bearer  abc ", Some(b"abc")),
        (b"Bearer ", Some(b"")),
        (b"Bearer", None),
        (b"Bearerabc", None),
        (b"Basic abc", None),
        (b"", None),
    ] {
        assert_eq!(strip_bearer(value), token);
    }
}

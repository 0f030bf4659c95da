//! Tokens that are spread over several cookies.

use std::borrow::Cow;
use std::fmt::Write;

use http::HeaderValue;

use super::{as_text, pairs, value};
use crate::cookie_config::LARGEST;

/// The most cookies that a session is ever spread over: the first, whose name is that of the layer,
/// and eight pieces.
pub(crate) const MOST_COOKIES: usize = 9;

/// Stands between a cookie's name and the number of a piece. An application would hardly choose it,
/// and no layer may: `is_name_of_piece`.
const MARK: u8 = b'~';

pub(super) fn chunk_name(name: &str, at: usize) -> Cow<'_, str> {
    match at {
        0 => Cow::Borrowed(name),
        _ => Cow::Owned(format!("{name}{}{at}", char::from(MARK))),
    }
}

/// Whether pieces of another session might have this name.
pub(crate) fn is_name_of_piece(name: &str) -> bool {
    matches!(name.as_bytes(), [.., MARK, b'1'..=b'9'])
}

/// Characters of a token that fit into one of several cookies: the first one says how many
/// there are (`3.`), the names of the others have two more (`~1`).
pub(super) fn chunk_size(name: &str) -> usize {
    LARGEST - name.len() - 2
}

/// Into how many cookies a token was spread, and its first part; `None` if it is in one piece.
///
/// A first part is full. Others are not put together with the further parts, or a request with a
/// few large parts and many small first ones would take a lot of memory.
pub(super) fn head<'a>(text: &'a str, chunks: usize, name: &str) -> Option<(usize, &'a str)> {
    let (count, head) = text.split_once('.')?;
    match count.as_bytes() {
        [digit @ b'2'..=b'9']
            if usize::from(digit - b'0') <= chunks && head.len() == chunk_size(name) =>
        {
            Some((usize::from(digit - b'0'), head))
        }
        _ => None,
    }
}

/// The further parts of a token that was spread over several cookies, each the first of its name,
/// read in one go. What is missing, or left from another token, makes the whole fail to open,
/// nothing more.
pub(super) fn further<'a>(
    headers: impl Iterator<Item = &'a HeaderValue>,
    name: &str,
) -> [&'a str; MOST_COOKIES - 1] {
    let mut parts = [""; MOST_COOKIES - 1];
    for (at, value) in pieces(headers, name) {
        if at > 0 && parts[at - 1].is_empty() {
            parts[at - 1] = as_text(value);
        }
    }
    parts
}

/// Which cookies of a session are in a request: the first one, and each piece, however many are
/// written now.
pub(super) fn sent<'a>(
    headers: impl Iterator<Item = &'a HeaderValue>,
    name: &str,
) -> [bool; MOST_COOKIES] {
    let mut sent = [false; MOST_COOKIES];
    for (at, _) in pieces(headers, name) {
        sent[at] = true;
    }
    sent
}

/// The cookies of a session: which one it is, and its value.
fn pieces<'a>(
    headers: impl Iterator<Item = &'a HeaderValue>,
    name: &str,
) -> impl Iterator<Item = (usize, &'a [u8])> {
    pairs(headers).filter_map(|pair| {
        let rest = pair.strip_prefix(name.as_bytes())?;
        match rest {
            [MARK, digit @ b'1'..=b'8', rest @ ..] => {
                Some((usize::from(digit - b'0'), value(rest)?))
            }
            _ => Some((0, value(rest)?)),
        }
    })
}

/// Spreads a token over as few cookies as will hold it.
pub(super) fn split<'a>(
    token: &'a str,
    chunks: usize,
    name: &'a str,
) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
    if chunks == 1 || token.len() <= LARGEST - name.len() {
        return vec![(Cow::Borrowed(name), Cow::Borrowed(token))];
    }
    let parts = token.as_bytes().chunks(chunk_size(name));
    let count = parts.len();
    parts
        .enumerate()
        .map(|(at, part)| {
            let mut value = String::new();
            if at == 0 {
                let _ = write!(value, "{count}.");
            }
            value.push_str(as_text(part));
            (chunk_name(name, at), Cow::Owned(value))
        })
        .collect()
}

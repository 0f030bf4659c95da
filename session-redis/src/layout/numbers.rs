//! Numbers as the scripts write, read and compare them: decimal, with one spelling each.

use session_core::store::{StoreError, Tag};

use super::corrupt::damaged;

/// Takes numbers with a space between two, and leaves what follows.
pub(super) fn numbers<const N: usize>(text: &mut &[u8]) -> Result<[u64; N], StoreError> {
    let mut numbers = [0; N];
    for (at, number) in numbers.iter_mut().enumerate() {
        if at > 0 {
            *text = text.strip_prefix(b" ").ok_or_else(damaged)?;
        }
        *number = number_of(text).ok_or_else(damaged)?;
    }
    Ok(numbers)
}

/// Takes a space, a tag, and the space behind it.
pub(super) fn tag_of(text: &mut &[u8]) -> Result<Tag, StoreError> {
    let (tag, rest) = text
        .strip_prefix(b" ")
        .and_then(|rest| rest.split_at_checked(16))
        .ok_or_else(damaged)?;
    let tag = std::str::from_utf8(tag)
        .ok()
        .and_then(|tag| tag.parse().ok());
    *text = rest.strip_prefix(b" ").ok_or_else(damaged)?;
    tag.ok_or_else(damaged)
}

/// Takes the digits of one number. `+1` and `01` are not 1, because the scripts compare texts.
pub(super) fn number_of(text: &mut &[u8]) -> Option<u64> {
    let (mut number, mut rest) = (0_u64, *text);
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        number = number
            .checked_mul(10)?
            .checked_add(u64::from(digit - b'0'))?;
        rest = after;
    }
    let digits = text.len() - rest.len();
    if digits == 0 || (digits > 1 && text[0] == b'0') {
        return None;
    }
    *text = rest;
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::number_of;

    #[test]
    fn a_number_has_one_spelling() {
        for (digits, number, rest) in [
            ("0", Some(0), ""),
            ("18446744073709551615", Some(u64::MAX), ""),
            ("18446744073709551616", None, "18446744073709551616"),
            ("", None, ""),
            ("00", None, "00"),
            ("+1", None, "+1"),
            ("12a", Some(12), "a"),
        ] {
            let mut text = digits.as_bytes();
            assert_eq!(number_of(&mut text), number, "{digits}");
            assert_eq!(text, rest.as_bytes(), "{digits}");
        }
    }
}

//! How a session lies in Redis: as a hash or as one text.

pub(crate) mod fields;
pub(crate) mod packed;

use std::borrow::Cow;
use std::io::Write;
use std::sync::Arc;

use redis::{Cmd, RedisWrite, ToRedisArgs, Value as Reply};
use session_core::{Record, SessionId, StoreError};

/// How sessions lie in Redis; [`RedisStoreBuilder::layout`](crate::RedisStoreBuilder::layout) says
/// which a store writes. All laws hold in both.
///
/// The crate's documentation says [which to choose](crate#which-layout).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Layout {
    /// A hash, a field for each value: readable by people and other languages, and what requests of
    /// one session change in different keys is merged on the server.
    #[default]
    Fields,
    /// One text of the whole session, replaced by version: less memory and work for the server. Of
    /// two requests of one session that write at once the second one writes again, on top of
    /// the first.
    Packed,
}

impl Layout {
    /// The command that reads a session of this layout, and is refused for one of the other.
    pub(crate) const fn read(self) -> &'static str {
        match self {
            Self::Fields => "HGETALL",
            Self::Packed => "GET",
        }
    }

    /// What tells the scripts which layout to expect.
    pub(crate) const fn hint(self) -> &'static str {
        match self {
            Self::Fields => "",
            Self::Packed => "packed",
        }
    }

    /// How many arguments and bytes [`put_record`](Self::put_record) adds, about.
    pub(crate) fn sizes(self, record: &Record) -> (usize, usize) {
        match self {
            Self::Fields => fields::sizes(record),
            Self::Packed => packed::sizes(record),
        }
    }

    /// Adds a session to a command, as the scripts take it.
    pub(crate) fn put_record(self, record: &Record, command: &mut Cmd) {
        match self {
            Self::Fields => fields::put_record(record, command),
            Self::Packed => packed::put_record(record, command),
        }
    }
}

/// The names of all keys.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) prefix: String,
}

impl Names {
    pub(crate) fn session(&self, id: SessionId) -> Name<'_> {
        Name {
            prefix: &self.prefix,
            kind: "",
            rest: Cow::Owned(id.encode()),
        }
    }

    /// No id has a colon, so no session has this name.
    pub(crate) fn index<'a>(&'a self, principal: &'a str) -> Name<'a> {
        Name {
            prefix: &self.prefix,
            kind: "principal:",
            rest: Cow::Borrowed(principal),
        }
    }
}

/// The name of a key, put together where it is needed: in a command.
pub(crate) struct Name<'a> {
    prefix: &'a str,
    kind: &'static str,
    rest: Cow<'a, str>,
}

impl Name<'_> {
    pub(crate) fn len(&self) -> usize {
        self.prefix.len() + self.kind.len() + self.rest.len()
    }
}

impl ToRedisArgs for Name<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        Parts([self.prefix, self.kind, &self.rest].map(str::as_bytes)).write_redis_args(out);
    }
}

/// The record in a reply to what reads a session, or in a conflict: its form tells the layout.
pub(crate) fn read_record(id: SessionId, reply: Reply) -> Result<Option<Arc<Record>>, StoreError> {
    match reply {
        Reply::Nil => Ok(None),
        Reply::BulkString(text) => packed::read_record(id, &text.into()).map(Some),
        reply => fields::read_record(id, reply),
    }
}

/// One argument of several parts.
pub(crate) struct Parts<'a, const N: usize>(pub(crate) [&'a [u8]; N]);

impl<const N: usize> ToRedisArgs for Parts<'_, N> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let mut argument = out.writer_for_next_arg();
        for part in self.0 {
            // It goes to memory, so it cannot fail.
            let written = argument.write_all(part);
            debug_assert!(written.is_ok());
        }
    }
}

/// An answer that no server gives to what was asked.
pub(crate) fn unexpected() -> StoreError {
    StoreError::corrupt("an answer of the server is not of the expected form")
}

/// What another program has changed.
fn damaged() -> StoreError {
    StoreError::corrupt("a field of the metadata is not what was written")
}

/// Takes numbers with a space between two, and leaves what follows.
fn numbers<const N: usize>(text: &mut &[u8]) -> Result<[u64; N], StoreError> {
    let mut numbers = [0; N];
    for (at, number) in numbers.iter_mut().enumerate() {
        if at > 0 {
            *text = text.strip_prefix(b" ").ok_or_else(damaged)?;
        }
        *number = number_of(text).ok_or_else(damaged)?;
    }
    Ok(numbers)
}

/// Takes digits, as the scripts read and compare them: `+1` and `01` are not 1.
fn number_of(text: &mut &[u8]) -> Option<u64> {
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
    #![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

    use redis::ToRedisArgs;
    use session_core::SessionId;

    use super::{Name, Names, number_of};

    #[test]
    fn names_of_keys() {
        let names = Names {
            prefix: "session:".to_owned(),
        };
        let text = |name: Name<'_>| {
            let [text] = &name.to_redis_args()[..] else {
                panic!("one argument")
            };
            assert_eq!(name.len(), text.len());
            String::from_utf8(text.clone()).unwrap()
        };
        let session = names.session(SessionId::from_bytes([7; 16]));
        assert_eq!(text(session), "session:BwcHBwcHBwcHBwcHBwcHBw");
        assert_eq!(text(names.index("user:42")), "session:principal:user:42");
    }

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

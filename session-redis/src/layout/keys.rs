//! The names of keys.

use std::borrow::Cow;

use redis::{RedisWrite, ToRedisArgs};
use session_core::SessionId;

use super::arguments::Parts;

/// The names of all keys of a store.
#[derive(Clone, Debug)]
pub(crate) struct KeyNames {
    pub(crate) prefix: String,
}

impl KeyNames {
    pub(crate) fn session(&self, id: SessionId) -> KeyName<'_> {
        KeyName {
            prefix: &self.prefix,
            kind: "",
            rest: Cow::Owned(id.encode()),
        }
    }

    /// No id has a colon, so no session has this name.
    pub(crate) fn index<'a>(&'a self, principal: &'a str) -> KeyName<'a> {
        KeyName {
            prefix: &self.prefix,
            kind: "principal:",
            rest: Cow::Borrowed(principal),
        }
    }
}

/// The name of a key. It is put together in the command, without a copy of its own.
pub(crate) struct KeyName<'a> {
    prefix: &'a str,
    kind: &'static str,
    rest: Cow<'a, str>,
}

impl KeyName<'_> {
    pub(crate) fn len(&self) -> usize {
        self.prefix.len() + self.kind.len() + self.rest.len()
    }
}

impl ToRedisArgs for KeyName<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        Parts([self.prefix, self.kind, &self.rest].map(str::as_bytes)).write_redis_args(out);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

    use super::*;

    #[test]
    fn names_of_keys() {
        let names = KeyNames {
            prefix: "session:".to_owned(),
        };
        let text = |name: KeyName<'_>| {
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
}

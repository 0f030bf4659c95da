//! The names of keys.

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
            rest: Rest::of_id(id),
        }
    }

    /// Any name of this store.
    pub(crate) fn with<'a>(&'a self, rest: &'a str) -> KeyName<'a> {
        KeyName {
            prefix: &self.prefix,
            kind: "",
            rest: Rest::Text(rest),
        }
    }

    /// No id has a colon, so no session has this name.
    pub(crate) fn index<'a>(&'a self, principal: &'a str) -> KeyName<'a> {
        KeyName {
            prefix: &self.prefix,
            kind: "principal:",
            rest: Rest::Text(principal),
        }
    }
}

/// The name of a key. It is put together in the command, without a copy of its own.
pub(crate) struct KeyName<'a> {
    prefix: &'a str,
    kind: &'static str,
    rest: Rest<'a>,
}

enum Rest<'a> {
    /// The letters of an id. They are not on the heap, since each call has a key.
    Id([u8; 22]),
    Text(&'a str),
}

impl Rest<'_> {
    fn of_id(id: SessionId) -> Self {
        let mut letters = [0; 22];
        id.encode_to(&mut letters);
        Self::Id(letters)
    }

    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Id(letters) => letters,
            Self::Text(text) => text.as_bytes(),
        }
    }
}

impl KeyName<'_> {
    pub(crate) fn len(&self) -> usize {
        self.prefix.len() + self.kind.len() + self.rest.as_bytes().len()
    }
}

impl ToRedisArgs for KeyName<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let (prefix, kind) = (self.prefix.as_bytes(), self.kind.as_bytes());
        Parts([prefix, kind, self.rest.as_bytes()]).write_redis_args(out);
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

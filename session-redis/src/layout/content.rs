//! Which content of a session is stored: its version and tag, as both layouts write them.

use std::io::Write;

use redis::{Cmd, RedisWrite, ToRedisArgs};
use session_core::store::{Record, Tag, Update};

use super::arguments::put_written;
use super::numbers::{number_of, tag_of};

/// `5 0123456789abcdef `: what the scripts compare to learn whether a content is still the stored
/// one. Without a tag the version alone is compared.
#[derive(Clone, Copy)]
pub(crate) struct Content {
    version: u64,
    tag: Option<Tag>,
}

impl Content {
    /// That of a record that was loaded, or written before.
    pub(crate) fn of(record: &Record) -> Self {
        Self {
            version: record.version(),
            tag: record.tag(),
        }
    }

    /// That of a record that is to be written. It always has a tag.
    pub(super) fn to_store(record: &Record) -> Self {
        Self {
            tag: record.tag().or_else(|| Some(Tag::draw())),
            ..Self::of(record)
        }
    }

    /// That from which an update was made.
    pub(crate) fn of_base(update: &Update) -> Self {
        Self {
            version: update.base_version(),
            tag: update.base_tag(),
        }
    }

    /// That which an update has to meet.
    pub(crate) fn expected(update: &Update) -> Option<Self> {
        let version = update.expected_version()?;
        let base = Self::of_base(update);
        Some(match version == base.version {
            true => base,
            false => Self { version, tag: None },
        })
    }

    /// Whether a text begins with it.
    pub(super) fn begins(self, mut text: &[u8]) -> bool {
        number_of(&mut text) == Some(self.version)
            && self
                .tag
                .is_none_or(|tag| tag_of(&mut text).ok() == Some(tag))
    }

    pub(super) fn write(self, text: &mut dyn Write) -> std::io::Result<()> {
        match self.tag {
            Some(tag) => write!(text, "{} {tag} ", self.version),
            None => write!(text, "{} ", self.version),
        }
    }
}

impl ToRedisArgs for Content {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        put_written(out, |text| self.write(text));
    }
}

/// Adds the tag of a record that is to be written. It always has one.
pub(crate) fn put_tag(record: &Record, call: &mut Cmd) {
    call.arg(TagOf(record));
}

struct TagOf<'a>(&'a Record);

impl ToRedisArgs for TagOf<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let tag = self.0.tag().unwrap_or_else(Tag::draw);
        put_written(out, |text| write!(text, "{tag}"));
    }
}

//! A session as one text: the line that the scripts decide by, the principal, and the record.
//!
//! `0 4 6b1f0c6d2a90e3f4 1795316260737 0 1796525860737 7200000 7`, a line break, `user:42`, and
//! [`Record::encode`]. The line has: the version with which probation began, or 0; version; tag;
//! time last seen; epoch; deadline; idle timeout; the length of the principal, or nothing if there
//! is none. The 0 comes first because the scripts put a version in its place.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use redis::{Cmd, RedisWrite, ToRedisArgs};
use session_core::SessionId;
use session_core::store::{Record, StoreError};

use super::arguments::put_written;
use super::content::Content;
use super::corrupt::{contradiction, damaged};
use super::numbers::{number_of, numbers, tag_of};

/// The line is shorter than this, whatever the numbers are.
const LINE: usize = 160;

/// About how many arguments and bytes [`put_record`] adds.
pub(super) fn sizes(record: &Record) -> (usize, usize) {
    (
        1,
        LINE + record.principal().map_or(0, str::len) + record.size(),
    )
}

/// Adds a session to a command, off probation.
pub(super) fn put_record(record: &Record, command: &mut Cmd) {
    command.arg(Text::Whole(record));
}

/// Adds how the text of a session begins, off probation, with this content. The scripts decide by
/// nothing else.
pub(crate) fn put_beginning(record: &Record, content: Content, command: &mut Cmd) {
    command.arg(Text::Beginning(record, content));
}

enum Text<'a> {
    Whole(&'a Record),
    Beginning(&'a Record, Content),
}

impl ToRedisArgs for Text<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        put_written(out, |text| self.write(text));
    }
}

impl Text<'_> {
    fn write(&self, text: &mut dyn Write) -> std::io::Result<()> {
        match *self {
            Self::Whole(record) => {
                Self::Beginning(record, Content::to_store(record)).write(text)?;
                text.write_all(&record.encode())
            }
            Self::Beginning(record, content) => {
                let seen = record.last_seen().as_millis();
                let (epoch, deadline) = (record.epoch(), record.absolute_expiry().as_millis());
                let idle = record.lifetime().idle().as_millis();
                text.write_all(b"0 ")?;
                content.write(text)?;
                write!(text, "{seen} {epoch} {deadline} {idle} ")?;
                match record.principal() {
                    Some(principal) => write!(text, "{}\n{principal}", principal.len()),
                    None => text.write_all(b"\n"),
                }
            }
        }
    }
}

/// Whether a text still has this content.
pub(crate) fn is_still(content: Content, mut text: &[u8]) -> bool {
    // The version with which probation began comes first.
    number_of(&mut text).is_some()
        && text
            .strip_prefix(b" ")
            .is_some_and(|rest| content.begins(rest))
}

/// The record in a text. Its line has to say the same as the record: the scripts decide by the
/// line.
pub(super) fn read_record(id: SessionId, text: &Bytes) -> Result<Arc<Record>, StoreError> {
    let mut rest = &text[..];
    let [_probation, version] = numbers(&mut rest)?;
    let tag = tag_of(&mut rest)?;
    let [seen, epoch, deadline, idle] = numbers(&mut rest)?;
    rest = rest.strip_prefix(b" ").ok_or_else(damaged)?;
    let mut principal = None;
    if let Some(length) = number_of(&mut rest) {
        let parts = usize::try_from(length).ok().and_then(|length| {
            let named = rest.strip_prefix(b"\n")?;
            named.split_at_checked(length)
        });
        let (name, after) = parts.ok_or_else(damaged)?;
        (principal, rest) = (Some(name), after);
    } else {
        rest = rest.strip_prefix(b"\n").ok_or_else(damaged)?;
    }
    let record = Record::decode(text.slice_ref(rest))?;
    let line = (
        record.version(),
        record.last_seen().as_millis(),
        record.epoch(),
        record.absolute_expiry().as_millis(),
        record.lifetime().idle().as_millis(),
    );
    let owned = record.principal().map(str::as_bytes) == principal;
    if record.id() != id || line != (version, seen, epoch, deadline, u128::from(idle)) || !owned {
        return Err(contradiction());
    }
    Ok(Arc::new(record.with_tag(Some(tag))))
}

#[cfg(test)]
mod tests;

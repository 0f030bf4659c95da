//! A session as one text: the line that the scripts decide by, the principal, and the record.
//!
//! `0 4 1795316260737 0 1796525860737 7200000 7`, a line break, `user:42`, and [`Record::encode`].
//! The numbers of the line are: the version with which probation began, or 0; version; time last
//! seen; epoch; deadline; idle timeout; the length of the principal, or nothing if there is none.
//! The 0 comes first because the scripts put a version in its place.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use redis::{Cmd, RedisWrite, ToRedisArgs};
use session_core::SessionId;
use session_core::store::{Record, StoreError};

use super::arguments::put_written;
use super::corrupt::{contradiction, damaged};
use super::numbers::{number_of, numbers};

/// The line is shorter than this, whatever the numbers are.
const LINE: usize = 128;

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

/// Adds how the text of a session begins, off probation, in this version. The scripts decide by
/// nothing else.
pub(crate) fn put_beginning(record: &Record, version: u64, command: &mut Cmd) {
    command.arg(Text::Beginning(record, version));
}

enum Text<'a> {
    Whole(&'a Record),
    Beginning(&'a Record, u64),
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
                Self::Beginning(record, record.version()).write(text)?;
                text.write_all(&record.encode())
            }
            Self::Beginning(record, version) => {
                let seen = record.last_seen().as_millis();
                let (epoch, deadline) = (record.epoch(), record.absolute_expiry().as_millis());
                let idle = record.lifetime().idle().as_millis();
                write!(text, "0 {version} {seen} {epoch} {deadline} {idle} ")?;
                match record.principal() {
                    Some(principal) => write!(text, "{}\n{principal}", principal.len()),
                    None => text.write_all(b"\n"),
                }
            }
        }
    }
}

/// The record in a text. Its line has to say the same as the record: the scripts decide by the
/// line.
pub(super) fn read_record(id: SessionId, text: &Bytes) -> Result<Arc<Record>, StoreError> {
    let mut rest = &text[..];
    let [_probation, version, seen, epoch, deadline, idle] = numbers(&mut rest)?;
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
    Ok(Arc::new(record))
}

#[cfg(test)]
mod tests;

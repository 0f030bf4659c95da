//! A session as one text: a line that the scripts decide by, the principal, and the record.
//!
//! `0 4 1795316260737 0 1796525860737 7200000 7`, a line break, `user:42`, and [`Record::encode`].
//! The line: with which version its probation began, or 0; version, time last seen, epoch,
//! deadline, idle timeout; and how long the principal is, or nothing. The scripts put a number in
//! the place of the 0, so it comes first.

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use redis::{Cmd, RedisWrite, ToRedisArgs};
use session_core::{Record, SessionId, StoreError};

use super::{damaged, number_of, numbers};

/// The line is shorter, whatever the numbers.
const LINE: usize = 128;

/// How many arguments and bytes [`put_record`] adds, about.
pub(super) fn sizes(record: &Record) -> (usize, usize) {
    (
        1,
        LINE + record.principal().map_or(0, str::len) + record.size(),
    )
}

/// Adds a session to a command, off probation.
pub(super) fn put_record(record: &Record, command: &mut Cmd) {
    command.arg(Text {
        record,
        version: record.version(),
        whole: true,
    });
}

/// Adds how the text of a session begins, off probation: all that the scripts decide by.
pub(crate) fn put_beginning(record: &Record, version: u64, command: &mut Cmd) {
    command.arg(Text {
        record,
        version,
        whole: false,
    });
}

struct Text<'a> {
    record: &'a Record,
    version: u64,
    whole: bool,
}

impl ToRedisArgs for Text<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let mut text = out.writer_for_next_arg();
        // It goes to memory, so it cannot fail.
        let written = self.write(&mut text);
        debug_assert!(written.is_ok());
    }
}

impl Text<'_> {
    fn write(&self, text: &mut impl Write) -> std::io::Result<()> {
        let Self {
            record, version, ..
        } = self;
        let (seen, deadline) = (
            record.last_seen().as_millis(),
            record.deadline().as_millis(),
        );
        let (epoch, idle) = (record.epoch(), record.lifetime().idle().as_millis());
        write!(text, "0 {version} {seen} {epoch} {deadline} {idle} ")?;
        match record.principal() {
            Some(principal) => write!(text, "{}\n{principal}", principal.len())?,
            None => text.write_all(b"\n")?,
        }
        match self.whole {
            true => text.write_all(&record.encode()),
            false => Ok(()),
        }
    }
}

/// The record in a text. Its line says the same as the record, or the scripts would decide by
/// something else.
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
    let told = (
        record.version(),
        record.last_seen().as_millis(),
        record.epoch(),
        record.deadline().as_millis(),
        record.lifetime().idle().as_millis(),
    );
    let owned = record.principal().map(str::as_bytes) == principal;
    if record.id() != id || told != (version, seen, epoch, deadline, u128::from(idle)) || !owned {
        return Err(StoreError::corrupt("the metadata contradicts itself"));
    }
    Ok(Arc::new(record))
}

#[cfg(test)]
mod tests;

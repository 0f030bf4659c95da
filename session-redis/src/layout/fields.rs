//! A session as a hash: names of fields, and what is in them.

use std::io::Write;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use redis::{Cmd, RedisWrite, ToRedisArgs, Value as Reply};
use session_core::{
    ByteString, Codec, FormatError, Record, SessionId, StoreError, Timestamp, Value, Values,
};

use super::{Parts, damaged, numbers, unexpected};

/// Before the key of each value, in the name of its field; nothing else begins with it.
const VALUE: u8 = b'.';
/// The metadata, in pieces; what is too long for that lies in the first.
const METADATA: [&str; 4] = ["m", "m1", "m2", "m3"];
/// The server keeps a hash in half the memory whose fields are all this short, unless it is told
/// otherwise.
const PIECE: usize = 64;
const STATE: &str = "s";
const HEAD: &str = "h";
const PRINCIPAL: &str = "p";
/// What a value begins with that is no JSON: no JSON does. Its codec's tag follows.
const TAGGED: u8 = 0;

/// What the scripts decide by, as a text of numbers.
pub(crate) enum Told<'a> {
    /// Beside the metadata that the server does not read: epoch, deadline, idle timeout, and the
    /// size without values.
    Head(&'a Record),
    /// What every update moves: version, time last seen, size and number of the values.
    State(&'a Record),
    /// How the state begins of the version that a record was made from, which was active when this
    /// one was.
    StateBefore(&'a Record, u64),
}

impl ToRedisArgs for Told<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let mut text = out.writer_for_next_arg();
        // It goes to memory, so it cannot fail.
        let written = self.write(&mut text);
        debug_assert!(written.is_ok());
    }
}

impl Told<'_> {
    fn write(&self, text: &mut impl Write) -> std::io::Result<()> {
        match self {
            Self::Head(record) => {
                let (epoch, deadline) = (record.epoch(), record.deadline().as_millis());
                let size = record.limited_size() - size_of(record.values());
                write!(
                    text,
                    "{epoch} {deadline} {} {size}",
                    record.lifetime().idle().as_millis()
                )
            }
            Self::State(record) => {
                let values = record.values();
                Self::StateBefore(record, record.version()).write(text)?;
                write!(text, "{} {}", size_of(values), values.len())
            }
            Self::StateBefore(record, version) => {
                write!(text, "{version} {} ", record.last_seen().as_millis())
            }
        }
    }
}

fn size_of(values: &Values) -> usize {
    values
        .iter()
        .map(|(key, value)| Values::entry_size(key, value))
        .sum()
}

/// Adds all fields of a session to a command, names and values by turns.
pub(crate) fn put_record(record: &Record, command: &mut Cmd) {
    command.arg(STATE).arg(Told::State(record));
    command.arg(HEAD).arg(Told::Head(record));
    let metadata = record.encode_metadata();
    for (name, piece) in METADATA.iter().zip(pieces(&metadata)) {
        command.arg(*name).arg(piece);
    }
    if let Some(principal) = record.principal() {
        command.arg(PRINCIPAL).arg(principal);
    }
    for (key, value) in record.values().iter() {
        put_name(key, command);
        put_value(value, command);
    }
}

/// What the fields of the metadata hold, one after the other.
pub(crate) fn pieces(metadata: &[u8]) -> impl ExactSizeIterator<Item = &[u8]> {
    match metadata.len() <= PIECE * METADATA.len() {
        true => metadata.chunks(PIECE),
        false => metadata.chunks(metadata.len()),
    }
}

/// The metadata of these pieces; `None` if one is missing.
fn whole(pieces: [Option<Bytes>; METADATA.len()]) -> Option<Bytes> {
    let last = pieces.iter().rposition(Option::is_some)?;
    let mut pieces = pieces.into_iter().take(last + 1);
    if last == 0 {
        return pieces.next()?;
    }
    let mut whole = Vec::with_capacity(PIECE * METADATA.len());
    for piece in pieces {
        whole.extend_from_slice(&piece?);
    }
    Some(whole.into())
}

/// How many arguments and bytes [`put_record`] adds, about.
pub(crate) fn sizes(record: &Record) -> (usize, usize) {
    (16 + 2 * record.values().len(), 160 + record.size())
}

/// Adds the name of a value's field.
pub(crate) fn put_name(key: &str, command: &mut Cmd) {
    command.arg(Parts([&[VALUE], key.as_bytes()]));
}

/// Adds a value: JSON as it is, so that people and other languages can read it.
pub(crate) fn put_value(value: &Value, command: &mut Cmd) {
    let bytes = value.bytes();
    if value.codec() == Codec::Json && bytes.first() != Some(&TAGGED) {
        command.arg(bytes);
    } else {
        command.arg(Parts([&[TAGGED, value.codec().tag()], bytes]));
    }
}

/// The record in a reply of all fields; `None` if nothing that makes a session is among them.
pub(crate) fn read_record(id: SessionId, reply: Reply) -> Result<Option<Arc<Record>>, StoreError> {
    let mut found = Found::default();
    // Pairs of field and content: a map to a new protocol, a flat list to an old one and from
    // scripts.
    match reply {
        Reply::Map(pairs) => {
            found.values.reserve(pairs.len());
            for (name, content) in pairs {
                found.put(bytes(name)?, bytes(content)?);
            }
        }
        Reply::Array(items) => {
            found.values.reserve(items.len() / 2);
            let mut items = items.into_iter();
            while let (Some(name), Some(content)) = (items.next(), items.next()) {
                found.put(bytes(name)?, bytes(content)?);
            }
        }
        _ => return Err(unexpected()),
    }
    found.record(id)
}

/// What was among the fields.
#[derive(Default)]
struct Found {
    metadata: [Option<Bytes>; METADATA.len()],
    state: Option<Bytes>,
    head: Option<Bytes>,
    principal: Option<Bytes>,
    values: Vec<(ByteString, Value)>,
    /// The first value that cannot be read.
    failure: Option<StoreError>,
}

impl Found {
    fn put(&mut self, name: Bytes, content: Bytes) {
        if name.first() == Some(&VALUE) {
            match (key(name), value(content)) {
                (Ok(key), Ok(value)) => self.values.push((key, value)),
                (Err(failure), _) | (_, Err(failure)) => {
                    self.failure.get_or_insert(failure);
                }
            }
            return;
        }
        match &*name {
            b"s" => self.state = Some(content),
            b"h" => self.head = Some(content),
            b"p" => self.principal = Some(content),
            // What other programs add is theirs.
            name => {
                if let Some(at) = METADATA.iter().position(|known| known.as_bytes() == name) {
                    self.metadata[at] = Some(content);
                }
            }
        }
    }

    fn record(self, id: SessionId) -> Result<Option<Arc<Record>>, StoreError> {
        let none = self.state.is_none()
            && self.head.is_none()
            && self.metadata.iter().all(Option::is_none);
        let (Some(metadata), Some(state), Some(expected)) =
            (whole(self.metadata), self.state, self.head)
        else {
            // What other programs leave under a session's name is none, unless it was one.
            return match none {
                true => Ok(None),
                false => Err(StoreError::corrupt("a field of the metadata is missing")),
            };
        };
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let [version, seen, _size, _count] = all_numbers(&state)?;
        let seen = Timestamp::from_millis(seen);
        let values = self.values.into_iter().collect();
        let record = Record::from_parts(metadata, version, seen, values)?;
        let [epoch, deadline, idle, _size] = all_numbers(&expected)?;
        let told = (
            record.epoch(),
            record.deadline().as_millis(),
            record.lifetime().idle().as_millis(),
        );
        let owned = record.principal().map(str::as_bytes) == self.principal.as_deref();
        if record.id() != id || told != (epoch, deadline, u128::from(idle)) || !owned {
            return Err(StoreError::corrupt("the metadata contradicts itself"));
        }
        Ok(Some(Arc::new(record)))
    }
}

/// Four numbers and nothing else.
fn all_numbers(mut text: &[u8]) -> Result<[u64; 4], StoreError> {
    let numbers = numbers(&mut text)?;
    match text.is_empty() {
        true => Ok(numbers),
        false => Err(damaged()),
    }
}

fn bytes(reply: Reply) -> Result<Bytes, StoreError> {
    match reply {
        Reply::BulkString(bytes) => Ok(bytes.into()),
        Reply::SimpleString(text) => Ok(text.into()),
        _ => Err(unexpected()),
    }
}

fn key(mut name: Bytes) -> Result<ByteString, StoreError> {
    name.advance(1);
    ByteString::try_from(name).map_err(|_| StoreError::corrupt("the name of a value is not UTF-8"))
}

fn value(mut content: Bytes) -> Result<Value, StoreError> {
    if content.first() != Some(&TAGGED) {
        return Ok(Value::new(Codec::Json, content));
    }
    let codec = content.get(1).and_then(|tag| Codec::from_tag(*tag));
    let codec = codec.ok_or(FormatError::Damaged("codec of a value"))?;
    content.advance(2);
    Ok(Value::new(codec, content))
}

#[cfg(test)]
mod tests;

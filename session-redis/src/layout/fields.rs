//! A session as a hash: the names of its fields, and what they hold.

use std::io::Write;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use redis::{Cmd, RedisWrite, ToRedisArgs, Value as Reply};
use session_core::store::{ByteString, FormatError, Record, StoreError, Tag, Value, Values};
use session_core::{Codec, SessionId, Timestamp};

use super::arguments::{Parts, put_written};
use super::content::Content;
use super::corrupt::{contradiction, damaged, unexpected};
use super::numbers::{numbers, tag_of};

/// Before the key of each value, in the name of its field; nothing else begins with it.
const VALUE: u8 = b'.';
/// The metadata, in pieces. What is too long for that is all in the first one.
const METADATA: [&str; 4] = ["m", "m1", "m2", "m3"];
/// The server needs half the memory for a hash whose fields are all this short, by its default
/// settings.
const PIECE: usize = 64;
const STATE: &str = "s";
const HEAD: &str = "h";
const PRINCIPAL: &str = "p";
/// The first byte of a value that is not JSON, since no JSON begins with it. The codec's tag
/// follows.
const TAGGED: u8 = 0;

/// Texts of values up to this length are kept together. To copy longer ones costs more than a piece
/// of the heap for each.
const SHORT: usize = 256;

/// The texts of numbers that the scripts decide by.
pub(crate) enum Summary<'a> {
    /// The field `h`: epoch, deadline, idle timeout, and the size without values.
    Head(&'a Record),
    /// The field `s`, which every update moves: version, tag, time last seen, size and number of
    /// values.
    State(&'a Record),
}

impl ToRedisArgs for Summary<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        put_written(out, |text| self.write(text));
    }
}

impl Summary<'_> {
    fn write(&self, text: &mut dyn Write) -> std::io::Result<()> {
        match self {
            Self::Head(record) => {
                let (epoch, deadline) = (record.epoch(), record.absolute_expiry().as_millis());
                let idle = record.lifetime().idle().as_millis();
                let size = record.limited_size() - size_of(record.values());
                write!(text, "{epoch} {deadline} {idle} {size}")
            }
            Self::State(record) => {
                let values = record.values();
                Content::to_store(record).write(text)?;
                let seen = record.last_seen().as_millis();
                write!(text, "{seen} {} {}", size_of(values), values.len())
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

/// Adds all fields of a session to a command: each name, then its value.
pub(super) fn put_record(record: &Record, command: &mut Cmd) {
    command.arg(STATE).arg(Summary::State(record));
    command.arg(HEAD).arg(Summary::Head(record));
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

/// The metadata as its fields hold it.
pub(crate) fn pieces(metadata: &[u8]) -> impl ExactSizeIterator<Item = &[u8]> {
    match metadata.len() <= PIECE * METADATA.len() {
        true => metadata.chunks(PIECE),
        false => metadata.chunks(metadata.len()),
    }
}

/// The metadata of these pieces; `None` if one is missing.
fn whole(pieces: [Option<Vec<u8>>; METADATA.len()]) -> Option<Bytes> {
    let last = pieces.iter().rposition(Option::is_some)?;
    let mut pieces = pieces.into_iter().take(last + 1);
    if last == 0 {
        return pieces.next()?.map(Bytes::from);
    }
    let mut whole = Vec::with_capacity(PIECE * METADATA.len());
    for piece in pieces {
        whole.extend_from_slice(&piece?);
    }
    Some(whole.into())
}

/// About how many arguments and bytes [`put_record`] adds.
pub(super) fn sizes(record: &Record) -> (usize, usize) {
    (16 + 2 * record.values().len(), 160 + record.size())
}

/// Adds the name of a value's field.
pub(crate) fn put_name(key: &str, command: &mut Cmd) {
    command.arg(Parts([&[VALUE], key.as_bytes()]));
}

/// Adds a value. JSON is stored as it is, so that people and other languages can read it.
pub(crate) fn put_value(value: &Value, command: &mut Cmd) {
    let bytes = value.bytes();
    if value.codec() == Codec::Json && bytes.first() != Some(&TAGGED) {
        command.arg(bytes);
    } else {
        command.arg(Parts([&[TAGGED, value.codec().tag()], bytes]));
    }
}

/// The record in an answer of all fields, or `None` if no field of a session is among them.
pub(super) fn read_record(id: SessionId, reply: Reply) -> Result<Option<Arc<Record>>, StoreError> {
    // Pairs of name and content: a map in RESP3, a flat list in RESP2 and from scripts.
    match reply {
        Reply::Map(pairs) => {
            let all = pairs.iter().map(|(name, content)| (name, content));
            let mut fields = RawFields::with_room(all);
            for (name, content) in pairs {
                fields.put(bytes(name)?, bytes(content)?);
            }
            fields.record(id)
        }
        Reply::Array(items) => {
            let all = items.chunks_exact(2).map(|pair| (&pair[0], &pair[1]));
            let mut fields = RawFields::with_room(all);
            let mut items = items.into_iter();
            while let (Some(name), Some(content)) = (items.next(), items.next()) {
                fields.put(bytes(name)?, bytes(content)?);
            }
            fields.record(id)
        }
        _ => Err(unexpected()),
    }
}

/// The fields of an answer, not checked against each other yet.
#[derive(Default)]
struct RawFields {
    /// Where short texts of values are kept together. In the answer each has its own piece of the
    /// heap, and a record would be as many pieces.
    short: BytesMut,
    metadata: [Option<Vec<u8>>; METADATA.len()],
    state: Option<Vec<u8>>,
    head: Option<Vec<u8>>,
    principal: Option<Vec<u8>>,
    values: Vec<(ByteString, Value)>,
    /// The first value that cannot be read.
    failure: Option<StoreError>,
}

impl RawFields {
    fn with_room<'a>(all: impl Iterator<Item = (&'a Reply, &'a Reply)>) -> Self {
        let (mut count, mut size) = (0, 0);
        for (name, content) in all {
            if let (Reply::BulkString(name), Reply::BulkString(content)) = (name, content)
                && name.first() == Some(&VALUE)
            {
                count += 1;
                let short = [name, content].map(Vec::len).into_iter();
                size += short.filter(|length| *length <= SHORT).sum::<usize>();
            }
        }
        Self {
            short: BytesMut::with_capacity(size),
            values: Vec::with_capacity(count),
            ..Self::default()
        }
    }

    fn keep(&mut self, text: Vec<u8>) -> Bytes {
        if text.len() > SHORT {
            return text.into();
        }
        self.short.extend_from_slice(&text);
        self.short.split().freeze()
    }

    fn put(&mut self, name: Vec<u8>, content: Vec<u8>) {
        if name.first() == Some(&VALUE) {
            let (name, content) = (self.keep(name), self.keep(content));
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
            // Fields that other programs add are ignored.
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
        let (Some(metadata), Some(state), Some(head)) =
            (whole(self.metadata), self.state, self.head)
        else {
            // A hash that other programs left under a session's name is no session.
            return match none {
                true => Ok(None),
                false => Err(StoreError::corrupt("a field of the metadata is missing")),
            };
        };
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let (version, tag, [seen, _size, _count]) = state_of(&state)?;
        let seen = Timestamp::from_millis(seen);
        let values = self.values.into_iter().collect();
        let record = Record::from_parts(metadata, version, seen, values)?;
        let [epoch, deadline, idle, _size] = all_numbers(&head)?;
        let summary = (
            record.epoch(),
            record.absolute_expiry().as_millis(),
            record.lifetime().idle().as_millis(),
        );
        let owned = record.principal().map(str::as_bytes) == self.principal.as_deref();
        if record.id() != id || summary != (epoch, deadline, u128::from(idle)) || !owned {
            return Err(contradiction());
        }
        Ok(Some(Arc::new(record.with_tag(Some(tag)))))
    }
}

/// Version, tag, and the other numbers of the field `s`.
fn state_of(mut text: &[u8]) -> Result<(u64, Tag, [u64; 3]), StoreError> {
    let [version] = numbers(&mut text)?;
    let tag = tag_of(&mut text)?;
    Ok((version, tag, all_numbers(text)?))
}

/// Some numbers and nothing else.
fn all_numbers<const N: usize>(mut text: &[u8]) -> Result<[u64; N], StoreError> {
    let numbers = numbers(&mut text)?;
    text.is_empty().then_some(numbers).ok_or_else(damaged)
}

fn bytes(reply: Reply) -> Result<Vec<u8>, StoreError> {
    match reply {
        Reply::BulkString(bytes) => Ok(bytes),
        Reply::SimpleString(text) => Ok(text.into_bytes()),
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

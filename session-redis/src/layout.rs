//! How a session lies in Redis: names of keys and fields, and what is in them.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use redis::{Cmd, Value as Reply};
use session_core::{ByteString, Codec, FormatError, Record, SessionId, StoreError, Timestamp, Value, Values};

/// Before the key of each value, in the name of its field; nothing else begins with it.
const VALUE: u8 = b'.';
const METADATA: &str = "m";
const STATE: &str = "s";
const HEAD: &str = "h";
const PRINCIPAL: &str = "p";
/// What a value begins with that is no JSON: no JSON does. Its codec's tag follows.
const TAGGED: u8 = 0;

/// The names of all keys.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) prefix: String,
}

impl Names {
    pub(crate) fn session(&self, id: SessionId) -> String {
        format!("{}{}", self.prefix, id.encode())
    }

    /// No id has a colon, so no session has this name.
    pub(crate) fn index(&self, principal: &str) -> String {
        format!("{}principal:{principal}", self.prefix)
    }
}

/// What an update decides by, beside the metadata that the server does not read: epoch, deadline, idle
/// timeout, and the size without values.
pub(crate) fn head(record: &Record) -> String {
    let size = record.limited_size() - size_of(record.values());
    let (epoch, deadline) = (record.epoch(), record.deadline().as_millis());
    format!(
        "{epoch} {deadline} {} {size}",
        record.lifetime().idle().as_millis()
    )
}

/// What every update moves: version, time last seen, size and number of the values.
fn state(record: &Record) -> String {
    let values = record.values();
    let (version, seen) = (record.version(), record.last_seen().as_millis());
    format!("{version} {seen} {} {}", size_of(values), values.len())
}

fn size_of(values: &Values) -> usize {
    values
        .iter()
        .map(|(key, value)| Values::entry_size(key, value))
        .sum()
}

/// Adds all fields of a session to a command, names and values by turns.
pub(crate) fn put_record(record: &Record, command: &mut Cmd) {
    command.arg(STATE).arg(state(record)).arg(HEAD).arg(head(record));
    command.arg(METADATA).arg(record.encode_metadata());
    if let Some(principal) = record.principal() {
        command.arg(PRINCIPAL).arg(principal);
    }
    for (key, value) in record.values().iter() {
        put_name(key, command);
        put_value(value, command);
    }
}

/// How many arguments and bytes [`put_record`] adds, about.
pub(crate) fn sizes(record: &Record) -> (usize, usize) {
    (8 + 2 * record.values().len(), 128 + record.size())
}

/// Adds the name of a value's field.
pub(crate) fn put_name(key: &str, command: &mut Cmd) {
    let mut name = Vec::with_capacity(1 + key.len());
    name.push(VALUE);
    name.extend_from_slice(key.as_bytes());
    command.arg(name);
}

/// Adds a value: JSON as it is, so that people and other languages can read it.
pub(crate) fn put_value(value: &Value, command: &mut Cmd) {
    let bytes = value.bytes();
    if value.codec() == Codec::Json && bytes.first() != Some(&TAGGED) {
        command.arg(bytes);
        return;
    }
    let mut tagged = Vec::with_capacity(2 + bytes.len());
    tagged.extend_from_slice(&[TAGGED, value.codec().tag()]);
    tagged.extend_from_slice(bytes);
    command.arg(tagged);
}

/// The record in a reply of all fields; `None` if nothing that makes a session is among them.
pub(crate) fn read_record(id: SessionId, reply: Reply) -> Result<Option<Arc<Record>>, StoreError> {
    let mut metadata = None;
    let mut state = None;
    let mut head = None;
    let mut values = Vec::new();
    for (name, content) in fields(reply)? {
        if name.first() == Some(&VALUE) {
            values.push((key(name)?, value(content)?));
            continue;
        }
        match &*name {
            b"m" => metadata = Some(content),
            b"s" => state = Some(content),
            b"h" => head = Some(content),
            _ => {}
        }
    }
    let (Some(metadata), Some(state), Some(expected)) = (&metadata, &state, &head) else {
        // What other programs leave under a session's name is none, unless it was one.
        return match (metadata, state, head) {
            (None, None, None) => Ok(None),
            _ => Err(StoreError::corrupt("a field of the metadata is missing")),
        };
    };
    let [version, seen, _size, _count] = numbers(state)?;
    let seen = Timestamp::from_millis(seen);
    let values = values.into_iter().collect();
    let record = Record::from_parts(metadata.clone(), version, seen, values)?;
    let [epoch, deadline, idle, _size] = numbers(expected)?;
    let told = (
        record.epoch(),
        record.deadline().as_millis(),
        record.lifetime().idle().as_millis(),
    );
    if record.id() != id || told != (epoch, deadline, u128::from(idle)) {
        return Err(StoreError::corrupt("the metadata contradicts itself"));
    }
    Ok(Some(Arc::new(record)))
}

/// Pairs of field and content: a map to a new protocol, a flat list to an old one and from scripts.
fn fields(reply: Reply) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
    match reply {
        Reply::Map(pairs) => pairs
            .into_iter()
            .map(|(name, content)| Ok((bytes(name)?, bytes(content)?)))
            .collect(),
        Reply::Array(items) => {
            let mut pairs = Vec::with_capacity(items.len() / 2);
            let mut items = items.into_iter();
            while let (Some(name), Some(content)) = (items.next(), items.next()) {
                pairs.push((bytes(name)?, bytes(content)?));
            }
            Ok(pairs)
        }
        _ => Err(unexpected()),
    }
}

fn bytes(reply: Reply) -> Result<Bytes, StoreError> {
    match reply {
        Reply::BulkString(bytes) => Ok(bytes.into()),
        Reply::SimpleString(text) => Ok(text.into()),
        _ => Err(unexpected()),
    }
}

/// An answer that no server gives to what was asked.
pub(crate) fn unexpected() -> StoreError {
    StoreError::corrupt("an answer of the server is not of the expected form")
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

fn numbers(text: &Bytes) -> Result<[u64; 4], StoreError> {
    let damaged = || StoreError::corrupt("a field of the metadata is not what was written");
    let text = std::str::from_utf8(text).map_err(|_| damaged())?;
    let mut numbers = [0; 4];
    let mut parts = text.split(' ');
    for number in &mut numbers {
        *number = parts
            .next()
            .and_then(|part| part.parse().ok())
            .ok_or_else(damaged)?;
    }
    match parts.next() {
        None => Ok(numbers),
        Some(_) => Err(damaged()),
    }
}

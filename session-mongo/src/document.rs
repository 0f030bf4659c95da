//! A session as a document in MongoDB, and back.
//!
//! - **JSON is text**, not BSON: a value comes back byte for byte as it was written, whatever its
//!   numbers and the order of its keys.
//! - **The end of a session is stored twice.** Updates look at `ends`, which has no index, because
//!   a condition on an indexed field beside `_id` makes an update cost half as much again.
//!   `expires`, a minute later, has the TTL index.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mongodb::bson::raw::CStr;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{
    Binary, Bson, DateTime, Document, RawBsonRef, RawDocument, RawDocumentBuf, doc,
};
use session_core::store::{ByteString, Record, StoreError, Tag, Value, Values};
use session_core::{Codec, SessionId};

use crate::bson::{date, number, timestamp};
use crate::mark;

/// How much longer than the session the server keeps its document: clocks differ.
pub(crate) const GRACE: Duration = Duration::from_secs(60);

/// The filter for one document.
pub(crate) fn by_id(id: SessionId) -> Document {
    doc! { "_id": id.encode() }
}

/// The whole document of a record.
pub(crate) fn of_record(record: &Record) -> Document {
    let mut document = by_id(record.id());
    document.extend(counts(record));
    document.extend(activity(record));
    document.extend(metadata(record));
    document.insert("data", data(record.values().iter()));
    document
}

/// What every update writes: version, tag and sizes.
pub(crate) fn counts(record: &Record) -> Document {
    doc! {
        "v": number(record.version()),
        "tag": tag(record.tag().unwrap_or_else(Tag::draw)),
        "size": number(record.limited_size()),
        "keys": number(record.values().len()),
    }
}

pub(crate) fn tag(tag: Tag) -> i64 {
    tag.to_bits().cast_signed()
}

/// What a touch writes.
pub(crate) fn activity(record: &Record) -> Document {
    doc! {
        "seen": date(record.last_seen()),
        "ends": date(record.expires_at()),
        "expires": date(record.expires_at() + GRACE),
    }
}

/// What a replacement of the metadata writes. Without a principal there is no such field.
pub(crate) fn metadata(record: &Record) -> Document {
    let mut document = doc! {
        "epoch": number(record.epoch()),
        "created": date(record.created_at()),
        "deadline": date(record.absolute_expiry()),
        "idle": idle(record),
        "meta": binary(record.encode_metadata()),
    };
    if let Some(principal) = record.principal() {
        document.insert("principal", principal);
    }
    document
}

pub(crate) fn idle(record: &Record) -> i64 {
    number(record.lifetime().idle().as_millis())
}

/// The fields of values.
pub(crate) fn data<'a>(values: impl Iterator<Item = (&'a str, &'a Value)>) -> Document {
    values
        .map(|(key, value)| (escape(key).into_owned(), bson_of(value)))
        .collect()
}

/// JSON is text that people can read; another value is its codec's tag and its bytes.
pub(crate) fn bson_of(value: &Value) -> Bson {
    match (value.codec(), std::str::from_utf8(value.bytes())) {
        (Codec::Json, Ok(text)) => Bson::String(text.to_owned()),
        (codec, _) => binary([&[codec.tag()], value.bytes()].concat()),
    }
}

fn binary(bytes: Vec<u8>) -> Bson {
    Bson::Binary(Binary {
        subtype: BinarySubtype::Generic,
        bytes,
    })
}

/// The name of a value's field. Names with dots, a leading dollar or NUL, and the empty one, mean
/// something else to the server: those bytes become `%` and two hexadecimal digits, the empty name
/// `%` alone.
pub(crate) fn escape(key: &str) -> Cow<'_, str> {
    let plain =
        |(at, byte): (usize, u8)| !matches!(byte, b'%' | b'.' | 0) && (byte != b'$' || at > 0);
    if !key.is_empty() && key.bytes().enumerate().all(plain) {
        return key.into();
    }
    let mut name = String::with_capacity(key.len() + 8);
    if key.is_empty() {
        name.push('%');
    }
    for (at, character) in key.char_indices() {
        match character {
            '%' => name.push_str("%25"),
            '.' => name.push_str("%2E"),
            '\0' => name.push_str("%00"),
            '$' if at == 0 => name.push_str("%24"),
            _ => name.push(character),
        }
    }
    name.into()
}

/// The key that a field stands for; `None` if no key does. Each key has one field.
fn unescape(name: &str) -> Option<Cow<'_, str>> {
    if !name.contains('%') {
        return (escape(name) == name).then_some(name.into());
    }
    if name == "%" {
        return Some("".into());
    }
    let mut parts = name.split('%');
    let mut key = parts.next()?.to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        key.push(match code {
            "25" => '%',
            "2E" => '.',
            "00" => '\0',
            "24" => '$',
            _ => return None,
        });
        key.push_str(rest);
    }
    (escape(&key) == name).then_some(key.into())
}

/// The id in a document, if it is one of ours.
pub(crate) fn id_of(document: &RawDocument) -> Option<SessionId> {
    document.get_str("_id").ok()?.parse().ok()
}

/// The record in a document, or the mark. Values share the document's bytes.
pub(crate) fn read(id: SessionId, document: RawDocumentBuf) -> Result<Arc<Record>, StoreError> {
    let bytes = Bytes::from(document.into_bytes());
    let document = RawDocument::from_bytes(&bytes).map_err(|_| damaged("the document"))?;
    let mut fields = Fields::default();
    for element in document {
        let (name, value) = element.map_err(|_| damaged("the document"))?;
        match name.as_str() {
            "v" => fields.version = value.as_i64(),
            "tag" => fields.tag = value.as_i64(),
            "seen" => fields.seen = value.as_datetime(),
            "ends" => fields.ends = value.as_datetime(),
            "epoch" => fields.epoch = value.as_i64(),
            "deadline" => fields.deadline = value.as_datetime(),
            "idle" => fields.idle = value.as_i64(),
            "principal" => fields.principal = Some(value),
            "meta" => fields.metadata = value.as_binary().map(|binary| binary.bytes),
            "data" => fields.data = value.as_document(),
            "ended" => fields.ended = value.as_str(),
            "at" => fields.at = value.as_datetime(),
            // A condition on an array holds if it does for one of its items, so an update would
            // match, and then the server could not add to the array.
            "size" | "keys" if value.as_array().is_some() => return Err(damaged("the size")),
            _ => {}
        }
    }
    if let Some(ended) = fields.ended {
        return Ok(Arc::new(mark::read(id, ended, fields.at)));
    }
    let record = fields.record(&bytes)?;
    // The server decides by these fields, `replace_in` by the record. If they differed, an update
    // that matched nothing would be tried again until its deadline.
    let agree = fields.epoch == Some(number(record.epoch()))
        && fields.ends == Some(date(record.expires_at()))
        && fields.principal.map(|principal| principal.as_str()) == record.principal().map(Some)
        && fields.deadline == Some(date(record.absolute_expiry()))
        && fields.idle == Some(idle(&record))
        && record.id() == id;
    match agree {
        true => Ok(Arc::new(record)),
        false => Err(StoreError::corrupt("the metadata contradicts itself")),
    }
}

fn damaged(what: &'static str) -> StoreError {
    StoreError::corrupt(format!("{what} is not what was written"))
}

/// The fields of a session or of a mark. One that is missing or of another type is `None`, except
/// for the principal: a session without one is in order, so its type is kept to be looked at.
#[derive(Default)]
struct Fields<'a> {
    version: Option<i64>,
    tag: Option<i64>,
    seen: Option<DateTime>,
    ends: Option<DateTime>,
    epoch: Option<i64>,
    deadline: Option<DateTime>,
    idle: Option<i64>,
    principal: Option<RawBsonRef<'a>>,
    metadata: Option<&'a [u8]>,
    data: Option<&'a RawDocument>,
    /// Of a mark alone, as is `at`.
    ended: Option<&'a str>,
    at: Option<DateTime>,
}

impl Fields<'_> {
    fn record(&self, bytes: &Bytes) -> Result<Record, StoreError> {
        let parts = || {
            let version = u64::try_from(self.version?).ok()?;
            Some((self.metadata?, version, timestamp(self.seen?)?, self.data?))
        };
        let (metadata, version, seen, data) =
            parts().ok_or_else(|| damaged("a field of the metadata"))?;
        let entry = |element: mongodb::bson::error::Result<_>| {
            let (name, value) = element.map_err(|_| damaged("a value"))?;
            entry(bytes, name, value)
        };
        let values = data.into_iter().map(entry).collect::<Result<Values, _>>()?;
        let record = Record::from_parts(bytes.slice_ref(metadata), version, seen, values)?;
        let tag = self.tag.map(|bits| Tag::from_bits(bits.cast_unsigned()));
        Ok(record.with_tag(tag))
    }
}

fn entry(
    bytes: &Bytes,
    name: &CStr,
    value: RawBsonRef<'_>,
) -> Result<(ByteString, Value), StoreError> {
    let key = match unescape(name.as_str()).ok_or_else(|| damaged("the name of a value"))? {
        Cow::Borrowed(name) => ByteString::try_from(bytes.slice_ref(name.as_bytes()))
            .map_err(|_| damaged("the name of a value"))?,
        Cow::Owned(name) => name.into(),
    };
    let (codec, content) = match value {
        RawBsonRef::String(text) => (Codec::Json, text.as_bytes()),
        RawBsonRef::Binary(binary) => {
            let (tag, content) = binary
                .bytes
                .split_first()
                .ok_or_else(|| damaged("a value"))?;
            (
                Codec::from_tag(*tag).ok_or_else(|| damaged("the codec of a value"))?,
                content,
            )
        }
        _ => return Err(damaged("the type of a value")),
    };
    Ok((key, Value::new(codec, bytes.slice_ref(content))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_field_of_its_own() {
        let names = [
            "", "%", "%%", "a", "a.b", ".", "..", "$", "$a", "a$", "\0", "%25", "%2E", "é.ü", "0",
            "a%2Eb", "%24a",
        ];
        let mut fields: Vec<_> = names.iter().map(|name| escape(name).into_owned()).collect();
        for (name, field) in names.iter().zip(&fields) {
            assert_eq!(unescape(field).as_deref(), Some(*name));
            assert!(
                !field.is_empty() && !field.contains(['.', '\0']) && !field.starts_with('$'),
                "{field}"
            );
        }
        fields.sort();
        fields.dedup();
        assert_eq!(fields.len(), names.len());
    }

    #[test]
    fn a_field_that_no_name_has_is_none() {
        for field in [
            "%2", "%zz", "%2e", "a%", "%é1", "a%24", "%00%24", "%%", "", "$a", "a.b", ".",
        ] {
            assert_eq!(unescape(field), None, "{field}");
        }
    }
}

//! The bytes of a record.
//!
//! | bytes | content |
//! |---|---|
//! | 1 | format: see [`Format`] |
//! | .. | metadata: a postcard struct, fields in the order of [`StoredMetadata`] |
//! | .. | device, if the format has one: a postcard struct, [`StoredDevice`] |
//! | .. | values: a postcard sequence of (key, codec tag, bytes), sorted by key |
//!
//! Timestamps are milliseconds since the Unix epoch; durations are milliseconds. Golden files in
//! `tests/golden` pin the format.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use serde::{Deserialize, Serialize};

use crate::record::{
    Codec, Device, DeviceKey, Lifetime, Record, SealedForm, SessionId, TokenHistory, Value, Values,
};
use crate::time::Timestamp;

/// The format byte says which optional parts a record has. A record without them is written as
/// before, so older versions can read it.
#[derive(Clone, Copy)]
struct Format {
    /// The client is owed its token (`Record::owed`).
    owed: bool,
    /// The session is bound to a device.
    bound: bool,
}

const LAST_FORMAT: u8 = 4;

impl Format {
    fn of(record: &Record) -> Self {
        Self {
            owed: record.owed,
            bound: record.device.is_some(),
        }
    }

    fn byte(self) -> u8 {
        match (self.bound, self.owed) {
            (false, false) => 1,
            (false, true) => 2,
            (true, false) => 3,
            (true, true) => LAST_FORMAT,
        }
    }

    fn read(byte: u8) -> Result<Self, FormatError> {
        let (bound, owed) = match byte {
            1 => (false, false),
            2 => (false, true),
            3 => (true, false),
            LAST_FORMAT => (true, true),
            _ => return Err(FormatError::Version(byte)),
        };
        Ok(Self { owed, bound })
    }
}

#[derive(Serialize, Deserialize)]
struct StoredMetadata<'a> {
    id: SessionId,
    #[serde(borrow)]
    scope: &'a str,
    version: u64,
    epoch: u64,
    created: Timestamp,
    last_seen: Timestamp,
    deadline: Timestamp,
    authenticated: Option<Timestamp>,
    #[serde(borrow)]
    principal: Option<&'a str>,
    #[serde(borrow)]
    label: Option<&'a str>,
    idle: u64,
    absolute: u64,
    persistent: bool,
    csrf_seed: [u8; 16],
    tokens: TokenHistory,
}

#[derive(Serialize, Deserialize)]
struct StoredDevice {
    x: [u8; 32],
    y: [u8; 32],
    since: Timestamp,
}

/// Why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// There are no bytes at all.
    #[error("the record is empty; delete it")]
    Empty,
    /// The format is not one that this version reads.
    #[error(
        "the record has format {0}, this version reads formats 1 to {LAST_FORMAT}; a newer version \
         may have written it: update this one"
    )]
    Version(u8),
    /// The bytes end too early, continue too long, or do not encode a record.
    #[error("the record is damaged in its {0}; delete it, or restore it from a copy")]
    Damaged(&'static str),
}

impl Record {
    /// The whole record as bytes, in a versioned format.
    ///
    /// ```
    /// use session_core::{Lifetime, SessionId, Timestamp};
    /// use session_core::store::Record;
    ///
    /// # let id = SessionId::from_bytes([0; 16]);
    /// # let record = Record::new(id, "__Host-id", Lifetime::default(), Timestamp::from_millis(0));
    /// let bytes = record.encode();
    /// assert_eq!(Record::decode(bytes).unwrap(), record);
    /// assert!(Record::decode("something else").is_err());
    /// ```
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.size());
        self.metadata_into(&mut bytes);
        put_varint(self.values.len(), &mut bytes);
        for (key, value) in self.values.iter() {
            put_varint(key.len(), &mut bytes);
            bytes.extend_from_slice(key.as_bytes());
            bytes.push(value.codec().tag());
            put_varint(value.bytes().len(), &mut bytes);
            bytes.extend_from_slice(value.bytes());
        }
        bytes
    }

    /// The metadata alone as bytes, for a store that keeps each value by itself and merges updates.
    ///
    /// A `create` writes it, and an update whose metadata is
    /// [`Metadata::Replaced`](crate::store::Metadata::Replaced). No other update may write it: that
    /// would undo what another request has replaced.
    ///
    /// The store keeps alongside it what other updates move: the [`version`](Self::version), and
    /// [`last_seen`](Self::last_seen), which a touch moves. It also needs there the
    /// [`epoch`](Self::epoch), to decide on an update; the
    /// [absolute expiry](Self::absolute_expiry) and the idle timeout, for the expiry; a running
    /// [`limited_size`](Self::limited_size), for the limits; and the principal, for an index.
    ///
    /// [`from_parts`](Self::from_parts) has an example.
    pub fn encode_metadata(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.size() - self.values.size());
        self.metadata_into(&mut bytes);
        bytes
    }

    /// Reads what [`encode`](Self::encode) wrote. Names and values share the given bytes; nothing
    /// is copied.
    ///
    /// [`encode`](Self::encode) has an example.
    ///
    /// # Errors
    ///
    /// [`FormatError`]; it converts into
    /// [`StoreError::Corrupt`](crate::store::StoreError::Corrupt).
    pub fn decode(bytes: impl Into<Bytes>) -> Result<Self, FormatError> {
        let bytes = bytes.into();
        let (record, mut rest) = read_metadata(&bytes)?;
        let damaged = FormatError::Damaged("values");
        let count = take_varint(&mut rest).ok_or(damaged)?;
        // An entry takes three bytes at least, so a forged count reserves no memory.
        let mut sorted: Vec<(ByteString, Value)> = Vec::with_capacity(count.min(rest.len() / 3));
        for _ in 0..count {
            let key = take_chunk(&mut rest).ok_or(damaged)?;
            let key = ByteString::try_from(bytes.slice_ref(key)).map_err(|_| damaged)?;
            let (&tag, after) = rest.split_first().ok_or(damaged)?;
            rest = after;
            let value = take_chunk(&mut rest).ok_or(damaged)?;
            let codec = Codec::from_tag(tag).ok_or(FormatError::Damaged("codec of a value"))?;
            if sorted.last().is_some_and(|(last, _)| *last >= key) {
                return Err(FormatError::Damaged("order of keys"));
            }
            sorted.push((key, Value::new(codec, bytes.slice_ref(value))));
        }
        if !rest.is_empty() {
            return Err(FormatError::Damaged("end"));
        }
        Ok(Self {
            values: Values::from_sorted(sorted),
            ..record
        })
    }

    /// Reads what [`encode_metadata`](Self::encode_metadata) wrote, and adds what was kept
    /// alongside it.
    ///
    /// ```
    /// use session_core::{Lifetime, SessionId, Timestamp};
    /// use session_core::store::Record;
    ///
    /// # let id = SessionId::from_bytes([0; 16]);
    /// # let record = Record::new(id, "__Host-id", Lifetime::default(), Timestamp::from_millis(0));
    /// let metadata = record.encode_metadata();
    /// let values = record.values().clone();
    /// let again = Record::from_parts(metadata, record.version(), record.last_seen(), values);
    /// assert_eq!(again.unwrap(), record);
    /// ```
    ///
    /// # Errors
    ///
    /// [`FormatError`]; it converts into
    /// [`StoreError::Corrupt`](crate::store::StoreError::Corrupt).
    pub fn from_parts(
        metadata: impl Into<Bytes>,
        version: u64,
        last_seen: Timestamp,
        values: Values,
    ) -> Result<Self, FormatError> {
        let bytes = metadata.into();
        let (record, rest) = read_metadata(&bytes)?;
        if !rest.is_empty() {
            return Err(FormatError::Damaged("end"));
        }
        Ok(Self {
            version: counted(version)?,
            last_seen,
            values,
            ..record
        })
    }

    fn metadata_into(&self, bytes: &mut Vec<u8>) {
        bytes.push(Format::of(self).byte());
        let metadata = StoredMetadata {
            id: self.id,
            scope: &self.scope,
            version: self.version,
            epoch: self.epoch,
            created: self.created,
            last_seen: self.last_seen,
            deadline: self.deadline,
            authenticated: self.authenticated,
            principal: self.principal.as_deref(),
            label: self.label.as_deref(),
            idle: millis(self.lifetime.idle()),
            absolute: millis(self.lifetime.absolute()),
            persistent: self.lifetime.is_persistent(),
            csrf_seed: self.csrf_seed,
            tokens: self.tokens.clone(),
        };
        extend(bytes, &metadata);
        if let Some(device) = &self.device {
            extend(bytes, &StoredDevice::of(device));
        }
    }
}

impl StoredDevice {
    fn of(device: &Device) -> Self {
        let (mut x, mut y) = ([0; 32], [0; 32]);
        let (first, second) = device.key.as_bytes().split_at(32);
        x.copy_from_slice(first);
        y.copy_from_slice(second);
        Self {
            x,
            y,
            since: device.since,
        }
    }

    fn into_device(self) -> Device {
        let mut key = [0; 64];
        key[..32].copy_from_slice(&self.x);
        key[32..].copy_from_slice(&self.y);
        Device {
            key: DeviceKey::from_bytes(key),
            since: self.since,
        }
    }
}

/// Adds a struct. It cannot fail: postcard knows every length here, and a vector grows.
fn extend<T: Serialize>(bytes: &mut Vec<u8>, part: &T) {
    let written = postcard::to_extend(part, std::mem::take(bytes));
    debug_assert!(written.is_ok());
    *bytes = written.unwrap_or_default();
}

/// Versions and epochs count up from 1 and 0, and never come near this. Other languages cannot tell
/// all larger numbers apart.
const MOST_COUNTED: u64 = 1 << 53;

fn counted(number: u64) -> Result<u64, FormatError> {
    match number {
        0..MOST_COUNTED => Ok(number),
        _ => Err(FormatError::Damaged("version or epoch")),
    }
}

fn read_metadata(bytes: &Bytes) -> Result<(Record, &[u8]), FormatError> {
    let (&format, rest) = bytes.split_first().ok_or(FormatError::Empty)?;
    let Format { owed, bound } = Format::read(format)?;
    let damaged = FormatError::Damaged("metadata");
    let (metadata, rest) =
        postcard::take_from_bytes::<StoredMetadata<'_>>(rest).map_err(|_| damaged)?;
    let (device, rest) = match bound {
        false => (None, rest),
        true => {
            let damaged = FormatError::Damaged("device");
            let read = postcard::take_from_bytes::<StoredDevice>(rest);
            let (device, rest) = read.map_err(|_| damaged)?;
            (Some(Arc::new(device.into_device())), rest)
        }
    };
    let idle = Duration::from_millis(metadata.idle);
    let lifetime =
        Lifetime::new(idle, Duration::from_millis(metadata.absolute)).map_err(|_| damaged)?;
    let record = Record {
        id: metadata.id,
        scope: shared_str(bytes, metadata.scope),
        version: counted(metadata.version)?,
        epoch: counted(metadata.epoch)?,
        created: metadata.created,
        last_seen: metadata.last_seen,
        deadline: metadata.deadline,
        authenticated: metadata.authenticated,
        principal: metadata.principal.map(|text| shared_str(bytes, text)),
        label: metadata.label.map(|text| shared_str(bytes, text)),
        lifetime: if metadata.persistent {
            lifetime.persistent()
        } else {
            lifetime
        },
        csrf_seed: metadata.csrf_seed,
        owed,
        device,
        tokens: metadata.tokens,
        values: Values::default(),
        tag: None,
        hidden: 0,
        sealed_form: SealedForm::unknown(),
    };
    Ok((record, rest))
}

/// A part of `bytes` as text that shares them. It was read from them as `str`, so the conversion,
/// which checks it once more, does not fail.
fn shared_str(bytes: &Bytes, part: &str) -> ByteString {
    ByteString::try_from(bytes.slice_ref(part.as_bytes())).unwrap_or_default()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn put_varint(number: usize, bytes: &mut Vec<u8>) {
    let mut number = number;
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// At most five bytes: a length beyond 2^35 is no length of ours.
fn take_varint(rest: &mut &[u8]) -> Option<usize> {
    let mut number = 0;
    for shift in 0..5 {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        number |= usize::from(byte & 0x7f) << (7 * shift);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn take_chunk<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_varint(rest)?;
    let (chunk, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(chunk)
}

#[cfg(test)]
mod tests;

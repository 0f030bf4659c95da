//! One sealed value: its bytes, and what they are bound to.
//!
//! | bytes | content |
//! |---|---|
//! | 1 | format: 1 |
//! | 4 | id of the key |
//! | 24 | nonce, drawn at random |
//! | .. | the value's codec tag and its bytes, encrypted with XChaCha20-Poly1305 |
//! | 16 | tag |
//!
//! The associated data is [`LABEL`], then the scope and the id of the session, then the name of the
//! key. Scope and name follow their lengths (8 bytes, big-endian). So the bytes open only in the
//! place for which they were sealed. `tests/golden/sealed-value-v1.hex` pins the format.

use bytes::{Buf, Bytes};
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use smallvec::SmallVec;

use crate::crypto::{DerivedKey, KeyRing, Purpose, fill_random};
use crate::record::{Codec, SessionId, Value, Values};

const LABEL: &[u8] = b"session-core sealed value v1\0";
const FORMAT: u8 = 1;
const KEY_ID: usize = 4;
const NONCE: usize = 24;
const TAG: usize = 16;
/// Before what is encrypted.
const HEADER: usize = 1 + KEY_ID + NONCE;

type Associated = SmallVec<[u8; 128]>;

/// Bytes that sealing adds to a value.
pub(crate) const SEALING_OVERHEAD: usize = HEADER + 1 + TAG;

/// Why a value does not open, or cannot be sealed. It shows nothing of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SealFault {
    #[error(
        "a value is sealed in a form that this version does not know; a newer version may have \
         written it: update this one"
    )]
    Format,
    #[error(
        "a value is sealed with a key that is not among the keys of `seal_values`; add the key"
    )]
    UnknownKey,
    #[error(
        "a sealed value does not open: it was changed, or it was sealed under another name, or for \
         another session or scope"
    )]
    Forged,
    #[error(
        "a sealed value has a codec that this version does not know; a newer version may have \
         written it: update this one"
    )]
    Codec,
    #[error(
        "a value is not sealed, and `sealed_only` refuses it; was it written by somebody else?"
    )]
    Plain,
    #[error("a value is sealed, and this program has no keys for it; set `seal_values`")]
    NoKeys,
    #[error(
        "values could not be sealed, because the operating system's random source failed; try \
         again, and look at the machine if it stays so"
    )]
    NotSealed,
}

impl SealFault {
    /// Whether it is the value's fault. Otherwise a process with other keys, or of a newer version,
    /// may open it.
    pub(crate) const fn is_of_the_value(self) -> bool {
        match self {
            Self::Forged | Self::Plain => true,
            Self::Format | Self::UnknownKey | Self::Codec | Self::NoKeys | Self::NotSealed => false,
        }
    }
}

/// The keys for the values of one scope.
pub(crate) struct ValueKeys {
    /// The associated data before the id of the session.
    context: Associated,
    /// Newest first.
    keys: Vec<ValueKey>,
}

struct ValueKey {
    id: [u8; KEY_ID],
    cipher: XChaCha20Poly1305,
}

impl ValueKeys {
    pub(crate) fn new(ring: &KeyRing, scope: &str) -> Self {
        let mut context = Associated::from_slice(LABEL);
        put(scope.as_bytes(), &mut context);
        let derived = ring.derive(Purpose::ValueAead, scope);
        Self {
            context,
            keys: derived.iter().filter_map(ValueKey::new).collect(),
        }
    }

    /// Seals the values of one session, each for its key. They share one allocation, and come in
    /// the order of the entries.
    pub(crate) fn seal<'v, I, F>(
        &self,
        id: SessionId,
        entries: F,
    ) -> Result<impl Iterator<Item = Value> + use<'v, I, F>, SealFault>
    where
        I: Iterator<Item = (&'v str, &'v Value)>,
        F: Fn() -> I,
    {
        let lengths = entries().map(|(_, value)| sealed_length(value));
        let (count, length) = lengths.fold((0, 0), |(n, sum), length| (n + 1, sum + length));
        let mut nonces: SmallVec<[[u8; NONCE]; 8]> = SmallVec::from_elem([0; NONCE], count);
        fill_random(nonces.as_flattened_mut()).map_err(|_| SealFault::NotSealed)?;
        let mut buffer = Vec::with_capacity(length);
        let mut place = Place::new(self, id);
        for ((key, value), nonce) in entries().zip(&nonces) {
            self.seal_into(place.of(key), value, nonce, &mut buffer)?;
        }
        let mut rest = Bytes::from(buffer);
        Ok(entries().map(move |(_, value)| {
            let bytes = rest.split_to(sealed_length(value));
            Value::new(Codec::Sealed, bytes)
        }))
    }

    /// Writes the sealed form of a value to the end of `buffer`.
    fn seal_into(
        &self,
        place: &[u8],
        value: &Value,
        nonce: &[u8; NONCE],
        buffer: &mut Vec<u8>,
    ) -> Result<(), SealFault> {
        let key = self.keys.first().ok_or(SealFault::NotSealed)?;
        buffer.push(FORMAT);
        buffer.extend_from_slice(&key.id);
        buffer.extend_from_slice(nonce);
        let start = buffer.len();
        buffer.push(value.codec().tag());
        buffer.extend_from_slice(value.bytes());
        let plain = buffer.get_mut(start..).unwrap_or_default();
        let nonce = XNonce::from(*nonce);
        // It fails only beyond 256 GiB.
        let tag = key
            .cipher
            .encrypt_inout_detached(&nonce, place, plain.into())
            .map_err(|_| SealFault::NotSealed)?;
        buffer.extend_from_slice(&tag);
        Ok(())
    }

    /// Whether the newest key has sealed this value. If several keys have its id, nobody can tell.
    pub(crate) fn is_of_newest(&self, value: &Value) -> bool {
        let Some((newest, older)) = self.keys.split_first() else {
            return false;
        };
        let is_unique = older.iter().all(|key| key.id != newest.id);
        let bytes = value.bytes();
        let head = bytes.first() == Some(&FORMAT) && bytes.get(1..=KEY_ID) == Some(&newest.id);
        value.codec().is_sealed() && is_unique && head
    }

    /// Opens the values of one session, and leaves those that are not sealed as they are. The
    /// opened ones share one allocation.
    pub(crate) fn open(&self, id: SessionId, values: &Values) -> Result<Values, SealFault> {
        let sealed = || {
            values
                .entries()
                .filter(|(_, value)| value.codec().is_sealed())
        };
        let lengths = sealed().map(|(_, value)| value.bytes().len());
        let mut buffer = Vec::with_capacity(lengths.sum());
        let mut place = Place::new(self, id);
        for (key, value) in sealed() {
            self.open_into(place.of(key), value.bytes(), &mut buffer)?;
        }
        let mut rest = Bytes::from(buffer);
        let mut sorted = Vec::with_capacity(values.len());
        for (key, value) in values.entries() {
            let value = match value.codec().is_sealed() {
                true => {
                    let mut bytes = rest.split_to(opened_length(value));
                    let codec = bytes.first().and_then(|tag| Codec::from_tag(*tag));
                    let codec = codec.filter(|codec| !codec.is_sealed());
                    bytes.advance(1);
                    Value::new(codec.ok_or(SealFault::Codec)?, bytes)
                }
                false => value.clone(),
            };
            sorted.push((key.clone(), value));
        }
        Ok(Values::from_sorted(sorted))
    }

    /// Writes codec tag and bytes of a sealed value to the end of `buffer`.
    fn open_into(
        &self,
        place: &[u8],
        sealed: &[u8],
        buffer: &mut Vec<u8>,
    ) -> Result<(), SealFault> {
        let (&format, rest) = sealed.split_first().ok_or(SealFault::Forged)?;
        if format != FORMAT {
            return Err(SealFault::Format);
        }
        let (id, rest) = rest.split_first_chunk().ok_or(SealFault::Forged)?;
        let mut keys = self.keys.iter().filter(|key| key.id == *id).peekable();
        keys.peek().ok_or(SealFault::UnknownKey)?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE>().ok_or(SealFault::Forged)?;
        let (sealed, tag) = rest.split_last_chunk::<TAG>().ok_or(SealFault::Forged)?;
        // Nobody seals less than a codec tag.
        if sealed.is_empty() {
            return Err(SealFault::Forged);
        }
        let (nonce, tag) = (XNonce::from(*nonce), Tag::from(*tag));
        let start = buffer.len();
        buffer.extend_from_slice(sealed);
        let bytes = buffer.get_mut(start..).unwrap_or_default();
        // What does not open is left as it was, for the next key to try.
        let opens = |key: &ValueKey| {
            let opened =
                key.cipher
                    .decrypt_inout_detached(&nonce, place, (&mut *bytes).into(), &tag);
            opened.is_ok()
        };
        match keys.any(opens) {
            true => Ok(()),
            false => Err(SealFault::Forged),
        }
    }
}

impl ValueKey {
    /// The cipher takes any key of 32 bytes, so there is always one.
    fn new(key: &DerivedKey) -> Option<Self> {
        let cipher = KeyInit::new_from_slice(key.bytes()).ok()?;
        let id = key.id();
        Some(Self { id, cipher })
    }
}

/// The codec tag and the bytes of a value that has opened.
fn opened_length(value: &Value) -> usize {
    value.bytes().len() - HEADER - TAG
}

fn sealed_length(value: &Value) -> usize {
    value.bytes().len() + SEALING_OVERHEAD
}

/// The associated data of the values of one session.
struct Place {
    bytes: Associated,
    /// Where the name of the key begins.
    name: usize,
}

impl Place {
    fn new(keys: &ValueKeys, id: SessionId) -> Self {
        let mut bytes = Associated::from_slice(&keys.context);
        bytes.extend_from_slice(id.as_bytes());
        Self {
            name: bytes.len(),
            bytes,
        }
    }

    fn of(&mut self, key: &str) -> &[u8] {
        self.bytes.truncate(self.name);
        put(key.as_bytes(), &mut self.bytes);
        &self.bytes
    }
}

fn put(part: &[u8], bytes: &mut Associated) {
    bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
    bytes.extend_from_slice(part);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "these are tests")]
mod tests;

//! Long texts in JSON that have no escapes: JSON writes them as they are.
//!
//! To decode a text, `serde_json` looks for escapes byte by byte, and before that all bytes are
//! checked for UTF-8. Of a read of 10 KB in memory that was two thirds. A value is looked at once,
//! when it is made or loaded, with vector instructions. From then on to decode it is to copy it.
//!
//! To encode a text it looks at each byte too. [`BytesAsText`] copies what has nothing to escape.

use std::cell::Cell;
use std::fmt::{self, Display};
use std::io::{self, IoSlice, Write};

use bytes::Bytes;
use bytestring::ByteString;
use serde::de::{self, DeserializeOwned, Deserializer, Visitor};
use serde_json::ser::Formatter;

/// Structs whose name begins like this are no objects: `serde_json` passes its own numbers and raw
/// text as such.
pub(super) const PRIVATE: &str = "$serde_json::private::";
/// For shorter texts `serde_json` is fast enough, and most are never read.
const LONG: usize = 256;
/// The compiler makes vector instructions of the search in a part of this length.
const CHUNK: usize = 1024;

/// JSON that is a long text without escapes, from quotation mark to quotation mark.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct PlainText(ByteString);

impl PlainText {
    /// These bytes, if they are one.
    pub(super) fn new(json: &Bytes) -> Option<Self> {
        let plain = Self::is(json).then(|| json.clone())?;
        ByteString::try_from(plain).ok().map(Self)
    }

    /// Whether these bytes are one if they are UTF-8.
    pub(super) fn is(json: &[u8]) -> bool {
        let text = json.strip_prefix(b"\"");
        let text = text.and_then(|text| text.strip_suffix(b"\""));
        json.len() >= LONG && text.is_some_and(is_plain)
    }

    /// The bytes.
    pub(super) const fn json(&self) -> &ByteString {
        &self.0
    }

    /// Decodes it. `None` where `T` asks for something else or fails: `serde_json` has to say what
    /// comes of that.
    pub(super) fn decode<T: DeserializeOwned>(&self) -> Option<T> {
        let text = self.0.strip_prefix('"')?.strip_suffix('"')?;
        let given = &Cell::new(false);
        let decoded = T::deserialize(Text { text, given }).ok()?;
        // Not if the type has not asked for the text, or has made a value of the refusal.
        given.get().then_some(decoded)
    }
}

/// Whether a text is worth the short way, and can take it.
#[inline]
pub(super) fn is_long_and_plain(text: &str) -> bool {
    text.len() >= LONG && is_plain(text.as_bytes())
}

/// Whether JSON writes this text between quotation marks as it is.
fn is_plain(text: &[u8]) -> bool {
    text.chunks(CHUNK).all(|chunk| {
        let (mut least, mut backslash) = (u8::MAX, u8::MAX);
        for byte in chunk {
            // Exclusive or with 2 keeps control characters below the space, and makes one of the
            // quotation mark. So both are found by one minimum.
            least = least.min(byte ^ 2);
            backslash = backslash.min(byte ^ b'\\');
        }
        least > (b'"' ^ 2) && backslash != 0
    })
}

/// Writes bytes as a text between quotation marks, without escapes. `serde_json` has no other way
/// past its own search for them. Bytes that are no text are written as the list of numbers that
/// they are by default.
pub(crate) struct BytesAsText;

impl Formatter for BytesAsText {
    fn write_byte_array<W: Write + ?Sized>(&mut self, to: &mut W, text: &[u8]) -> io::Result<()> {
        // All at once, so that a vector grows once.
        let parts = [b"\"", text, b"\""].map(IoSlice::new);
        match to.write_vectored(&parts)? {
            written if written == text.len() + 2 => Ok(()),
            _ => Err(io::ErrorKind::WriteZero.into()),
        }
    }
}

/// Gives a text as `serde_json` does, and refuses everything else.
struct Text<'t> {
    text: &'t str,
    /// Whether the type has got the text.
    given: &'t Cell<bool>,
}

/// Says nothing: `serde_json` decodes again and says what was wrong.
#[derive(Debug)]
struct Refused;

impl Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused")
    }
}

impl std::error::Error for Refused {}

impl de::Error for Refused {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }
}

macro_rules! texts {
    ($($name:ident)*) => {
        $(fn $name<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Refused> {
            self.given.set(true);
            visitor.visit_borrowed_str(self.text)
        })*
    };
}

macro_rules! others {
    ($($name:ident($($type:ty),*))*) => {
        $(fn $name<V: Visitor<'t>>(self, $(_: $type,)* _: V) -> Result<V::Value, Refused> {
            Err(Refused)
        })*
    };
}

impl<'t> Deserializer<'t> for Text<'t> {
    type Error = Refused;

    texts! {
        deserialize_any
        deserialize_char
        deserialize_identifier
        deserialize_str
        deserialize_string
    }

    fn deserialize_option<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'t>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        // Raw text of `serde_json` is more than the text.
        if name.starts_with(PRIVATE) {
            return Err(Refused);
        }
        visitor.visit_newtype_struct(self)
    }

    others! {
        deserialize_bool()
        deserialize_byte_buf()
        deserialize_bytes()
        deserialize_enum(&'static str, &'static [&'static str])
        deserialize_f32()
        deserialize_f64()
        deserialize_i8()
        deserialize_i16()
        deserialize_i32()
        deserialize_i64()
        deserialize_i128()
        deserialize_ignored_any()
        deserialize_map()
        deserialize_seq()
        deserialize_struct(&'static str, &'static [&'static str])
        deserialize_tuple(usize)
        deserialize_tuple_struct(&'static str, usize)
        deserialize_u8()
        deserialize_u16()
        deserialize_u32()
        deserialize_u64()
        deserialize_u128()
        deserialize_unit()
        deserialize_unit_struct(&'static str)
    }
}

#[cfg(test)]
mod tests;

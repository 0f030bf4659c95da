//! How values become bytes.

use std::fmt;
use std::io::Write;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How a value is written. Each stored [`Value`] says which codec wrote it, so a change
/// of codec logs nobody out: old values are read by the old one.
///
/// ```
/// use session_core::Codec;
///
/// let value = Codec::Json.encode(&vec![1, 2]).unwrap();
/// assert_eq!(value.bytes(), b"[1,2]");
/// assert_eq!(value.decode::<Vec<u8>>().unwrap(), [1, 2]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// JSON: a person and other languages can read it. The default.
    #[default]
    Json,
    /// [postcard](https://docs.rs/postcard): compact and fast; needs the very type that was written.
    Postcard,
}

impl Codec {
    /// The number that stands for this codec in a stored record.
    pub const fn tag(self) -> u8 {
        match self {
            Self::Json => 0,
            Self::Postcard => 1,
        }
    }

    /// The codec of this number; `None` if this version does not know it.
    ///
    /// ```
    /// use session_core::Codec;
    ///
    /// assert_eq!(Codec::from_tag(Codec::Postcard.tag()), Some(Codec::Postcard));
    /// assert_eq!(Codec::from_tag(255), None);
    /// ```
    pub const fn from_tag(tag: u8) -> Option<Self> {
        match tag {
            0 => Some(Self::Json),
            1 => Some(Self::Postcard),
            _ => None,
        }
    }

    /// Encodes `value`.
    ///
    /// [`Codec`] has an example.
    ///
    /// # Errors
    ///
    /// [`CodecFault`] if the codec cannot express the value, such as a map whose keys
    /// are not strings in JSON.
    pub fn encode<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, CodecFault> {
        let mut buffer = Vec::with_capacity(64);
        self.encode_into(value, &mut buffer)?;
        Ok(Value::new(self, buffer.into_boxed_slice()))
    }

    /// Writes the encoded value to `writer`, which must not fail.
    pub(crate) fn encode_into<T: Serialize + ?Sized>(
        self,
        value: &T,
        writer: impl Write,
    ) -> Result<(), CodecFault> {
        // What fails is the value's own `Serialize`, or what the codec cannot express.
        let refused = |category| CodecFault {
            codec: self,
            category,
            position: None,
        };
        match self {
            Self::Json => {
                serde_json::to_writer(writer, value).map_err(|_| refused("a value that JSON cannot express"))
            }
            Self::Postcard => postcard::to_io(value, writer)
                .map(|_| ())
                .map_err(|_| refused("a value that postcard cannot express")),
        }
    }
}

/// An encoded value and the codec that wrote it. Cloning shares the bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Value {
    codec: Codec,
    bytes: Bytes,
}

impl Value {
    /// A value that `codec` wrote as these bytes. They are not looked at until somebody
    /// decodes them.
    pub fn new(codec: Codec, bytes: impl Into<Bytes>) -> Self {
        Self {
            codec,
            bytes: bytes.into(),
        }
    }

    /// The codec that wrote it.
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// The encoded bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The encoded bytes, shared.
    pub const fn shared(&self) -> &Bytes {
        &self.bytes
    }

    /// Decodes the value.
    ///
    /// ```
    /// use session_core::{Codec, Value};
    ///
    /// let value = Value::new(Codec::Json, "[1,2]");
    /// assert_eq!(value.decode::<Vec<u8>>().unwrap(), [1, 2]);
    /// assert!(value.decode::<String>().is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// [`CodecFault`] if the bytes do not hold a `T`, or hold something after it.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, CodecFault> {
        match self.codec {
            Codec::Json => {
                // One look at all of it costs less than one at each text in it.
                let decoded = match std::str::from_utf8(&self.bytes) {
                    Ok(text) => serde_json::from_str(text),
                    Err(_) => serde_json::from_slice(&self.bytes),
                };
                decoded.map_err(|fault| CodecFault::json(&fault))
            }
            Codec::Postcard => match postcard::take_from_bytes(&self.bytes) {
                Ok((value, [])) => Ok(value),
                Ok(_) => Err(CodecFault {
                    codec: Codec::Postcard,
                    category: "trailing bytes",
                    position: None,
                }),
                Err(fault) => Err(CodecFault::postcard(&fault)),
            },
        }
    }
}

impl fmt::Debug for Value {
    /// Shows codec and size, never the content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({:?}, {} bytes)", self.codec, self.bytes.len())
    }
}

/// Why a value could not be encoded or decoded: category and position only, because the
/// text of a codec's error can quote the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodecFault {
    codec: Codec,
    category: &'static str,
    position: Option<(usize, usize)>,
}

impl CodecFault {
    /// The codec.
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// What kind of fault it was.
    pub const fn category(&self) -> &'static str {
        self.category
    }

    /// Line and column in the JSON text, as `serde_json` counts them, where they are known.
    pub const fn position(&self) -> Option<(usize, usize)> {
        self.position
    }

    fn json(fault: &serde_json::Error) -> Self {
        use serde_json::error::Category;
        let category = match fault.classify() {
            Category::Io | Category::Syntax => "a syntax error",
            Category::Data => "data of another shape than the type",
            Category::Eof => "an unexpected end",
        };
        let position = (fault.line() > 0).then(|| (fault.line(), fault.column()));
        Self {
            codec: Codec::Json,
            category,
            position,
        }
    }

    fn postcard(fault: &postcard::Error) -> Self {
        let category = match fault {
            postcard::Error::DeserializeUnexpectedEnd => "an unexpected end",
            postcard::Error::WontImplement => "a type that postcard cannot express",
            _ => "data of another shape than the type",
        };
        Self {
            codec: Codec::Postcard,
            category,
            position: None,
        }
    }
}

impl fmt::Display for CodecFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.codec, self.category)?;
        match self.position {
            Some((line, column)) => write!(f, " at line {line} column {column}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for CodecFault {}

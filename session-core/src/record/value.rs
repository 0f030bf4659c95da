//! A value, encoded.

use std::fmt;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::record::plain_text::PlainText;
use crate::record::{BytesAsText, Codec, CodecFault, LossReason, is_same_json, lossless};

/// An encoded value and the codec that wrote it. Cloning shares the bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Value(Content);

/// The same codec and bytes are always the same variant.
#[derive(Clone, PartialEq, Eq)]
enum Content {
    Text(PlainText),
    Other(Codec, Bytes),
}

impl Value {
    /// A value that `codec` wrote as these bytes. They are not checked until the value is decoded.
    pub fn new(codec: Codec, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let text = match codec {
            Codec::Json => PlainText::new(&bytes),
            _ => None,
        };
        Self(text.map_or(Content::Other(codec, bytes), Content::Text))
    }

    /// Whether `codec` wrote this value as `bytes`. The order of the entries of a JSON object does
    /// not matter.
    pub(crate) fn is_same(&self, codec: Codec, bytes: &[u8]) -> bool {
        if self.codec() != codec || self.bytes() == bytes {
            return self.codec() == codec;
        }
        match self.0 {
            Content::Text(_) if PlainText::is(bytes) => false,
            _ => codec == Codec::Json && is_same_json(self.bytes(), bytes),
        }
    }

    /// The codec that wrote the value.
    pub const fn codec(&self) -> Codec {
        match self.0 {
            Content::Text(_) => Codec::Json,
            Content::Other(codec, _) => codec,
        }
    }

    /// The encoded bytes.
    pub fn bytes(&self) -> &[u8] {
        self.shared()
    }

    /// The encoded bytes, shared.
    pub(crate) fn shared(&self) -> &Bytes {
        match &self.0 {
            Content::Text(text) => text.json().as_bytes(),
            Content::Other(_, bytes) => bytes,
        }
    }

    /// Decodes the value.
    ///
    /// ```
    /// use session_core::Codec;
    /// use session_core::store::Value;
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
        let decoded = match &self.0 {
            Content::Text(text) => match text.decode() {
                Some(value) => Ok(value),
                None => serde_json::from_str(text.json()),
            },
            // To check all of it for UTF-8 costs less than to check each text in it.
            Content::Other(Codec::Json, bytes) => match std::str::from_utf8(bytes) {
                Ok(json) => serde_json::from_str(json),
                Err(_) => serde_json::from_slice(bytes),
            },
            Content::Other(Codec::Postcard, bytes) => return from_postcard(bytes),
            Content::Other(Codec::Sealed, _) => return Err(CodecFault::sealed()),
        };
        decoded.map_err(|fault| CodecFault::json(&fault))
    }
}

fn from_postcard<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecFault> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok(_) => Err(CodecFault::new(Codec::Postcard, "trailing bytes")),
        Err(fault) => Err(CodecFault::postcard(&fault)),
    }
}

impl fmt::Debug for Value {
    /// Shows codec and size, never the content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({:?}, {} bytes)", self.codec(), self.bytes().len())
    }
}

impl Codec {
    /// Encodes `value`.
    ///
    /// [`Codec`] has an example.
    ///
    /// # Errors
    ///
    /// [`CodecFault`] if the codec cannot express the value, such as a map whose keys are lists in
    /// JSON, or would not give it back, such as a float in JSON that is not finite.
    pub fn encode<T: Serialize + ?Sized>(self, value: &T) -> Result<Value, CodecFault> {
        let mut buffer = Vec::with_capacity(64);
        self.encode_into(value, &mut buffer)?;
        Ok(Value::new(self, buffer.into_boxed_slice()))
    }

    /// Writes the encoded value to the end of `bytes`.
    pub(crate) fn encode_into<T: Serialize + ?Sized>(
        self,
        value: &T,
        bytes: &mut Vec<u8>,
    ) -> Result<(), CodecFault> {
        let reason = LossReason::default();
        let checked = lossless(self, value, &reason);
        let written = match self {
            Self::Json => {
                let mut serializer = serde_json::Serializer::with_formatter(bytes, BytesAsText);
                let written = checked.serialize(&mut serializer);
                written.map_err(|_| "a value that JSON cannot express")
            }
            Self::Postcard => postcard::to_io(&checked, bytes)
                .map(drop)
                .map_err(|_| "a value that postcard cannot express"),
            Self::Sealed => return Err(CodecFault::sealed()),
        };
        written.map_err(|category| CodecFault::new(self, reason.get().unwrap_or(category)))
    }
}

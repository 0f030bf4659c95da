//! A value, encoded.

use std::fmt;
use std::io::Write;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::record::{Codec, CodecFault, LossReason, is_same_json, lossless};

/// An encoded value and the codec that wrote it. Cloning shares the bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Value {
    codec: Codec,
    bytes: Bytes,
}

impl Value {
    /// A value that `codec` wrote as these bytes. They are not checked until the value is decoded.
    pub fn new(codec: Codec, bytes: impl Into<Bytes>) -> Self {
        Self {
            codec,
            bytes: bytes.into(),
        }
    }

    /// Whether `codec` wrote this value as `bytes`. The order of the entries of a JSON object does
    /// not matter.
    pub(crate) fn is_same(&self, codec: Codec, bytes: &[u8]) -> bool {
        let is_json = codec == Codec::Json;
        self.codec == codec
            && (self.bytes == bytes || (is_json && is_same_json(&self.bytes, bytes)))
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
    #[cfg(test)]
    pub(crate) const fn shared(&self) -> &Bytes {
        &self.bytes
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
        match self.codec {
            Codec::Json => {
                // To check all of it for UTF-8 costs less than to check each text in it.
                let decoded = match std::str::from_utf8(&self.bytes) {
                    Ok(text) => serde_json::from_str(text),
                    Err(_) => serde_json::from_slice(&self.bytes),
                };
                decoded.map_err(|fault| CodecFault::json(&fault))
            }
            Codec::Postcard => match postcard::take_from_bytes(&self.bytes) {
                Ok((value, [])) => Ok(value),
                Ok(_) => Err(CodecFault::new(Codec::Postcard, "trailing bytes")),
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

    /// Writes the encoded value to `writer`, which must not fail.
    pub(crate) fn encode_into<T: Serialize + ?Sized>(
        self,
        value: &T,
        writer: impl Write,
    ) -> Result<(), CodecFault> {
        let reason = LossReason::default();
        let checked = lossless(self, value, &reason);
        let written = match self {
            Self::Json => serde_json::to_writer(writer, &checked)
                .map_err(|_| "a value that JSON cannot express"),
            Self::Postcard => postcard::to_io(&checked, writer)
                .map(drop)
                .map_err(|_| "a value that postcard cannot express"),
        };
        written.map_err(|category| CodecFault::new(self, reason.get().unwrap_or(category)))
    }
}

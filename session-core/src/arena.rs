//! Where a request's new values are written before they become shared bytes.

use bytes::{BufMut, Bytes, BytesMut};
use bytestring::ByteString;
use serde::Serialize;

use crate::{Codec, CodecFault, Value};

/// The first block is small, since a request often writes one small value and the value
/// keeps its whole block alive.
const FIRST_BLOCK: usize = 64;
/// Larger values get bytes of their own, so that a small one never keeps a large block.
const LARGEST_SHARED: usize = 512;

/// Hands out shared bytes that lie side by side in few blocks.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    block: BytesMut,
    next: usize,
}

impl Arena {
    /// Encodes `value`.
    pub(crate) fn encode<T: Serialize + ?Sized>(
        &mut self,
        codec: Codec,
        value: &T,
    ) -> Result<Value, CodecFault> {
        self.write(codec, value)?;
        Ok(self.finish(codec))
    }

    /// Encodes `value`; `None` if it comes out as `old`, and then takes no place.
    pub(crate) fn encode_new<T: Serialize + ?Sized>(
        &mut self,
        codec: Codec,
        value: &T,
        old: Option<&Value>,
    ) -> Result<Option<Value>, CodecFault> {
        self.write(codec, value)?;
        if old.is_some_and(|old| old.codec() == codec && old.bytes() == &self.block[..]) {
            self.block.clear();
            return Ok(None);
        }
        Ok(Some(self.finish(codec)))
    }

    fn write<T: Serialize + ?Sized>(&mut self, codec: Codec, value: &T) -> Result<(), CodecFault> {
        self.make_room(1);
        let written = codec.encode_into(value, (&mut self.block).writer());
        if written.is_err() {
            self.block.clear();
        }
        written
    }

    fn finish(&mut self, codec: Codec) -> Value {
        if self.block.len() > LARGEST_SHARED {
            let own = Bytes::copy_from_slice(&self.block);
            self.block.clear();
            return Value::new(codec, own);
        }
        Value::new(codec, self.block.split().freeze())
    }

    /// A shared copy of `text`.
    pub(crate) fn text(&mut self, text: &str) -> ByteString {
        self.make_room(text.len());
        self.block.extend_from_slice(text.as_bytes());
        ByteString::try_from(self.block.split().freeze()).unwrap_or_default()
    }

    fn make_room(&mut self, bytes: usize) {
        if self.block.capacity() < bytes {
            self.next = (self.next * 2).clamp(FIRST_BLOCK, LARGEST_SHARED);
            self.block = BytesMut::with_capacity(self.next.max(bytes));
        }
    }
}

//! Where a request's new values are encoded.
//!
//! Each value and key on its own would be as fast, but takes more allocations: one more for a value
//! that is written, 34 more for a new session of 8 keys. The budgets of `session-http`'s allocation
//! test leave no room for either, nor for a draft that is allocated anew for each value.

use std::cell::Cell;
use std::mem;

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use serde::Serialize;

use crate::record::{Codec, CodecFault, Value};

/// The first block is small: a request often writes one small value, which keeps its whole block
/// alive.
const FIRST_BLOCK: usize = 64;
/// Larger values get bytes of their own, so that a small one never keeps a large block.
const LARGEST_SHARED: usize = 512;

/// A larger draft becomes the value, or is freed.
const LARGEST_DRAFT: usize = 16 * 1024;

thread_local! {
    /// A value is encoded here first: only then is its length known, and whether it is new.
    static DRAFT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Hands out shared bytes from a few blocks.
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
        draft(codec, value, |bytes| self.keep(codec, bytes))
    }

    /// Encodes `value`; `None`, and no room taken, if it is the same value as `old`.
    pub(crate) fn encode_new<T: Serialize + ?Sized>(
        &mut self,
        codec: Codec,
        value: &T,
        old: Option<&Value>,
    ) -> Result<Option<Value>, CodecFault> {
        draft(codec, value, |bytes| {
            let same = old.is_some_and(|old| old.is_same(codec, bytes));
            (!same).then(|| self.keep(codec, bytes))
        })
    }

    fn keep(&mut self, codec: Codec, bytes: &mut Vec<u8>) -> Value {
        if bytes.len() > LARGEST_DRAFT {
            return Value::new(codec, mem::take(bytes).into_boxed_slice());
        }
        if bytes.len() > LARGEST_SHARED {
            return Value::new(codec, Bytes::copy_from_slice(bytes));
        }
        self.make_room(bytes.len());
        self.block.extend_from_slice(bytes);
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

/// Calls `f` with the encoded value. The draft is taken meanwhile, so a `Serialize` that encodes
/// another value gets a draft of its own.
fn draft<T: Serialize + ?Sized, R>(
    codec: Codec,
    value: &T,
    f: impl FnOnce(&mut Vec<u8>) -> R,
) -> Result<R, CodecFault> {
    let mut draft = DRAFT.try_with(Cell::take).unwrap_or_default();
    draft.clear();
    let made = codec.encode_into(value, &mut draft).map(|()| f(&mut draft));
    if draft.capacity() <= LARGEST_DRAFT {
        // Fails only while the thread ends.
        let _ = DRAFT.try_with(|kept| kept.set(draft));
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(length: usize) -> String {
        "x".repeat(length)
    }

    /// JSON adds two quotation marks.
    fn encode(arena: &mut Arena, length: usize) -> Value {
        arena.encode(Codec::Json, &text_of(length - 2)).unwrap()
    }

    fn follows(first: &[u8], second: &[u8]) -> bool {
        first.as_ptr_range().end == second.as_ptr()
    }

    /// What a value keeps alive, once nothing else holds its block.
    fn kept_alive(value: Value) -> usize {
        let shared = value.shared().clone();
        drop(value);
        shared.try_into_mut().unwrap().capacity()
    }

    #[test]
    fn small_values_lie_side_by_side() {
        let mut arena = Arena::default();
        let one = encode(&mut arena, 20);
        let key = arena.text("key");
        let two = arena.encode(Codec::Postcard, &300_u16).unwrap();
        assert_eq!(one.bytes(), format!("\"{}\"", text_of(18)).as_bytes());
        assert_eq!(&*key, "key");
        assert_eq!(
            (two.codec(), two.bytes()),
            (Codec::Postcard, &b"\xac\x02"[..])
        );
        assert!(follows(one.bytes(), key.as_bytes()));
        assert!(follows(key.as_bytes(), two.bytes()));
    }

    #[test]
    fn blocks_grow_from_64_to_512_bytes() {
        let mut arena = Arena::default();
        let mut sizes = Vec::new();
        for _ in 0..6 {
            arena.make_room(1);
            sizes.push(arena.block.capacity());
            arena.block.resize(arena.block.capacity(), b'x');
            drop(arena.block.split());
        }
        assert_eq!(sizes, [64, 128, 256, 512, 512, 512]);
    }

    #[test]
    fn room_is_made_only_where_there_is_none() {
        let mut arena = Arena::default();
        arena.make_room(64);
        let block = arena.block.as_ptr();
        arena.make_room(64);
        assert_eq!(arena.block.as_ptr(), block);
        assert_eq!(arena.next, 64);
        arena.make_room(65);
        assert_eq!((arena.next, arena.block.capacity()), (128, 128));
        arena.make_room(2_000);
        assert_eq!((arena.next, arena.block.capacity()), (256, 2_000));
    }

    #[test]
    fn a_large_value_has_bytes_of_its_own() {
        let mut arena = Arena::default();
        let shared = encode(&mut arena, 512);
        assert!(follows(shared.bytes(), &arena.block));
        let mut arena = Arena::default();
        let own = encode(&mut arena, 513);
        assert_eq!(own.bytes().len(), 513);
        assert!(arena.block.is_empty());
        assert!(!follows(own.bytes(), &arena.block));
        assert_eq!(kept_alive(own), 513);
        // The draft itself, cut to its length.
        let own = arena.encode(Codec::Json, &vec![0; 50_000]).unwrap();
        assert_eq!(kept_alive(own), 2 * 50_000 + 1);
    }

    #[test]
    fn a_small_value_never_keeps_a_large_block() {
        let mut arena = Arena::default();
        let large = encode(&mut arena, 100_000);
        let small = encode(&mut arena, 10);
        assert_eq!(large.bytes().len(), 100_000);
        drop((arena, large));
        let kept = kept_alive(small);
        assert!(kept <= LARGEST_SHARED, "10 bytes keep {kept} alive");
    }

    #[test]
    fn a_value_that_came_out_the_same_leaves_no_large_block() {
        let mut arena = Arena::default();
        let large = encode(&mut arena, 100_000);
        let again = arena.encode_new(Codec::Json, &text_of(99_998), Some(&large));
        assert_eq!(again.unwrap(), None);
        let small = encode(&mut arena, 10);
        drop((arena, large));
        let kept = kept_alive(small);
        assert!(kept <= LARGEST_SHARED, "10 bytes keep {kept} alive");
    }

    #[test]
    fn a_value_that_came_out_the_same_takes_no_place() {
        let mut arena = Arena::default();
        let old = arena.encode(Codec::Json, &1).unwrap();
        assert_eq!(arena.encode_new(Codec::Json, &1, Some(&old)).unwrap(), None);
        assert!(arena.block.is_empty());
        let next = arena
            .encode_new(Codec::Json, &2, Some(&old))
            .unwrap()
            .unwrap();
        assert_eq!(next.bytes(), b"2");
        assert!(follows(old.bytes(), next.bytes()));
        let same = Value::new(Codec::Json, &b"\x01"[..]);
        let other = arena
            .encode_new(Codec::Postcard, &1_u8, Some(&same))
            .unwrap();
        assert_eq!(
            other.unwrap().codec(),
            Codec::Postcard,
            "the bytes are not all"
        );
        assert!(arena.encode_new(Codec::Json, &1, None).unwrap().is_some());
    }

    #[test]
    fn an_error_leaves_nothing_behind() {
        struct Half;
        impl Serialize for Half {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::{Error, SerializeSeq};
                let mut list = serializer.serialize_seq(Some(2))?;
                list.serialize_element("written")?;
                Err(S::Error::custom("no second one"))
            }
        }
        let mut arena = Arena::default();
        let before = encode(&mut arena, 4);
        for codec in [Codec::Json, Codec::Postcard] {
            assert!(arena.encode(codec, &Half).is_err());
            assert!(arena.block.is_empty());
            assert!(arena.encode_new(codec, &Half, Some(&before)).is_err());
            assert!(arena.block.is_empty());
        }
        let after = arena.encode(Codec::Json, &5).unwrap();
        assert_eq!(after.bytes(), b"5");
        assert!(follows(before.bytes(), after.bytes()));
    }

    #[test]
    fn texts_of_any_length() {
        let mut arena = Arena::default();
        for length in [0, 1, 63, 64, 65, 600, 5_000] {
            assert_eq!(*arena.text(&text_of(length)), *text_of(length));
        }
        assert_eq!(&*arena.text("日本"), "日本");
    }
}

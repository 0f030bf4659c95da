//! Rejects, while a value is encoded, what its codec would not give back.
//!
//! A [`Lossless`] serializer wraps the codec's own serializer and passes everything on. It knows
//! what each codec changes silently, and fails there. So a value that cannot be read back never
//! replaces one that can. It allocates nothing.
//!
//! The alternative is to decode each value again: that costs more than to encode it, and an insert
//! would have to know how its type is decoded. What no serializer can see is listed at [`Codec`].

use std::fmt::Display;

use serde::{Serialize, Serializer};

use crate::record::Codec;
use crate::record::plain_text::{PRIVATE, is_long_and_plain};

mod parts;
mod place;

use parts::Parts;
pub(crate) use place::LossReason;
use place::{Nested, Place};

const NOT_FINITE: &str = "a float that is not finite, which JSON cannot express";

/// `value`, which fails to serialize where `codec` would not give it back, and then sets `reason`.
/// JSON has to be written by [`BytesAsText`](crate::record::BytesAsText).
pub(crate) fn lossless<'a, T: Serialize + ?Sized>(
    codec: Codec,
    value: &'a T,
    reason: &'a LossReason,
) -> impl Serialize + 'a {
    let place = Place {
        codec,
        reason,
        depth: 0,
        in_some: false,
        bytes_as_text: codec == Codec::Json,
    };
    Nested { value, place }
}

/// A serializer that passes on what its codec gives back.
struct Lossless<'r, S> {
    inner: S,
    place: Place<'r>,
}

impl<T: Serialize + ?Sized> Serialize for Nested<'_, '_, T> {
    fn serialize<S: Serializer>(&self, inner: S) -> Result<S::Ok, S::Error> {
        let place = self.place;
        self.value.serialize(Lossless { inner, place })
    }
}

/// Passes a plain value on.
macro_rules! plain {
    ($($name:ident: $type:ty,)*) => {
        $(fn $name(self, value: $type) -> Result<S::Ok, S::Error> {
            self.inner.$name(value)
        })*
    };
}

macro_rules! floats {
    ($($name:ident: $type:ty,)*) => {
        $(fn $name(self, value: $type) -> Result<S::Ok, S::Error> {
            self.place.reject_if(self.place.is_json() && !value.is_finite(), NOT_FINITE)?;
            self.inner.$name(value)
        })*
    };
}

impl<'r, S: Serializer> Serializer for Lossless<'r, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Parts<'r, S::SerializeSeq>;
    type SerializeTuple = Parts<'r, S::SerializeTuple>;
    type SerializeTupleStruct = Parts<'r, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Parts<'r, S::SerializeTupleVariant>;
    type SerializeMap = Parts<'r, S::SerializeMap>;
    type SerializeStruct = Parts<'r, S::SerializeStruct>;
    type SerializeStructVariant = Parts<'r, S::SerializeStructVariant>;

    plain! {
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_i128: i128,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_u128: u128,
        serialize_char: char,
    }

    floats! {
        serialize_f32: f32,
        serialize_f64: f64,
    }

    fn serialize_str(self, text: &str) -> Result<S::Ok, S::Error> {
        if self.place.bytes_as_text && is_long_and_plain(text) {
            self.inner.serialize_bytes(text.as_bytes())
        } else {
            self.inner.serialize_str(text)
        }
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<S::Ok, S::Error> {
        if self.place.is_json() {
            // What `serde_json` makes of bytes otherwise.
            self.inner.collect_seq(bytes)
        } else {
            self.inner.serialize_bytes(bytes)
        }
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.place.null()?;
        self.inner.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        let place = self.place.in_some();
        self.inner.serialize_some(&Nested { value, place })
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.place.null()?;
        self.inner.serialize_unit()
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<S::Ok, S::Error> {
        self.place.null()?;
        self.inner.serialize_unit_struct(name)
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.inner.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let place = self.place;
        self.inner
            .serialize_newtype_struct(name, &Nested { value, place })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let place = self.place.nested(1)?;
        let value = Nested { value, place };
        self.inner
            .serialize_newtype_variant(name, index, variant, &value)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        let place = self.place.nested(1)?;
        Ok(Parts::counted(self.inner.serialize_seq(len)?, place, len))
    }

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, S::Error> {
        let place = self.place.nested(1)?;
        Ok(Parts::fixed(self.inner.serialize_tuple(len)?, place, len))
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        let place = self.place.nested(1)?;
        let inner = self.inner.serialize_tuple_struct(name, len)?;
        Ok(Parts::fixed(inner, place, len))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        let place = self.place.nested(2)?;
        let inner = self
            .inner
            .serialize_tuple_variant(name, index, variant, len)?;
        Ok(Parts::fixed(inner, place, len))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        let place = self.place.nested(1)?;
        Ok(Parts::counted(self.inner.serialize_map(len)?, place, len))
    }

    fn serialize_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStruct, S::Error> {
        let mut place = self.place;
        if name.starts_with(PRIVATE) {
            // A text in it is written without quotation marks.
            place = place.special();
        } else {
            place = place.nested(1)?;
        }
        Ok(Parts::fixed(
            self.inner.serialize_struct(name, len)?,
            place,
            len,
        ))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        let place = self.place.nested(2)?;
        let inner = self
            .inner
            .serialize_struct_variant(name, index, variant, len)?;
        Ok(Parts::fixed(inner, place, len))
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

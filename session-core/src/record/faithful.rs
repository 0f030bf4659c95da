//! Refuses, while a value is written, what its codec would not give back.
//!
//! A [`Faithful`] serializer wraps the codec's own and hands everything on. It knows what each
//! codec changes in silence, and refuses that: so a value that cannot be read never replaces one
//! that can. It allocates nothing.

use std::cell::Cell;
use std::fmt::Display;

use serde::ser::Error;
use serde::{Serialize, Serializer};

use crate::record::Codec;

mod parts;

use parts::Parts;

/// `serde_json` reads lists and objects within each other to this depth.
const DEEPEST_JSON: u8 = 127;
/// Structs of this name are no objects: `serde_json` writes its own numbers and raw text so.
const PRIVATE: &str = "$serde_json::private::";

const NOT_FINITE: &str = "a float that is not finite, which JSON cannot express";
const EMPTY_SOME: &str = "a `Some` that holds nothing, which JSON reads back as `None`";
const TOO_DEEP: &str = "values nested more than 127 deep, which JSON does not read back";

/// Why a value was refused, if it was. The error of a codec could only say it as text.
#[derive(Debug, Default)]
pub(crate) struct Refusal(Cell<Option<&'static str>>);

impl Refusal {
    /// `value`, which refuses to be written where `codec` would not give it back.
    pub(crate) fn of_unfaithful<'a, T: Serialize + ?Sized>(
        &'a self,
        codec: Codec,
        value: &'a T,
    ) -> impl Serialize + 'a {
        let place = Place {
            codec,
            refusal: self,
            depth: 0,
            in_some: false,
        };
        Inside { value, place }
    }

    /// Why a value was refused.
    pub(crate) fn reason(&self) -> Option<&'static str> {
        self.0.get()
    }
}

/// Where in a value the serializer is.
#[derive(Clone, Copy)]
struct Place<'r> {
    codec: Codec,
    refusal: &'r Refusal,
    /// How many lists and objects are open.
    depth: u8,
    /// Directly within a `Some`.
    in_some: bool,
}

impl Place<'_> {
    fn refuse<T, E: Error>(self, why: &'static str) -> Result<T, E> {
        self.refusal.0.set(Some(why));
        Err(E::custom(why))
    }

    fn refuse_if<E: Error>(self, refused: bool, why: &'static str) -> Result<(), E> {
        match refused {
            true => self.refuse(why),
            false => Ok(()),
        }
    }

    fn is_json(self) -> bool {
        self.codec == Codec::Json
    }

    /// What is written here becomes `null` in JSON.
    fn nothing<E: Error>(self) -> Result<(), E> {
        self.refuse_if(self.is_json() && self.in_some, EMPTY_SOME)
    }

    /// Within so many more lists and objects.
    fn within<E: Error>(self, levels: u8) -> Result<Self, E> {
        let depth = self.depth.saturating_add(levels);
        self.refuse_if(self.is_json() && depth > DEEPEST_JSON, TOO_DEEP)?;
        Ok(Self {
            depth,
            in_some: false,
            ..self
        })
    }

    fn within_some(self) -> Self {
        Self {
            in_some: true,
            ..self
        }
    }
}

/// A serializer that hands on what its codec gives back.
struct Faithful<'r, S> {
    inner: S,
    place: Place<'r>,
}

/// A value within another.
struct Inside<'a, 'r, T: ?Sized> {
    value: &'a T,
    place: Place<'r>,
}

impl<T: Serialize + ?Sized> Serialize for Inside<'_, '_, T> {
    fn serialize<S: Serializer>(&self, inner: S) -> Result<S::Ok, S::Error> {
        let place = self.place;
        self.value.serialize(Faithful { inner, place })
    }
}

/// Hands a plain value on.
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
            self.place.refuse_if(self.place.is_json() && !value.is_finite(), NOT_FINITE)?;
            self.inner.$name(value)
        })*
    };
}

impl<'r, S: Serializer> Serializer for Faithful<'r, S> {
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
        serialize_str: &str,
        serialize_bytes: &[u8],
    }

    floats! {
        serialize_f32: f32,
        serialize_f64: f64,
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.place.nothing()?;
        self.inner.serialize_none()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        let place = self.place.within_some();
        self.inner.serialize_some(&Inside { value, place })
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.place.nothing()?;
        self.inner.serialize_unit()
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<S::Ok, S::Error> {
        self.place.nothing()?;
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
            .serialize_newtype_struct(name, &Inside { value, place })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let place = self.place.within(1)?;
        let value = Inside { value, place };
        self.inner
            .serialize_newtype_variant(name, index, variant, &value)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        let place = self.place.within(1)?;
        Ok(Parts::counted(self.inner.serialize_seq(len)?, place, len))
    }

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, S::Error> {
        let place = self.place.within(1)?;
        Ok(Parts::fixed(self.inner.serialize_tuple(len)?, place, len))
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        let place = self.place.within(1)?;
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
        let place = self.place.within(2)?;
        let inner = self
            .inner
            .serialize_tuple_variant(name, index, variant, len)?;
        Ok(Parts::fixed(inner, place, len))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        let place = self.place.within(1)?;
        Ok(Parts::counted(self.inner.serialize_map(len)?, place, len))
    }

    fn serialize_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStruct, S::Error> {
        let levels = u8::from(!name.starts_with(PRIVATE));
        let place = self.place.within(levels)?;
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
        let place = self.place.within(2)?;
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

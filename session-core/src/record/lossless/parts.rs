//! Lists, objects and structs: the parts of a value that is encoded.

use serde::Serialize;
use serde::ser::{
    Error, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};

use super::place::{Nested, Place};

const SKIPPED: &str =
    "a field that is skipped (skip_serializing_if), which postcard does not read back";
const MISCOUNTED: &str = "a list or map of another length than it announces";

/// A list, an object or a struct whose parts are being encoded.
pub(super) struct Parts<'r, C> {
    inner: C,
    place: Place<'r>,
    /// The number of parts that the codec relies on.
    expected: Option<usize>,
    count: usize,
}

impl<'r, C> Parts<'r, C> {
    /// Parts whose number postcard writes before them. `serde_json` only asks whether it is zero.
    pub(super) fn counted(inner: C, place: Place<'r>, expected: Option<usize>) -> Self {
        let expected = expected.filter(|expected| !place.is_json() || *expected == 0);
        Self {
            inner,
            place,
            expected,
            count: 0,
        }
    }

    /// Parts whose number is known from the type; no codec writes it.
    pub(super) fn fixed(inner: C, place: Place<'r>, expected: usize) -> Self {
        Self::counted(inner, place, Some(expected).filter(|_| place.is_json()))
    }

    fn part<'a, T: ?Sized>(&mut self, value: &'a T) -> Nested<'a, 'r, T> {
        self.count += 1;
        Nested {
            value,
            place: self.place,
        }
    }

    fn end<E: Error>(self) -> Result<C, E> {
        let miscounted = self.expected.is_some_and(|expected| expected != self.count);
        self.place.reject_if(miscounted, MISCOUNTED)?;
        Ok(self.inner)
    }

    fn skip<E: Error>(&self) -> Result<(), E> {
        self.place.reject_if(!self.place.is_json(), SKIPPED)
    }
}

/// Parts without names.
macro_rules! unnamed {
    ($($trait:ident $part:ident,)*) => {
        $(impl<C: $trait> $trait for Parts<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn $part<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
                let value = self.part(value);
                self.inner.$part(&value)
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                Parts::end(self)?.end()
            }
        })*
    };
}

unnamed! {
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field,
}

/// Fields with names.
macro_rules! named {
    ($($trait:ident,)*) => {
        $(impl<C: $trait> $trait for Parts<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                value: &T,
            ) -> Result<(), C::Error> {
                let value = self.part(value);
                self.inner.serialize_field(key, &value)
            }

            fn skip_field(&mut self, key: &'static str) -> Result<(), C::Error> {
                self.skip()?;
                self.inner.skip_field(key)
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                Parts::end(self)?.end()
            }
        })*
    };
}

named! {
    SerializeStruct,
    SerializeStructVariant,
}

impl<C: SerializeMap> SerializeMap for Parts<'_, C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), C::Error> {
        let mut key = self.part(key);
        key.place = key.place.special();
        self.inner.serialize_key(&key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        let place = self.place;
        self.inner.serialize_value(&Nested { value, place })
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        Parts::end(self)?.end()
    }
}

//! Where in a value a serializer is, and what it rejects there.

use std::cell::Cell;

use serde::ser::Error;

use crate::record::Codec;

/// `serde_json` reads lists and objects that are nested up to this depth.
const DEEPEST_JSON: u8 = 127;

const EMPTY_SOME: &str = "a `Some` that holds nothing, which JSON reads back as `None`";
const TOO_DEEP: &str = "values nested more than 127 deep, which JSON does not read back";

/// Why a value was rejected, if it was. A codec's error could carry it only as text.
#[derive(Debug, Default)]
pub(crate) struct LossReason(Cell<Option<&'static str>>);

impl LossReason {
    pub(crate) fn get(&self) -> Option<&'static str> {
        self.0.get()
    }
}

/// The serializer's place in a value.
#[derive(Clone, Copy)]
pub(super) struct Place<'r> {
    pub(super) codec: Codec,
    pub(super) reason: &'r LossReason,
    /// How many lists and objects contain it.
    pub(super) depth: u8,
    /// Whether a `Some` contains it directly.
    pub(super) in_some: bool,
    /// Whether bytes are written as a text here ([`BytesAsText`](crate::record::BytesAsText)).
    pub(super) bytes_as_text: bool,
}

impl Place<'_> {
    pub(super) fn reject_if<E: Error>(self, lossy: bool, why: &'static str) -> Result<(), E> {
        if !lossy {
            return Ok(());
        }
        self.reason.0.set(Some(why));
        Err(E::custom(why))
    }

    pub(super) fn is_json(self) -> bool {
        self.codec == Codec::Json
    }

    /// A value that becomes `null` in JSON.
    pub(super) fn null<E: Error>(self) -> Result<(), E> {
        self.reject_if(self.is_json() && self.in_some, EMPTY_SOME)
    }

    /// The place within this many more lists and objects.
    pub(super) fn nested<E: Error>(self, levels: u8) -> Result<Self, E> {
        let depth = self.depth.saturating_add(levels);
        self.reject_if(self.is_json() && depth > DEEPEST_JSON, TOO_DEEP)?;
        Ok(Self {
            depth,
            in_some: false,
            ..self
        })
    }

    /// The place of a text that is more than that: a key, or what is not between quotation marks.
    pub(super) fn special(self) -> Self {
        Self {
            bytes_as_text: false,
            ..self
        }
    }

    pub(super) fn in_some(self) -> Self {
        Self {
            in_some: true,
            ..self
        }
    }
}

/// A value at its place within another one.
pub(super) struct Nested<'a, 'r, T: ?Sized> {
    pub(super) value: &'a T,
    pub(super) place: Place<'r>,
}

//! How values are written, and why one cannot be.

use std::fmt;

/// How a value is encoded.
///
/// Each stored [`Value`](crate::store::Value) says which codec wrote it, so a change of codec signs
/// nobody out: old values are read by the old codec.
///
/// A codec gives back the value that was inserted, or refuses it at the insert. Some losses
/// cannot be noticed at the insert; they are listed for each codec below.
/// [`round_trips`](crate::round_trips) checks your types in a test.
///
/// ```
/// use session_core::Codec;
///
/// let value = Codec::Json.encode(&vec![1, 2]).unwrap();
/// assert_eq!(value.bytes(), b"[1,2]");
/// assert_eq!(value.decode::<Vec<u8>>().unwrap(), [1, 2]);
///
/// // JSON would write `null`, which is no float.
/// let refused = Codec::Json.encode(&f64::NAN).unwrap_err();
/// assert_eq!(refused.category(), "a float that is not finite, which JSON cannot express");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// JSON, which people and other languages can read. The default.
    ///
    /// Integers of up to 128 bits and finite floats come back bit for bit.
    ///
    /// Two objects with the same entries are the same value, whatever their order. So inserting a
    /// `HashMap` that was read writes nothing. The order of an `IndexMap` is not part of its value
    /// either: use a list of pairs if the order matters. A `HashSet` becomes a list, whose order
    /// does matter, so each insert of it may be a write: use a `BTreeSet` instead.
    ///
    /// An insert refuses:
    ///
    /// - a float that is not finite, which JSON would turn into `null`;
    /// - a `Some` that holds `None`, `()` or anything else that JSON writes as `null`, which would
    ///   come back as `None`;
    /// - lists and objects nested more than 127 deep, which could not be read back;
    /// - map keys that are not strings, numbers, booleans, characters or unit variants.
    ///
    /// An insert cannot notice:
    ///
    /// - an untagged enum whose value also fits an earlier variant: that one comes back;
    /// - an integer beyond 64 bits within `flatten`, an untagged or an internally tagged enum: it
    ///   cannot be read;
    /// - `flatten`, or the tag of an enum, that writes a key a second time: it cannot be read;
    /// - a skipped field without `#[serde(default)]`: it cannot be read;
    /// - a type that leaves something out when it is written, as `SocketAddrV6` does.
    #[default]
    Json,
    /// **Some types come back from postcard as another value, without an error.** Its bytes hold no
    /// names and no types, so a field that is left out shifts all that follow. For example, serde
    /// can skip the field `admin` of `{admin: false, editor: true, log: [0]}` because it is false.
    /// From that, postcard alone would read `{admin: true, editor: true, log: []}`. An insert
    /// refuses this case. Check all other types with [`round_trips`](crate::round_trips) before you
    /// choose this codec.
    ///
    /// [postcard](https://docs.rs/postcard) is compact and fast, and needs exactly the type that
    /// was written. If a field is added, removed or moved, older values cannot be read, or come
    /// back as other values. All floats come back bit for bit, even those that are not finite.
    ///
    /// An insert refuses:
    ///
    /// - a field of a struct that `skip_serializing_if` skips;
    /// - `flatten`, and all lists and maps that do not know their length, or announce a wrong one.
    ///
    /// An insert cannot notice:
    ///
    /// - an enum with `#[serde(skip)]` on a variant that is not the last: a later variant comes
    ///   back in the place of the one that was written;
    /// - a skipped field of a tuple struct, and `#[serde(skip_serializing)]` on a field that is
    ///   still read: all fields after it are shifted;
    /// - untagged, internally tagged and adjacently tagged enums, `serde_json::Value`, and whatever
    ///   else asks the codec what comes next (`deserialize_any`): they cannot be read.
    ///
    /// Two maps with the same entries in another order are different values here, so inserting a
    /// `HashMap` again is a write. Use a `BTreeMap`.
    Postcard,
    /// Not a codec to choose: it marks a value that a manager has sealed for its store
    /// ([`seal_values`](crate::SessionManagerBuilder::seal_values)).
    ///
    /// A store keeps such a value as it keeps any other: its [`tag`](Self::tag) and its bytes. Only
    /// a manager with the keys makes and opens one, so `build` refuses this codec, and encoding and
    /// decoding with it fails. To a program without the feature `sealed-values`, a session that has
    /// such a value is [corrupt](crate::store::StoreError::Corrupt).
    Sealed,
}

impl Codec {
    /// Whether it marks a sealed value.
    pub(crate) const fn is_sealed(self) -> bool {
        matches!(self, Self::Sealed)
    }

    /// The number of this codec in a stored record.
    pub const fn tag(self) -> u8 {
        match self {
            Self::Json => 0,
            Self::Postcard => 1,
            Self::Sealed => 2,
        }
    }

    /// The codec with this number; `None` if this version does not know it.
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
            2 => Some(Self::Sealed),
            _ => None,
        }
    }
}

/// Why a value could not be encoded or decoded. It holds category and position only, because the
/// text of a codec's error can quote the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodecFault {
    codec: Codec,
    category: &'static str,
    position: Option<(usize, usize)>,
}

impl CodecFault {
    pub(super) const fn new(codec: Codec, category: &'static str) -> Self {
        Self {
            codec,
            category,
            position: None,
        }
    }

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

    /// No handler makes a sealed value, and no manager that can open one hands it out.
    pub(super) const fn sealed() -> Self {
        Self::new(
            Codec::Sealed,
            "a sealed value, which only a manager with `seal_values` makes and opens",
        )
    }

    pub(super) fn json(fault: &serde_json::Error) -> Self {
        use serde_json::error::Category;
        let category = match fault.classify() {
            Category::Io | Category::Syntax => "a syntax error",
            Category::Data => "data of another shape than the type",
            Category::Eof => "an unexpected end",
        };
        Self {
            position: (fault.line() > 0).then(|| (fault.line(), fault.column())),
            ..Self::new(Codec::Json, category)
        }
    }

    pub(super) fn postcard(fault: &postcard::Error) -> Self {
        let category = match fault {
            postcard::Error::DeserializeUnexpectedEnd => "an unexpected end",
            postcard::Error::WontImplement => "a type that postcard cannot express",
            _ => "data of another shape than the type",
        };
        Self::new(Codec::Postcard, category)
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

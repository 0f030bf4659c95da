//! The values of a session, each still encoded.

use bytestring::ByteString;

use crate::Value;

/// The values of a [`Record`](crate::Record): sorted by key, each encoded, cheap to share.
///
/// ```
/// use session_core::{Codec, Values};
///
/// let values: Values = [("b", 2), ("a", 1)]
///     .into_iter()
///     .map(|(key, n)| (key.into(), Codec::Json.encode(&n).unwrap()))
///     .collect();
/// assert_eq!(values.len(), 2);
/// assert_eq!(values.iter().map(|(key, _)| key).collect::<Vec<_>>(), ["a", "b"]);
/// assert_eq!(values.get("b").unwrap().bytes(), b"2");
/// assert!(values.get("c").is_none());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values {
    sorted: Vec<(ByteString, Value)>,
    bytes: usize,
}

/// What an entry adds to the size of a record: key, value, codec and both lengths at most.
pub(crate) fn entry_size(key: &str, value: &Value) -> usize {
    key.len() + value.bytes().len() + 9
}

impl Values {
    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.position(key).ok().map(|at| &self.sorted[at].1)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// Keys and values in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.sorted.iter().map(|(key, value)| (&**key, value))
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &(ByteString, Value)> {
        self.sorted.iter()
    }

    /// The stored spelling of `key`, to share its bytes.
    pub(crate) fn key(&self, key: &str) -> Option<&ByteString> {
        self.position(key).ok().map(|at| &self.sorted[at].0)
    }

    /// What the entries add to the size of a record, at most.
    pub(crate) fn size(&self) -> usize {
        self.bytes
    }

    /// Takes entries that are sorted by key and hold each key once.
    pub(crate) fn from_sorted(sorted: Vec<(ByteString, Value)>) -> Self {
        let bytes = sorted.iter().map(|(key, value)| entry_size(key, value)).sum();
        Self { sorted, bytes }
    }

    fn position(&self, key: &str) -> Result<usize, usize> {
        self.sorted.binary_search_by(|(other, _)| (**other).cmp(key))
    }
}

impl FromIterator<(ByteString, Value)> for Values {
    /// In any order; of entries with one key the last stays.
    fn from_iter<I: IntoIterator<Item = (ByteString, Value)>>(entries: I) -> Self {
        let mut sorted: Vec<_> = entries.into_iter().collect();
        sorted.reverse();
        sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
        sorted.dedup_by(|later, kept| later.0 == kept.0);
        Self::from_sorted(sorted)
    }
}

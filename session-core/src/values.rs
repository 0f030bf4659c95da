//! The values of a session, each still encoded.

use std::fmt;

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
#[derive(Clone, Default, PartialEq, Eq)]
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

    /// What an entry adds to [`Record::limited_size`](crate::Record::limited_size): its key, its value, and 9 for their
    /// lengths and the codec at most.
    ///
    /// ```
    /// use session_core::{Codec, Values};
    ///
    /// assert_eq!(Values::entry_size("visits", &Codec::Json.encode(&42).unwrap()), 6 + 2 + 9);
    /// ```
    pub fn entry_size(key: &str, value: &Value) -> usize {
        entry_size(key, value)
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

impl fmt::Debug for Values {
    /// Shows how much there is, and no key or value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Values({} keys, {} bytes at most)", self.len(), self.bytes)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Codec, Lifetime, Record, SessionId, Timestamp};

    fn json(text: &str) -> Value {
        Value::new(Codec::Json, text.to_owned())
    }

    fn entries(list: &[(&str, &str)]) -> Values {
        list.iter()
            .map(|(key, text)| ((*key).into(), json(text)))
            .collect()
    }

    #[test]
    fn of_one_key_the_last_value_stays() {
        let values = entries(&[("b", "1"), ("a", "2"), ("b", "33"), ("a", "4"), ("b", "555")]);
        assert_eq!(values, entries(&[("a", "4"), ("b", "555")]));
        let list: Vec<_> = values.iter().map(|(key, value)| (key, value.bytes())).collect();
        assert_eq!(list, [("a", &b"4"[..]), ("b", b"555")]);
    }

    #[test]
    fn keys_are_sorted_by_their_bytes() {
        let values = entries(&[("é", "1"), ("z", "1"), ("", "1"), ("Z", "1"), ("zz", "1")]);
        let keys: Vec<_> = values.iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["", "Z", "z", "zz", "é"]);
    }

    #[test]
    fn lookups() {
        let values = entries(&[("a", "1"), ("c", "3")]);
        assert_eq!(values.len(), 2);
        assert!(!values.is_empty());
        assert!(Values::default().is_empty());
        assert_eq!(Values::default().len(), 0);
        assert_eq!(values.get("a"), Some(&json("1")));
        assert_eq!(values.get("b"), None);
        assert_eq!(values.get("c"), Some(&json("3")));
        assert_eq!(values.entries().count(), 2);
        let stored = values.key("c").unwrap();
        assert_eq!(stored.as_ptr(), values.iter().nth(1).unwrap().0.as_ptr());
        assert_eq!(values.key("b"), None);
    }

    #[test]
    fn sizes_are_summed() {
        assert_eq!(entry_size("key", &json("12345")), 3 + 5 + 9);
        assert_eq!(entry_size("", &json("")), 9);
        assert_eq!(Values::default().size(), 0);
        assert_eq!(entries(&[("a", "1")]).size(), 11);
        assert_eq!(entries(&[("a", "1"), ("b", "22"), ("b", "333")]).size(), 11 + 13);
    }

    #[test]
    fn decoding_reserves_room_once() {
        let id = SessionId::from_bytes([0; 16]);
        let mut record = Record::new(id, "id", Lifetime::default(), Timestamp::from_millis(0));
        for key in ["a", "b", "c", "d", "e"] {
            record = record.with_value(key, json("1"));
        }
        let again = Record::decode(record.encode()).unwrap();
        assert_eq!(again.values().sorted.capacity(), 5);
        // Only as many entries as the bytes can hold, whatever their number says.
        let empty = record.encode_metadata();
        let mut forged = empty.clone();
        forged.push(2);
        forged.extend_from_slice(b"\x00\x00\x00\x01a\x00\x00");
        assert_eq!(Record::decode(forged).unwrap().values().sorted.capacity(), 2);
    }
}

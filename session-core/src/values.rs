//! The values of a session, each still encoded.

use std::cmp::Ordering;
use std::fmt;
use std::iter::Peekable;
use std::slice;
use std::sync::Arc;

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
#[derive(Clone, Default)]
pub struct Values {
    /// Sorted by key, and shared by the versions of a record: who writes one of many keys copies the one.
    base: Option<Arc<Vec<Entry>>>,
    /// What has changed since, sorted by key. A key without a value is one of the base that is gone.
    over: Vec<Change>,
    count: usize,
    bytes: usize,
    /// Bytes of the entries of the base that are covered.
    dead: usize,
}

type Entry = (ByteString, Value);
/// A key, and its new value if it has one.
pub(crate) type Change = (ByteString, Option<Value>);

/// What an entry adds to the size of a record: key, value, codec and both lengths at most.
pub(crate) fn entry_size(key: &str, value: &Value) -> usize {
    key.len() + value.bytes().len() + 9
}

impl Values {
    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        match self.changed(key) {
            Some((_, value)) => value.as_ref(),
            None => self.based(key).map(|(_, value)| value),
        }
    }

    fn changed(&self, key: &str) -> Option<&Change> {
        let at = self.over.binary_search_by(|(other, _)| (**other).cmp(key));
        at.ok().map(|at| &self.over[at])
    }

    fn based(&self, key: &str) -> Option<&Entry> {
        let base = self.base();
        let at = base.binary_search_by(|(other, _)| (**other).cmp(key));
        at.ok().map(|at| &base[at])
    }

    fn base(&self) -> &[Entry] {
        self.base.as_deref().map_or(&[], Vec::as_slice)
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
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Keys and values in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries().map(|(key, value)| (&**key, value))
    }

    fn entries(&self) -> Entries<'_> {
        Entries {
            base: self.base().iter().peekable(),
            over: self.over.iter().peekable(),
        }
    }

    /// The stored spelling of `key`, to share its bytes.
    pub(crate) fn key(&self, key: &str) -> Option<&ByteString> {
        match self.changed(key) {
            Some((key, value)) => value.as_ref().map(|_| key),
            None => self.based(key).map(|(key, _)| key),
        }
    }

    /// The same with changes, which are sorted by key and hold each key once.
    pub(crate) fn with(&self, changes: &[Change]) -> Self {
        let mut after = Self {
            base: self.base.clone(),
            over: Vec::with_capacity(self.over.len() + changes.len()),
            ..*self
        };
        let mut old = self.over.iter().peekable();
        for (key, value) in changes {
            while let Some(kept) = old.next_if(|(other, _)| other < key) {
                after.over.push(kept.clone());
            }
            let based = self.based(key);
            let covered = old.next_if(|(other, _)| other == key);
            let before = match covered {
                Some((_, before)) => before.as_ref(),
                None => {
                    after.dead += based.map_or(0, |(key, value)| entry_size(key, value));
                    based.map(|(_, value)| value)
                }
            };
            if let Some(before) = before {
                after.count -= 1;
                after.bytes -= entry_size(key, before);
            }
            if let Some(value) = value {
                after.count += 1;
                after.bytes += entry_size(key, value);
            }
            if value.is_some() || based.is_some() {
                // The bytes of a key are shared where they are there already.
                let key = based.map_or(key, |(key, _)| key);
                after.over.push((key.clone(), value.clone()));
            }
        }
        after.over.extend(old.cloned());
        match after.is_crooked() {
            true => Self::from_sorted(after.entries().into_vec(after.count)),
            false => after,
        }
    }

    /// Whether it holds on to more than it is worth: to be laid out anew.
    fn is_crooked(&self) -> bool {
        self.over.len() * 2 > self.base().len() || self.dead > self.bytes.min(size_of_val(self.base()))
    }

    /// What the entries add to the size of a record, at most.
    pub(crate) fn size(&self) -> usize {
        self.bytes
    }

    /// Takes entries that are sorted by key and hold each key once.
    pub(crate) fn from_sorted(sorted: Vec<Entry>) -> Self {
        Self {
            count: sorted.len(),
            bytes: sorted.iter().map(|(key, value)| entry_size(key, value)).sum(),
            dead: 0,
            base: (!sorted.is_empty()).then(|| Arc::new(sorted)),
            over: Vec::new(),
        }
    }
}

/// Walks base and changes side by side.
struct Entries<'a> {
    base: Peekable<slice::Iter<'a, Entry>>,
    over: Peekable<slice::Iter<'a, Change>>,
}

impl Entries<'_> {
    fn into_vec(self, count: usize) -> Vec<Entry> {
        let mut all = Vec::with_capacity(count);
        all.extend(self.map(|(key, value)| (key.clone(), value.clone())));
        all
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a ByteString, &'a Value);

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.base.len() + self.over.len()))
    }

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let order = match (self.base.peek(), self.over.peek()) {
                (Some((based, _)), Some((changed, _))) => based.cmp(changed),
                (_, None) => Ordering::Less,
                (None, _) => Ordering::Greater,
            };
            if order == Ordering::Less {
                return self.base.next().map(|(key, value)| (key, value));
            }
            if order == Ordering::Equal {
                self.base.next();
            }
            if let (key, Some(value)) = self.over.next()? {
                return Some((key, value));
            }
        }
    }
}

impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        self.count == other.count && self.bytes == other.bytes && self.entries().eq(other.entries())
    }
}

impl Eq for Values {}

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
        assert_eq!(values.iter().count(), 2);
        let stored = values.key("c").unwrap();
        assert_eq!(stored.as_ptr(), values.iter().nth(1).unwrap().0.as_ptr());
        assert_eq!(values.key("b"), None);
    }

    /// Against a plain list, whatever the changes are and however they are laid over each other.
    #[test]
    fn changes_come_out_as_in_a_plain_list() {
        let mut number = 1_u32;
        let mut draw = |below: u32| {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (number >> 16) % below
        };
        let (mut laid_over, mut laid_out) = (0, 0);
        for round in 0..500 {
            let mut plain: std::collections::BTreeMap<String, Value> = (0..draw(12))
                .map(|n| (format!("key-{n}"), json(&"1".repeat(draw(30) as usize))))
                .collect();
            let mut values: Values = plain
                .iter()
                .map(|(key, value)| (key.as_str().into(), value.clone()))
                .collect();
            for _ in 0..10 {
                let changes: std::collections::BTreeMap<_, _> = (0..draw(4))
                    .map(|_| {
                        let value = (draw(3) > 0).then(|| json(&"2".repeat(draw(30) as usize)));
                        (format!("key-{}", draw(14)), value)
                    })
                    .collect();
                for (key, value) in &changes {
                    match value {
                        Some(value) => drop(plain.insert(key.clone(), value.clone())),
                        None => drop(plain.remove(key)),
                    }
                }
                let changes: Vec<Change> = changes
                    .into_iter()
                    .map(|(key, value)| (key.into(), value))
                    .collect();
                let before = values
                    .iter()
                    .map(|(key, value)| (key.to_owned(), value.clone()))
                    .collect::<Vec<_>>();
                let after = values.with(&changes);
                assert!(
                    values
                        .iter()
                        .eq(before.iter().map(|(key, value)| (&**key, value))),
                    "{round}: the old one stays"
                );
                values = after;
                assert!(
                    values.iter().eq(plain.iter().map(|(key, value)| (&**key, value))),
                    "{round}"
                );
                let anew = Values::from_iter(
                    plain
                        .iter()
                        .map(|(key, value)| (key.as_str().into(), value.clone())),
                );
                assert_eq!(
                    (values.len(), values.size()),
                    (anew.len(), anew.size()),
                    "{round}"
                );
                assert!(values == anew, "{round}");
                assert!(anew == values, "{round}");
                for n in 0..14 {
                    let key = format!("key-{n}");
                    assert_eq!(values.get(&key), plain.get(&key), "{round}");
                    assert_eq!(
                        values.key(&key).map(|key| &**key),
                        plain.get_key_value(&key).map(|(key, _)| &**key)
                    );
                }
                assert!(values.dead <= values.size() && values.over.len() * 2 <= values.base().len());
                *if values.over.is_empty() {
                    &mut laid_out
                } else {
                    &mut laid_over
                } += 1;
            }
        }
        assert!(laid_over > 500 && laid_out > 500, "{laid_over} {laid_out}");
    }

    #[test]
    fn one_change_of_many_copies_one() {
        let keys: Vec<_> = (0..64).map(|n| format!("key-{n:02}")).collect();
        let values = entries(&keys.iter().map(|key| (key.as_str(), "1")).collect::<Vec<_>>());
        let after = values.with(&[("key-07".into(), Some(json("2")))]);
        assert!(Arc::ptr_eq(
            values.base.as_ref().unwrap(),
            after.base.as_ref().unwrap()
        ));
        assert_eq!(after.over.len(), 1);
        // Nothing large is held on to that nobody can see.
        let heavy = after.with(&[("key-08".into(), Some(json(&"1".repeat(100_000))))]);
        let laid_out = heavy.with(&[]).with(&[("key-08".into(), None)]);
        assert_eq!(
            (laid_out.len(), laid_out.size()),
            (63, after.size() - entry_size("key-08", &json("1")))
        );
    }

    /// What a request has replaced or removed is nobody's any more.
    #[test]
    fn a_large_value_that_was_replaced_is_not_held_on_to() {
        let large = bytes::Bytes::from("1".repeat(500_000));
        let values: Values = [
            ("large".into(), Value::new(Codec::Json, large.clone())),
            ("small".into(), json("1")),
        ]
        .into_iter()
        .collect();
        let mut after = values.with(&[("large".into(), Some(json(&"2".repeat(500_000))))]);
        drop(values);
        for round in 0..100 {
            let next = format!("{round}{}", "3".repeat(500_000));
            after = after.with(&[("large".into(), Some(json(&next)))]);
        }
        assert!(
            large.is_unique(),
            "{} bytes are dead, of {} alive",
            after.dead,
            after.bytes
        );
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
        assert_eq!(again.values().base.as_ref().unwrap().capacity(), 5);
        // Only as many entries as the bytes can hold, whatever their number says.
        let empty = record.encode_metadata();
        let mut forged = empty.clone();
        forged.push(2);
        forged.extend_from_slice(b"\x00\x00\x00\x01a\x00\x00");
        assert_eq!(
            Record::decode(forged)
                .unwrap()
                .values()
                .base
                .as_ref()
                .unwrap()
                .capacity(),
            2
        );
    }
}

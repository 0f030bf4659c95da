//! The values of a session, each still encoded.

use std::cmp::Ordering;
use std::fmt;
use std::iter::Peekable;
use std::slice;
use std::sync::Arc;

use bytestring::ByteString;

use crate::record::Value;

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
    /// Sorted by key, and shared by the versions of a record: who writes one of many keys copies
    /// the one.
    base: Option<Arc<Vec<Entry>>>,
    /// What has changed since, sorted by key. A key without a value is one of the base that is
    /// gone.
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

    /// What an entry adds to [`Record::limited_size`](crate::Record::limited_size): its key, its
    /// value, and 9 for their lengths and the codec at most.
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
        self.over.len() * 2 > self.base().len()
            || self.dead > self.bytes.min(size_of_val(self.base()))
    }

    /// What the entries add to the size of a record, at most.
    pub(crate) fn size(&self) -> usize {
        self.bytes
    }

    /// Takes entries that are sorted by key and hold each key once.
    pub(crate) fn from_sorted(sorted: Vec<Entry>) -> Self {
        Self {
            count: sorted.len(),
            bytes: sorted
                .iter()
                .map(|(key, value)| entry_size(key, value))
                .sum(),
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
        write!(
            f,
            "Values({} keys, {} bytes at most)",
            self.len(),
            self.bytes
        )
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
mod tests;

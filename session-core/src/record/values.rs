//! The values of a session, each still encoded.
//!
//! A version of a record shares the entries of the version before it, and copies only what has
//! changed. A plain copy of the sorted list was measured against this on the memory store: a
//! request that writes one value takes 26 % longer in a session of 8 keys, and 13 times as long in
//! one of 512, because each entry that is copied counts up two references.

use std::fmt;
use std::iter;
use std::sync::Arc;

use bytestring::ByteString;

use crate::record::{OpenedForm, Value};

/// The values of a [`Record`](crate::store::Record): sorted by key, each encoded, and cheap to
/// share.
///
/// ```
/// use session_core::Codec;
/// use session_core::store::Values;
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
    /// Sorted by key. The versions of a record share it.
    base: Option<Arc<Vec<Entry>>>,
    /// The changes since, sorted by key; an entry of the base that was removed has no value here.
    overlay: Vec<Change>,
    count: usize,
    bytes: usize,
    /// Bytes of those entries of the base that the overlay hides.
    hidden: usize,
    /// If they are sealed, what was opened of them.
    #[cfg_attr(
        not(feature = "sealed-values"),
        expect(dead_code, reason = "it is empty")
    )]
    opened: OpenedForm<Self>,
}

type Entry = (ByteString, Value);
/// A key, and its new value if it has one.
pub(crate) type Change = (ByteString, Option<Value>);

impl Values {
    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entry(key).map(|(_, value)| value)
    }

    /// The stored spelling of `key`, to share its bytes.
    pub(crate) fn key(&self, key: &str) -> Option<&ByteString> {
        self.entry(key).map(|(key, _)| key)
    }

    fn entry(&self, key: &str) -> Option<(&ByteString, &Value)> {
        match self
            .overlay
            .binary_search_by(|(other, _)| (**other).cmp(key))
        {
            Ok(at) => {
                let (key, value) = &self.overlay[at];
                value.as_ref().map(|value| (key, value))
            }
            Err(_) => self.in_base(key).map(|(key, value)| (key, value)),
        }
    }

    fn in_base(&self, key: &str) -> Option<&Entry> {
        let base = self.base();
        let at = base.binary_search_by(|(other, _)| (**other).cmp(key));
        at.ok().map(|at| &base[at])
    }

    fn base(&self) -> &[Entry] {
        self.base.as_deref().map_or(&[], Vec::as_slice)
    }

    /// What an entry adds to [`Record::limited_size`](crate::store::Record::limited_size).
    ///
    /// It is the bytes of its key and its value, plus 9: the most that their lengths and the codec
    /// take.
    ///
    /// ```
    /// use session_core::Codec;
    /// use session_core::store::Values;
    ///
    /// assert_eq!(Values::entry_size("visits", &Codec::Json.encode(&42).unwrap()), 6 + 2 + 9);
    /// ```
    pub fn entry_size(key: &str, value: &Value) -> usize {
        key.len() + value.bytes().len() + 9
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Keys and values in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.entries().map(|(key, value)| (&**key, value))
    }

    /// Merges base and overlay.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&ByteString, &Value)> {
        let mut base = self.base().iter().peekable();
        let mut overlay = self.overlay.iter().peekable();
        iter::from_fn(move || {
            loop {
                let Some((changed, _)) = overlay.peek() else {
                    return base.next().map(|(key, value)| (key, value));
                };
                if let Some((key, value)) = base.next_if(|(key, _)| key < changed) {
                    return Some((key, value));
                }
                base.next_if(|(key, _)| key == changed);
                if let Some((key, Some(value))) = overlay.next() {
                    return Some((key, value));
                }
            }
        })
    }

    /// The same with these changes.
    pub(crate) fn with(&self, changes: &[Change]) -> Self {
        if changes.is_empty() {
            return self.clone();
        }
        let mut overlay = Vec::with_capacity(self.overlay.len() + changes.len());
        overlay.extend_from_slice(&self.overlay);
        let base = self.base.clone();
        let mut after = Self {
            base,
            overlay,
            opened: OpenedForm::default(),
            ..*self
        };
        for (key, value) in changes {
            after.put(key, value.clone());
        }
        if after.wastes_memory() {
            after.compacted()
        } else {
            after
        }
    }

    fn put(&mut self, key: &ByteString, value: Option<Value>) {
        if let Some(size) = self.get(key).map(|value| Self::entry_size(key, value)) {
            self.count -= 1;
            self.bytes -= size;
        }
        if let Some(value) = &value {
            self.count += 1;
            self.bytes += Self::entry_size(key, value);
        }
        match self.overlay.binary_search_by(|(other, _)| other.cmp(key)) {
            // A removal that hides nothing would only take room.
            Ok(at) if value.is_none() && self.in_base(key).is_none() => {
                self.overlay.remove(at);
            }
            Ok(at) => self.overlay[at].1 = value,
            Err(_) if value.is_none() && self.in_base(key).is_none() => {}
            Err(at) => {
                let hides = self.in_base(key);
                let hidden = hides.map_or(0, |(key, value)| Self::entry_size(key, value));
                let shared = hides.map_or(key, |(key, _)| key).clone();
                self.hidden += hidden;
                self.overlay.insert(at, (shared, value));
            }
        }
    }

    /// Whether the overlay costs more than it saves: it is long, or hides more bytes than are
    /// visible, or than the copy of the base would take.
    fn wastes_memory(&self) -> bool {
        self.overlay.len() * 2 > self.base().len()
            || self.hidden > self.bytes.min(size_of_val(self.base()))
    }

    /// The same without an overlay.
    fn compacted(&self) -> Self {
        let mut entries = Vec::with_capacity(self.count);
        entries.extend(
            self.entries()
                .map(|(key, value)| (key.clone(), value.clone())),
        );
        Self::from_sorted(entries)
    }

    /// Whether there is a sealed one among them.
    pub(crate) fn any_sealed(&self) -> bool {
        self.iter().any(|(_, value)| value.codec().is_sealed())
    }

    /// What was opened of them, if they are sealed.
    #[cfg(feature = "sealed-values")]
    pub(crate) const fn opened(&self) -> &OpenedForm<Self> {
        &self.opened
    }

    /// What the entries add to the size of a record, at most.
    pub(crate) fn size(&self) -> usize {
        self.bytes
    }

    /// From entries that are sorted by key, each key once.
    pub(crate) fn from_sorted(sorted: Vec<Entry>) -> Self {
        Self {
            count: sorted.len(),
            bytes: sorted
                .iter()
                .map(|(key, value)| Self::entry_size(key, value))
                .sum(),
            base: (!sorted.is_empty()).then(|| Arc::new(sorted)),
            ..Self::default()
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
    /// The entries may be in any order. Of several entries with one key, the last stays.
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

//! What one request changes in a record.

use std::fmt;

use bytestring::ByteString;

use crate::record::{Change, Record, Tag, Value, Values};
use crate::time::Timestamp;

/// What a request changed in a record.
///
/// That is the keys it set and removed, whether it cleared all others, and how it changed the
/// metadata. The changes can be applied to any version that a store holds.
///
/// ```
/// use session_core::{Codec, Lifetime, SessionId, Timestamp};
/// use session_core::store::{Changes, Record};
///
/// let one = Codec::Json.encode(&1).unwrap();
/// # let (id, now) = (SessionId::from_bytes([0; 16]), Timestamp::from_millis(0));
/// let record = Record::new(id, "id", Lifetime::default(), now)
///     .with_value("a", one.clone())
///     .with_value("b", one.clone());
///
/// let after = Changes::new().set("c", one).remove("a").apply(&record);
/// assert_eq!(after.version(), record.version() + 1);
/// assert_eq!(after.values().iter().map(|(key, _)| key).collect::<Vec<_>>(), ["b", "c"]);
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Changes {
    cleared: bool,
    /// Sorted by key.
    values: Vec<Change>,
    metadata: Metadata,
}

/// How an update changes a record's metadata.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Metadata {
    /// Not at all, except for the version.
    #[default]
    Unchanged,
    /// The session was seen at this time. This merges: the later of two times stays.
    Touched(Timestamp),
    /// The metadata becomes that of [`Update::record`](crate::store::Update::record). Such an
    /// update always has a version that it must meet
    /// ([`Update::expected_version`](crate::store::Update::expected_version)).
    Replaced,
}

impl Changes {
    /// No changes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `key`.
    ///
    /// ```
    /// use session_core::Codec;
    /// use session_core::store::Changes;
    ///
    /// let [one, two] = [1, 2].map(|n| Codec::Json.encode(&n).unwrap());
    /// let changes = Changes::new().set("a", one).set("a", two.clone()); // the last one stays
    /// assert_eq!(changes.sets().collect::<Vec<_>>(), [("a", &two)]);
    /// ```
    #[must_use]
    pub fn set(self, key: impl Into<ByteString>, value: Value) -> Self {
        self.put(key.into(), Some(value))
    }

    /// Removes `key`.
    ///
    /// ```
    /// use session_core::store::Changes;
    ///
    /// let changes = Changes::new().remove("a");
    /// assert_eq!(changes.removes().collect::<Vec<_>>(), ["a"]);
    /// assert!(!changes.keeps_values());
    /// ```
    #[must_use]
    pub fn remove(self, key: impl Into<ByteString>) -> Self {
        self.put(key.into(), None)
    }

    /// Removes every key that is not set here.
    ///
    /// ```
    /// use session_core::{Codec, Lifetime, SessionId, Timestamp};
    /// use session_core::store::{Changes, Record};
    ///
    /// # let id = SessionId::from_bytes([0; 16]);
    /// # let record = Record::new(id, "__Host-id", Lifetime::default(), Timestamp::from_millis(0));
    /// let one = Codec::Json.encode(&1).unwrap();
    /// let record = record.with_value("a", one.clone());
    /// let after = Changes::new().set("b", one).clear().apply(&record);
    /// assert_eq!(after.values().iter().map(|(key, _)| key).collect::<Vec<_>>(), ["b"]);
    /// ```
    #[must_use]
    pub fn clear(mut self) -> Self {
        self.cleared = true;
        self
    }

    /// Sets how the metadata changes.
    ///
    /// ```
    /// use session_core::{Lifetime, SessionId, Timestamp};
    /// use session_core::store::{Changes, Metadata, Record};
    ///
    /// # let id = SessionId::from_bytes([0; 16]);
    /// # let record = Record::new(id, "__Host-id", Lifetime::default(), Timestamp::from_millis(0));
    /// let seen = Timestamp::from_millis(60_000);
    /// let changes = Changes::new().with_metadata(Metadata::Touched(seen));
    /// assert_eq!(changes.apply(&record).last_seen(), seen);
    /// ```
    #[must_use]
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    fn put(mut self, key: ByteString, value: Option<Value>) -> Self {
        match self.values.binary_search_by(|(other, _)| other.cmp(&key)) {
            Ok(at) => self.values[at].1 = value,
            Err(at) => self.values.insert(at, (key, value)),
        }
        self
    }

    /// From entries that are sorted by key, each key once.
    pub(crate) fn from_sorted(values: Vec<Change>) -> Self {
        Self {
            values,
            ..Self::default()
        }
    }

    /// The same changes with other forms of the values, which `form` makes of each key and value.
    #[cfg(feature = "sealed-values")]
    pub(crate) fn with_forms<E>(
        &self,
        mut form: impl FnMut(&str, &Value) -> Result<Value, E>,
    ) -> Result<Self, E> {
        let changed = |(key, value): &Change| {
            let value = value.as_ref().map(|value| form(key, value)).transpose()?;
            Ok((key.clone(), value))
        };
        Ok(Self {
            values: self.values.iter().map(changed).collect::<Result<_, E>>()?,
            ..*self
        })
    }

    /// The same changes, which also set those of the `values` that `rewrites` says of their keys.
    /// The values are those of a record after these changes.
    #[cfg(feature = "sealed-values")]
    pub(crate) fn and_rewrite(
        &self,
        values: &Values,
        mut rewrites: impl FnMut(&str) -> bool,
    ) -> Self {
        let changes = |key: &ByteString| {
            let found = self.values.binary_search_by(|(other, _)| other.cmp(key));
            found.is_ok()
        };
        let mut all = self.values.clone();
        for (key, value) in values.entries() {
            if !changes(key) && rewrites(key) {
                all.push((key.clone(), Some(value.clone())));
            }
        }
        all.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Self {
            values: all,
            ..*self
        }
    }

    /// Whether every key that is not set here is removed.
    pub const fn is_clear(&self) -> bool {
        self.cleared
    }

    /// The keys that are set, with their values.
    pub fn sets(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values
            .iter()
            .filter_map(|(key, value)| Some((&**key, value.as_ref()?)))
    }

    /// The keys that are removed.
    pub fn removes(&self) -> impl Iterator<Item = &str> {
        self.values
            .iter()
            .filter(|(_, value)| value.is_none())
            .map(|(key, _)| &**key)
    }

    /// How the metadata changes.
    pub const fn metadata(&self) -> Metadata {
        self.metadata
    }

    /// Whether no value changes.
    pub fn keeps_values(&self) -> bool {
        !self.cleared && self.values.is_empty()
    }

    /// Applies these changes to `record`, and returns the result.
    ///
    /// The result has the next version and a new tag. [`Metadata::Replaced`] changes nothing here,
    /// because it never merges.
    ///
    /// [`Changes`] has an example.
    pub fn apply(&self, record: &Record) -> Record {
        let mut after = Record {
            values: match self.cleared {
                true => Values::default().with(&self.values),
                false => record.values.with(&self.values),
            },
            tokens: record.tokens.clone(),
            device: record.device.clone(),
            scope: record.scope.clone(),
            principal: record.principal.clone(),
            label: record.label.clone(),
            version: record.version.saturating_add(1),
            tag: Some(Tag::draw()),
            sealed_form: record.sealed_form.after_changes(),
            ..*record
        };
        let set: usize = self
            .sets()
            .map(|(key, value)| Values::entry_size(key, value))
            .sum();
        let replaced = (record.values.size() + set).saturating_sub(after.values.size());
        // They may be in one buffer with values that stay.
        after.hidden = record.hidden.saturating_add(replaced);
        if let Metadata::Touched(seen) = self.metadata {
            after.last_seen = after.last_seen.max(seen);
        }
        after
    }
}

impl fmt::Debug for Changes {
    /// Shows how much changes, and no key or value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes")
            .field("cleared", &self.cleared)
            .field("sets", &self.sets().count())
            .field("removes", &self.removes().count())
            .field("metadata", &self.metadata)
            .finish()
    }
}

//! The setting for sealed values.

use crate::crypto::KeyRing;

/// How values are sealed in the store
/// ([`seal_values`](crate::SessionManagerBuilder::seal_values)).
///
/// A new site sets [`sealed_only`](Self::sealed_only) from its first day, as here. A [`KeyRing`]
/// alone is the same as `ValueSealing::new(keys)`, which also reads plain values.
///
/// Of [`sealed_only`](Self::sealed_only) and [`writing_plain`](Self::writing_plain) the last call
/// applies: they say what happens to plain values, and exclude each other.
///
/// ```
/// use session_core::{KeyRing, MemoryStore, SessionManager, ValueSealing};
///
/// # let keys = KeyRing::generate().unwrap();
/// let sealing = ValueSealing::new(keys).sealed_only();
/// assert!(SessionManager::builder(MemoryStore::new()).seal_values(sealing).build().is_ok());
/// ```
#[derive(Clone, Debug)]
pub struct ValueSealing {
    pub(super) keys: KeyRing,
    pub(super) plain: PlainValues,
}

/// What happens to values that are not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlainValues {
    /// They are read, and sealed when they are next written.
    Read,
    /// A record that has one is corrupt.
    Refused,
    /// They are read, and new ones are written.
    Written,
}

impl ValueSealing {
    /// Seals values with the newest of these keys, and opens them with all of them.
    ///
    /// Values that were written before are read, and sealed when they are next written, or when
    /// somebody signs in to their session. Until [`sealed_only`](Self::sealed_only) is set,
    /// somebody who can write to the database can put a plain value in the place of a sealed one.
    ///
    /// [`ValueSealing`] has an example.
    pub const fn new(keys: KeyRing) -> Self {
        Self {
            keys,
            plain: PlainValues::Read,
        }
    }

    /// Refuses values that are not sealed. A session that has one is
    /// [corrupt](crate::store::StoreError::Corrupt).
    ///
    /// A new site sets it from the first day. A site that had plain values sets it once all of them
    /// are gone: after the longest absolute timeout ([`Lifetime`](crate::Lifetime)) since all nodes
    /// seal. Only with it does sealing protect values against somebody who can write to the
    /// database.
    ///
    /// If [`writing_plain`](Self::writing_plain) was set, this replaces it.
    ///
    /// [`ValueSealing`] has an example.
    #[must_use]
    pub fn sealed_only(self) -> Self {
        Self {
            plain: PlainValues::Refused,
            ..self
        }
    }

    /// Opens sealed values, but writes values as they are.
    ///
    /// Use it for one deployment before sealing begins, if old and new processes run side by side
    /// during a deployment: a process without the keys cannot read what another one has sealed. Use
    /// it also to stop sealing. After [`sealed_only`](Self::sealed_only), first deploy
    /// `ValueSealing::new(keys)` on all nodes: those that refuse plain values cannot read what this
    /// one writes.
    ///
    /// If [`sealed_only`](Self::sealed_only) was set, this replaces it.
    ///
    /// ```
    /// use session_core::{KeyRing, MemoryStore, SessionManager, ValueSealing};
    ///
    /// # let keys = KeyRing::generate().unwrap();
    /// let sealing = ValueSealing::new(keys).writing_plain();
    /// assert!(SessionManager::builder(MemoryStore::new()).seal_values(sealing).build().is_ok());
    /// ```
    #[must_use]
    pub fn writing_plain(self) -> Self {
        Self {
            plain: PlainValues::Written,
            ..self
        }
    }
}

impl From<KeyRing> for ValueSealing {
    fn from(keys: KeyRing) -> Self {
        Self::new(keys)
    }
}

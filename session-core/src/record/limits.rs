//! What a session may hold.

use std::fmt;

/// How much a session may hold.
///
/// The limits are checked when a handler inserts, and again on the resulting record. If the limits
/// were lowered, a session that already exceeds them may stay, and may shrink.
///
/// ```
/// use session_core::Limits;
///
/// let limits = Limits::default().with_keys(16);
/// assert_eq!(limits.record_bytes(), 1024 * 1024);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub(crate) record_bytes: usize,
    pub(crate) keys: usize,
    pub(crate) key_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            record_bytes: 1024 * 1024,
            keys: 1024,
            key_bytes: 1024,
        }
    }
}

/// A limit that a session would exceed. Nothing was changed.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
/// # .block_on(async {
/// # use session_core::{Limit, MemoryStore, SessionError, SessionManager};
/// # let session = SessionManager::new(MemoryStore::new()).begin(&[]).await?;
/// let refused = session.insert(&"k".repeat(2_000), 1);
/// let Err(SessionError::Limit(exceeded)) = refused else { panic!() };
/// assert_eq!(exceeded.which(), Limit::KeyBytes);
/// assert_eq!((exceeded.size(), exceeded.limit()), (2_000, 1_024));
/// # Ok::<_, SessionError>(()) }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitExceeded {
    which: Limit,
    size: usize,
    limit: usize,
}

/// What a [`LimitExceeded`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// Bytes of a record, as [`Record::limited_size`](crate::store::Record::limited_size) counts
    /// them.
    RecordBytes,
    /// The number of keys.
    Keys,
    /// Bytes of a key, a principal or a label.
    KeyBytes,
    /// Characters of the token that would hold the session, in a sealed store.
    TokenBytes,
}

impl LimitExceeded {
    /// Makes an error: the session would have `size`, which is more than `limit`.
    pub const fn new(which: Limit, size: usize, limit: usize) -> Self {
        Self { which, size, limit }
    }

    /// The limit that would be exceeded.
    pub const fn which(&self) -> Limit {
        self.which
    }

    /// How large the session would be, in the unit of the limit.
    pub const fn size(&self) -> usize {
        self.size
    }

    /// How large the session may be.
    pub const fn limit(&self) -> usize {
        self.limit
    }
}

impl std::error::Error for LimitExceeded {}

impl fmt::Display for LimitExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { which, size, limit } = self;
        match which {
            Limit::RecordBytes => write!(
                f,
                "the session would be {size} bytes, the limit is {limit}; store less, or keep it \
                 elsewhere and store its name"
            ),
            Limit::Keys => write!(
                f,
                "the session would have {size} keys, the limit is {limit}; group values in one \
                 struct"
            ),
            Limit::KeyBytes => write!(
                f,
                "a name of {size} bytes is longer than the limit of {limit}; use a shorter key, \
                 principal or label"
            ),
            Limit::TokenBytes => write!(
                f,
                "the sealed session would be {size} bytes, the limit is {limit}; store less, allow \
                 more chunks, or use a store on the server"
            ),
        }
    }
}

impl Limits {
    /// Sets how many bytes a record may have, as
    /// [`Record::limited_size`](crate::store::Record::limited_size) counts them. Default: 1 MiB.
    #[must_use]
    pub const fn with_record_bytes(mut self, bytes: usize) -> Self {
        self.record_bytes = bytes;
        self
    }

    /// Sets how many keys a session may have. Default: 1,024.
    #[must_use]
    pub const fn with_keys(mut self, keys: usize) -> Self {
        self.keys = keys;
        self
    }

    /// Sets how many bytes a key, a principal or a label may have. Default: 1 KiB.
    #[must_use]
    pub const fn with_key_bytes(mut self, bytes: usize) -> Self {
        self.key_bytes = bytes;
        self
    }

    /// How many bytes a record may have.
    pub const fn record_bytes(&self) -> usize {
        self.record_bytes
    }

    /// How many keys a session may have.
    pub const fn keys(&self) -> usize {
        self.keys
    }

    /// How many bytes a key, a principal or a label may have.
    pub const fn key_bytes(&self) -> usize {
        self.key_bytes
    }

    pub(crate) fn check_name(&self, name: &str) -> Result<(), LimitExceeded> {
        if name.len() > self.key_bytes {
            return Err(LimitExceeded::new(
                Limit::KeyBytes,
                name.len(),
                self.key_bytes,
            ));
        }
        Ok(())
    }

    /// Checks a record of this many bytes, as
    /// [`Record::limited_size`](crate::store::Record::limited_size) counts them, and this many
    /// keys.
    ///
    /// This is for a store that merges without having the whole record at hand.
    ///
    /// ```
    /// use session_core::{Limit, LimitExceeded, Limits};
    ///
    /// let limits = Limits::default().with_keys(2);
    /// assert_eq!(limits.check(500, 2), Ok(()));
    /// assert_eq!(limits.check(500, 3), Err(LimitExceeded::new(Limit::Keys, 3, 2)));
    /// ```
    ///
    /// # Errors
    ///
    /// [`LimitExceeded`] with [`Limit::Keys`] or [`Limit::RecordBytes`].
    pub fn check(&self, bytes: usize, keys: usize) -> Result<(), LimitExceeded> {
        if keys > self.keys {
            return Err(LimitExceeded::new(Limit::Keys, keys, self.keys));
        }
        if bytes > self.record_bytes {
            return Err(LimitExceeded::new(
                Limit::RecordBytes,
                bytes,
                self.record_bytes,
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        record_bytes: 100,
        keys: 3,
        key_bytes: 5,
    };

    #[test]
    fn a_limit_itself_is_allowed() {
        assert_eq!(LIMITS.check_name("12345"), Ok(()));
        assert_eq!(
            LIMITS.check_name("ééé"),
            Err(LimitExceeded::new(Limit::KeyBytes, 6, 5))
        );
        assert_eq!(LIMITS.check(100, 3), Ok(()));
        assert_eq!(LIMITS.check(0, 0), Ok(()));
        let bytes = LimitExceeded::new(Limit::RecordBytes, 101, 100);
        assert_eq!(LIMITS.check(101, 3), Err(bytes));
        assert_eq!(
            LIMITS.check(100, 4),
            Err(LimitExceeded::new(Limit::Keys, 4, 3))
        );
        assert_eq!(
            LIMITS.check(101, 4),
            Err(LimitExceeded::new(Limit::Keys, 4, 3))
        );
    }
}

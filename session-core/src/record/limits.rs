//! What a session may hold.

/// How much a session may hold. It is checked when a handler inserts, and again on the record that
/// results. A session that is larger already, because the limits were lowered, may stay and shrink.
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

/// Which limit would be exceeded, with both sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LimitExceeded {
    /// The record as a whole is too large.
    #[error(
        "the session would be {size} bytes, the limit is {limit}; store less, or keep it \
         elsewhere and store its name"
    )]
    RecordBytes {
        /// Bytes that the record would have.
        size: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// Too many keys.
    #[error(
        "the session would have {count} keys, the limit is {limit}; group values in one struct"
    )]
    Keys {
        /// How many keys there would be.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// A key, principal or label is too long.
    #[error(
        "a name of {size} bytes is longer than the limit of {limit}; use a shorter key, principal \
         or label"
    )]
    KeyBytes {
        /// Bytes of the name.
        size: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// The token that would hold the session (a sealed one) is too long for the client.
    #[error(
        "the sealed session would be {size} bytes, the limit is {limit}; store less, allow more \
         chunks, or use a store on the server"
    )]
    TokenBytes {
        /// Characters of the token.
        size: usize,
        /// The limit, in characters.
        limit: usize,
    },
}

impl Limits {
    /// The same with this many bytes for a record, as
    /// [`Record::limited_size`](crate::store::Record::limited_size) counts them. Default: 1 MiB.
    #[must_use]
    pub const fn with_record_bytes(mut self, bytes: usize) -> Self {
        self.record_bytes = bytes;
        self
    }

    /// The same with at most this many keys. Default: 1,024.
    #[must_use]
    pub const fn with_keys(mut self, keys: usize) -> Self {
        self.keys = keys;
        self
    }

    /// The same with this many bytes for one key, a principal or a label. Default: 1 KiB.
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
            return Err(LimitExceeded::KeyBytes {
                size: name.len(),
                limit: self.key_bytes,
            });
        }
        Ok(())
    }

    /// Checks a record of this many bytes, as
    /// [`Record::limited_size`](crate::store::Record::limited_size) counts them, and this many
    /// keys. It is for a store that merges without the whole record at hand.
    ///
    /// ```
    /// use session_core::{LimitExceeded, Limits};
    ///
    /// let limits = Limits::default().with_keys(2);
    /// assert_eq!(limits.check(500, 2), Ok(()));
    /// assert_eq!(limits.check(500, 3), Err(LimitExceeded::Keys { count: 3, limit: 2 }));
    /// ```
    ///
    /// # Errors
    ///
    /// [`LimitExceeded::Keys`] or [`LimitExceeded::RecordBytes`].
    pub fn check(&self, bytes: usize, keys: usize) -> Result<(), LimitExceeded> {
        if keys > self.keys {
            return Err(LimitExceeded::Keys {
                count: keys,
                limit: self.keys,
            });
        }
        if bytes > self.record_bytes {
            return Err(LimitExceeded::RecordBytes {
                size: bytes,
                limit: self.record_bytes,
            });
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
            Err(LimitExceeded::KeyBytes { size: 6, limit: 5 })
        );
        assert_eq!(LIMITS.check(100, 3), Ok(()));
        assert_eq!(LIMITS.check(0, 0), Ok(()));
        let bytes = LimitExceeded::RecordBytes {
            size: 101,
            limit: 100,
        };
        assert_eq!(LIMITS.check(101, 3), Err(bytes));
        assert_eq!(
            LIMITS.check(100, 4),
            Err(LimitExceeded::Keys { count: 4, limit: 3 })
        );
        assert_eq!(
            LIMITS.check(101, 4),
            Err(LimitExceeded::Keys { count: 4, limit: 3 })
        );
    }
}

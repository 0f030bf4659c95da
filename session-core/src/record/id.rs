//! The name of a session.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::crypto::decode_exact;

/// The name of a session: 128 bits from the operating system's random source.
///
/// It stays the same through the session's whole life, and is the key of the session's record in a
/// store.
///
/// It is not a secret, because only a token opens a session. So a "your devices" page may show the
/// id. `Debug` shows only [`short`](Self::short), which is the form for logs;
/// [`encode`](Self::encode) returns the whole id.
///
/// ```
/// use session_core::SessionId;
///
/// let id = SessionId::from_bytes([7; 16]);
/// assert_eq!(id.encode(), "BwcHBwcHBwcHBwcHBwcHBw");
/// assert_eq!("BwcHBwcHBwcHBwcHBwcHBw".parse::<SessionId>().unwrap(), id);
/// assert!(!format!("{id:?}").contains("BwcH"));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId([u8; 16]);

impl SessionId {
    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes of this id.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The id as 22 characters of base64url without padding.
    pub fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Writes what [`encode`](Self::encode) returns to `buffer`.
    ///
    /// It is for a store that names a key by the id on each call.
    ///
    /// ```
    /// use session_core::SessionId;
    ///
    /// let id = SessionId::from_bytes([7; 16]);
    /// assert_eq!(id.encode_to(&mut [0; 22]), id.encode());
    /// ```
    pub fn encode_to<'a>(&self, buffer: &'a mut [u8; 22]) -> &'a str {
        // 16 bytes are 22 characters, so there is room, and they are all ASCII.
        let length = URL_SAFE_NO_PAD.encode_slice(self.0, buffer).unwrap_or(0);
        std::str::from_utf8(&buffer[..length]).unwrap_or_default()
    }

    /// The form for logs: the first 8 hexadecimal digits of its SHA-256.
    ///
    /// ```
    /// use session_core::SessionId;
    ///
    /// let id = SessionId::from_bytes([7; 16]);
    /// assert_eq!(id.short().to_string(), "d761d406");
    /// ```
    pub fn short(&self) -> ShortId {
        let hash = Sha256::digest(self.0);
        ShortId([hash[0], hash[1], hash[2], hash[3]])
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({})", self.short())
    }
}

impl FromStr for SessionId {
    type Err = MalformedId;

    /// Reads what [`encode`](SessionId::encode) wrote; one id has one spelling.
    fn from_str(text: &str) -> Result<Self, MalformedId> {
        decode_exact::<16>(text.as_bytes())
            .map(Self)
            .ok_or(MalformedId)
    }
}

/// The text is not a session id, which has 22 characters of base64url without padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a session id: expected 22 characters of base64url without padding, as \
     `SessionId::encode` makes them"
)]
pub struct MalformedId;

/// The short hash of an id, for logs; made by [`SessionId::short`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ShortId([u8; 4]);

impl fmt::Display for ShortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ShortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

//! Where a scan is, as a value that a tool can keep.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::error::StoreError;

/// How many bytes of a hash end the text of a cursor.
const CHECK: usize = 4;

/// Where a [scan](crate::store::RecordScan) of a store continues.
///
/// Only the store that made a cursor knows what its bytes mean. It can be printed and parsed again,
/// so that a tool can continue after it was stopped. A text that was cut off or changed is refused.
///
/// The text may contain the name of a principal or the id of a session. So it belongs in the file
/// of a tool and not in a log, and `Debug` does not show it.
///
/// ```
/// use session_core::store::ScanCursor;
///
/// let cursor = ScanCursor::new("17 4711");
/// let text = cursor.to_string();
/// assert_eq!(text.parse::<ScanCursor>().unwrap(), cursor);
/// assert_eq!(cursor.as_bytes(), b"17 4711");
///
/// assert!(text[1..].parse::<ScanCursor>().is_err());
/// assert!("17 4711".parse::<ScanCursor>().is_err());
/// assert!(!format!("{cursor:?}").contains("4711"));
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ScanCursor(Bytes);

impl ScanCursor {
    /// A cursor of these bytes, for the store that understands them.
    ///
    /// [`ScanCursor`] has an example.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// The bytes from which the store made it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The error of a store to which a cursor was passed that it cannot have made.
    ///
    /// ```
    /// use session_core::store::{ScanCursor, StoreError};
    ///
    /// let error = ScanCursor::not_of_this_store();
    /// assert!(matches!(error, StoreError::Unsupported(_)));
    /// assert!(error.to_string().ends_with("begin the scan again"));
    /// ```
    pub const fn not_of_this_store() -> StoreError {
        StoreError::Unsupported("a cursor that it has not made; begin the scan again")
    }

    fn check(&self) -> [u8; CHECK] {
        let mut check = [0; CHECK];
        check.copy_from_slice(&Sha256::digest(&self.0)[..CHECK]);
        check
    }
}

impl fmt::Display for ScanCursor {
    /// Writes base64url without padding.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = [&*self.0, &self.check()].concat();
        f.write_str(&URL_SAFE_NO_PAD.encode(whole))
    }
}

impl fmt::Debug for ScanCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScanCursor(..)")
    }
}

impl FromStr for ScanCursor {
    type Err = MalformedCursor;

    fn from_str(text: &str) -> Result<Self, MalformedCursor> {
        let mut whole = URL_SAFE_NO_PAD.decode(text).map_err(|_| MalformedCursor)?;
        let length = whole.len().checked_sub(CHECK).ok_or(MalformedCursor)?;
        let check = whole.split_off(length);
        let cursor = Self::new(whole);
        match cursor.check() == *check {
            true => Ok(cursor),
            false => Err(MalformedCursor),
        }
    }
}

/// A text is not what a [`ScanCursor`] was printed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not the whole text of a scan's cursor; pass it as it was printed, or begin again")]
pub struct MalformedCursor;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_in_which_a_letter_is_missing_or_changed_is_no_cursor() {
        let text = ScanCursor::new(&b"0 16383 42"[..]).to_string();
        for at in 0..text.len() {
            let mut cut = text.clone();
            cut.remove(at);
            assert_eq!(cut.parse::<ScanCursor>(), Err(MalformedCursor), "{cut}");
            let letter = if &text[at..=at] == "A" { "B" } else { "A" };
            let other = format!("{}{letter}{}", &text[..at], &text[at + 1..]);
            assert_eq!(other.parse::<ScanCursor>(), Err(MalformedCursor), "{other}");
        }
        for text in ["", "A", "AAAA", "AAAAAA", "é", " ", "====", "AAAAAA=="] {
            assert_eq!(text.parse::<ScanCursor>(), Err(MalformedCursor), "{text}");
        }
        let empty = ScanCursor::new(Bytes::new());
        assert_eq!(empty.to_string().parse::<ScanCursor>(), Ok(empty));
    }
}

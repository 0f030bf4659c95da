//! What tells two contents of a record apart.

use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU64;
use std::str::FromStr;

/// Tells two contents of a record apart, as an HTTP entity tag does (RFC 9110, section 8.8.3).
///
/// Each write has a tag of its own: 64 bits of which 63 are drawn at random. A version is not
/// enough, because versions repeat after a fail-over that has lost writes. The tag is not part of
/// [`Record::encode`](crate::store::Record::encode), and is ignored when two records are compared.
/// A store that answers [`revalidate`](crate::store::SessionStore::revalidate) keeps it alongside
/// the record.
///
/// ```
/// use session_core::{Lifetime, SessionId, Timestamp};
/// use session_core::store::{Changes, Record, Tag};
///
/// # let (id, now) = (SessionId::from_bytes([0; 16]), Timestamp::from_millis(0));
/// let record = Record::new(id, "id", Lifetime::default(), now);
/// let after = Changes::new().apply(&record);
/// assert_ne!(after.tag(), record.tag());
///
/// let stored = record.tag().unwrap().to_string(); // 16 hexadecimal digits
/// let again = record.clone().with_tag(stored.parse::<Tag>().ok());
/// assert_eq!(again.tag(), record.tag());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tag(NonZeroU64);

impl Tag {
    /// The tag with these bits. No write has the tag 0, which is read as the largest tag.
    pub const fn from_bits(bits: u64) -> Self {
        match NonZeroU64::new(bits) {
            Some(bits) => Self(bits),
            None => Self(NonZeroU64::MAX),
        }
    }

    /// Its bits.
    pub const fn to_bits(self) -> u64 {
        self.0.get()
    }

    /// Draws a tag that no other write has. Its lowest bit is zero.
    ///
    /// Records that this crate makes already have a tag. A store needs this for a record without
    /// one, such as [`Record::decode`](crate::store::Record::decode) returns.
    ///
    /// ```
    /// use session_core::store::Tag;
    ///
    /// assert_ne!(Tag::draw(), Tag::draw());
    /// ```
    pub fn draw() -> Self {
        thread_local! {
            // The keys of a `RandomState` come from the operating system.
            static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(0));
        }
        // SplitMix64 (Steele, Lea and Flood, 2014): its period is 2^64.
        let state = STATE.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        STATE.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self::from_bits((mixed ^ (mixed >> 31)) & !1)
    }

    /// The tag of the content that results from merging an update that has this tag.
    ///
    /// It differs from this tag in its lowest bit, because the writer knows another content by this
    /// tag. A script that merges on a server has to do the same.
    ///
    /// ```
    /// use session_core::store::Tag;
    ///
    /// assert_eq!(Tag::from_bits(0xa6).merged(), Tag::from_bits(0xa7));
    /// ```
    #[must_use]
    pub const fn merged(self) -> Self {
        Self::from_bits(self.0.get() | 1)
    }
}

impl fmt::Display for Tag {
    /// 16 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.to_bits())
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tag({self})")
    }
}

impl FromStr for Tag {
    type Err = MalformedTag;

    /// Reads 16 hexadecimal digits of lower case; one tag has one spelling.
    fn from_str(text: &str) -> Result<Self, MalformedTag> {
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 16 || !text.bytes().all(digit) {
            return Err(MalformedTag);
        }
        let bits = u64::from_str_radix(text, 16).map_err(|_| MalformedTag)?;
        Ok(Self::from_bits(bits))
    }
}

/// The text is not a tag, which has 16 hexadecimal digits of lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a tag: expected 16 hexadecimal digits of lower case, as `Tag` displays them")]
pub struct MalformedTag;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "these are tests")]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_writes_of_any_threads_have_the_same_tag() {
        const EACH: usize = 10_000;
        let draw = || (0..EACH).map(|_| Tag::draw()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(draw)).collect();
        let tags: HashSet<_> = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .flat_map(|tag| [tag, tag.merged()])
            .collect();
        assert_eq!(tags.len(), 8 * EACH);
    }

    #[test]
    fn a_tag_has_one_spelling() {
        for bits in [1, 0xabcd, u64::MAX] {
            let tag = Tag::from_bits(bits);
            assert_eq!(tag.to_string().parse(), Ok(tag));
        }
        for wrong in [
            "",
            "abc",
            "000000000000000A",
            "+000000000000000",
            "00000000000000000",
        ] {
            assert_eq!(wrong.parse::<Tag>(), Err(MalformedTag), "{wrong}");
        }
    }
}

//! Keys, random bytes, and strict base64url.
//!
//! It stands below everything that knows of sessions: what it returns are bytes and keys, and its
//! errors name no session.

mod base64url;
mod keys;
mod random;

pub(crate) use base64url::decode_exact;
pub use keys::{DerivedKey, KeyError, KeyRing, Purpose};
#[cfg(feature = "sealed-values")]
pub(crate) use random::fill_random;
pub(crate) use random::{RandomFailed, random_bytes, random_bytes_of_three};

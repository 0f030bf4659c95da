//! Keys, random numbers and their spelling.

mod base64url;
mod keys;
mod random;

pub(crate) use base64url::decode_exact;
pub use keys::{DerivedKey, KeyError, KeyRing, Purpose};
pub(crate) use random::{random_bytes, random_bytes_of_three};

//! What is wrong with what is stored.

use session_core::store::StoreError;

/// An answer that no server gives to what was asked.
pub(crate) fn unexpected() -> StoreError {
    StoreError::corrupt("an answer of the server is not of the expected form")
}

/// Another program has changed the texts that the server decides by.
pub(crate) fn damaged() -> StoreError {
    StoreError::corrupt("a field of the metadata is not what was written")
}

/// The texts that the server decides by differ from the metadata.
pub(super) fn contradiction() -> StoreError {
    StoreError::corrupt("the metadata contradicts itself")
}

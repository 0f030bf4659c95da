//! The answer of a call that deletes in both stores.

use crate::error::StoreError;

/// The answers of both, or the error that says most. If one of them has done its part, the error of
/// the other may no longer say that nothing was written.
pub(super) fn both<T>(
    old: Result<T, StoreError>,
    new: Result<T, StoreError>,
) -> Result<(T, T), StoreError> {
    match (old, new) {
        (Ok(old), Ok(new)) => Ok((old, new)),
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(in_part(error)),
        (Err(_), Err(error @ StoreError::OutcomeUnknown(_))) => Err(error),
        (Err(error), Err(_)) => Err(error),
    }
}

fn in_part(error: StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(cause) => StoreError::OutcomeUnknown(cause),
        error => error,
    }
}

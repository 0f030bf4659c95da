//! What it comes to where both stores were asked to end something.

use crate::error::StoreError;

/// The answers of both, or the error that says most: where one of them has done its part, it is not
/// true any more that nothing was written.
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

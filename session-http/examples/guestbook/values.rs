//! Values that another version of this program stored.
//!
//! A session outlives a deployment. If a value is not of the type that this version asks for, `get`
//! and `update` say so each time, and a page that passes that error on is closed to the session's
//! owner until the session expires. Where a value can do without its past, as a counter can, these
//! take it for absent and log that. Where it cannot, as an order, keep the error and write a
//! version that reads both types: the guide's page on handlers has the steps.

use serde::Serialize;
use serde::de::DeserializeOwned;
use session_core::{Session, SessionError};
use tracing::warn;

/// The value under `key`; none if there is none, or one of another type. That one stays in the
/// session, so that the version that wrote it finds it if this deployment is taken back.
pub(crate) fn get<T: DeserializeOwned>(
    session: &Session,
    key: &str,
) -> Result<Option<T>, SessionError> {
    or_none(session.get(key))
}

/// The flash value under `key`, in the same way.
pub(crate) fn flashed<T: DeserializeOwned>(
    session: &Session,
    key: &str,
) -> Result<Option<T>, SessionError> {
    or_none(session.flashed(key))
}

/// `session.update`, which replaces a value of another type by what `f` makes of none.
pub(crate) fn update<T, F>(session: &Session, key: &str, f: F) -> Result<T, SessionError>
where
    T: Serialize + DeserializeOwned + 'static,
    F: Fn(Option<T>) -> T + Clone + Send + Sync + 'static,
{
    match session.update(key, f.clone()) {
        Err(error @ SessionError::Decode { .. }) => {
            warn!(%error, "a value of another version is replaced");
            session.remove(key);
            session.update(key, f)
        }
        value => value,
    }
}

fn or_none<T>(value: Result<Option<T>, SessionError>) -> Result<Option<T>, SessionError> {
    match value {
        Err(error @ SessionError::Decode { .. }) => {
            // The text names the key and the type, and holds nothing of the value.
            warn!(%error, "a value of another version is taken for none");
            Ok(None)
        }
        value => value,
    }
}

//! From stored bytes to a value of the type that a handler asks for.

use std::any::type_name;

use serde::de::DeserializeOwned;

use crate::error::SessionError;
use crate::event::{Undecodable, Who};
use crate::manager::SessionManager;
use crate::record::Value;

/// What to do with a value that is not of the type asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnUndecodable {
    /// It is an error, and the value stays.
    Fail,
    /// It reads as absent, and an event reports it with this name of its key. The name is a
    /// constant of the program, so it may be shown.
    Discard(&'static str),
}

impl OnUndecodable {
    /// Decodes `value`. The inner error is a value that reads as absent; the caller reports it.
    pub(super) fn decode<T: DeserializeOwned>(
        self,
        key: &str,
        value: &Value,
    ) -> Result<Result<T, Undecodable>, SessionError> {
        match (decode(key, value), self) {
            (
                Err(SessionError::Decode {
                    type_name, fault, ..
                }),
                Self::Discard(key),
            ) => Ok(Err(Undecodable {
                key,
                type_name,
                fault,
            })),
            (decoded, _) => decoded.map(Ok),
        }
    }
}

/// Decodes `value`, which must be a `T`.
pub(super) fn decode<T: DeserializeOwned>(key: &str, value: &Value) -> Result<T, SessionError> {
    value.decode().map_err(|fault| SessionError::Decode {
        key: key.to_owned(),
        type_name: type_name::<T>(),
        fault,
    })
}

/// Reports a value that reads as absent. Not under a lock.
pub(super) fn report(manager: &SessionManager, who: Option<&Who>, undecodable: Undecodable) {
    let now = manager.now();
    manager.events().undecodable(who, &undecodable, now);
}

//! What can go wrong, by what the caller can do about it.

use std::error::Error as StdError;
use std::sync::Arc;

use crate::crypto::{RandomFailed, random_bytes};
use crate::record::{CodecFault, FormatError, LimitExceeded, SessionId};

/// The cause of an error. It is shared, so that errors can be cloned.
pub type Cause = Arc<dyn StdError + Send + Sync + 'static>;

/// Why a store operation failed.
///
/// The cause is kept as [`source`](StdError::source) and is not part of the text.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// `create` found that the id is taken. Nothing was written; draw another id.
    #[error("the session id is taken; draw another")]
    IdTaken,
    /// There is a record, but it cannot be read. It is damaged, or it was written by another
    /// program or a newer version.
    #[error(
        "the stored session record cannot be read; delete it if it is damaged, update this \
         program if a newer one has written it"
    )]
    Corrupt(#[source] Cause),
    /// The store failed or could not be reached, and nothing was written. It is safe to try again
    /// later.
    #[error("the session store is unavailable; nothing was written, try again later")]
    Unavailable(#[source] Cause),
    /// A write was sent and not answered. It may or may not have been applied, and is not sent
    /// again.
    #[error(
        "the session store did not say whether a write was applied; load the session again before \
         relying on it"
    )]
    OutcomeUnknown(#[source] Cause),
    /// The store holds as many sessions as it can. Nothing was written.
    #[error(
        "the session store is full at {capacity} sessions; raise its capacity or shorten lifetimes"
    )]
    Full {
        /// How many sessions it may hold.
        capacity: usize,
    },
    /// The resulting record would be too large. Nothing was written.
    #[error(transparent)]
    TooLarge(#[from] LimitExceeded),
    /// This store does not support the operation.
    #[error("this session store does not support {0}")]
    Unsupported(&'static str),
}

impl StoreError {
    /// [`Unavailable`](Self::Unavailable) with this cause.
    ///
    /// ```
    /// use session_core::store::StoreError;
    /// use std::error::Error;
    ///
    /// let error = StoreError::unavailable("connection refused");
    /// assert!(matches!(error, StoreError::Unavailable(_)));
    /// assert_eq!(error.source().unwrap().to_string(), "connection refused");
    /// ```
    pub fn unavailable(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Unavailable(Arc::from(cause.into()))
    }

    /// [`OutcomeUnknown`](Self::OutcomeUnknown) with this cause.
    ///
    /// ```
    /// use session_core::store::StoreError;
    /// use std::error::Error;
    ///
    /// let error = StoreError::outcome_unknown("no answer within 2 s");
    /// assert!(matches!(error, StoreError::OutcomeUnknown(_)));
    /// assert_eq!(error.source().unwrap().to_string(), "no answer within 2 s");
    /// ```
    pub fn outcome_unknown(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::OutcomeUnknown(Arc::from(cause.into()))
    }

    /// [`Corrupt`](Self::Corrupt) with this cause.
    ///
    /// ```
    /// use session_core::store::StoreError;
    /// use std::error::Error;
    ///
    /// let error = StoreError::corrupt("the checksum differs");
    /// assert!(matches!(error, StoreError::Corrupt(_)));
    /// assert_eq!(error.source().unwrap().to_string(), "the checksum differs");
    /// ```
    pub fn corrupt(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Corrupt(Arc::from(cause.into()))
    }
}

/// Why a session operation failed.
///
/// ```
/// use session_core::SessionError;
/// use session_core::store::StoreError;
///
/// let down = SessionError::from(StoreError::unavailable("connection refused"));
/// assert!(down.is_temporary());
/// assert!(!down.to_string().contains("refused")); // the cause is the source, not the text
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The session ended, or its token was renewed, after this request loaded it. Nothing was
    /// written.
    #[error(
        "the session has ended since this request loaded it; nothing was written, let the client \
         begin anew"
    )]
    Gone,
    /// Too many requests write to one session at once. Nothing was written.
    #[error("too many requests change this session at once; nothing was written, try again")]
    Contended,
    /// Another request changed a value first, and a closure of
    /// [`try_modify`](crate::Session::try_modify) refused the value that is stored now. Nothing was
    /// written. The closure's error is the [`source`](StdError::source).
    ///
    /// Answer with an error, so that the changes of this request are dropped. Another save in this
    /// request is refused in the same way, until the value allows the change again.
    #[error(
        "another request changed the session first, and a change of this request does not apply to \
         what it holds now; nothing was written, load the session again"
    )]
    Refused(#[source] Cause),
    /// A value could not be encoded; the session is unchanged.
    #[error(
        "the value of type {type_name} for key {key:?} cannot be encoded; insert one that its \
         codec can write"
    )]
    #[non_exhaustive]
    Encode {
        /// The key.
        key: String,
        /// The Rust type.
        type_name: &'static str,
        /// Category and position.
        #[source]
        fault: CodecFault,
    },
    /// A stored value is not of the type that was asked for.
    #[error(
        "the value under key {key:?} is not a {type_name}; ask for the type that was inserted, or \
         remove the key"
    )]
    #[non_exhaustive]
    Decode {
        /// The key.
        key: String,
        /// The Rust type.
        type_name: &'static str,
        /// Category and position.
        #[source]
        fault: CodecFault,
    },
    /// The session would hold more than it may; it is unchanged.
    #[error(transparent)]
    Limit(#[from] LimitExceeded),
    /// The response has been sent, so the client can no longer be sent a token. This handle can no
    /// longer create, renew or destroy a session.
    #[error(
        "the response has already left; create, renew or destroy a session before the handler \
         returns"
    )]
    Detached,
    /// The session was not bound to a device
    /// ([`bind_device_now`](crate::Session::bind_device_now)), for this reason. Nothing was
    /// written.
    #[error("the session was not bound to the device: {0}; let the client sign in again")]
    NotBound(&'static str),
    /// The principal already has as many sessions as allowed
    /// ([`SessionManagerBuilder::max_sessions`](crate::SessionManagerBuilder::max_sessions)).
    /// Nobody was signed in.
    #[error(
        "the principal already has as many sessions as allowed ({most}); sign out elsewhere first"
    )]
    #[non_exhaustive]
    TooManySessions {
        /// How many sessions a principal may have.
        most: usize,
    },
    /// The operating system's random source failed.
    #[error(
        "the operating system's random source failed; try again, and look at the machine if it \
         stays so"
    )]
    Random,
}

impl SessionError {
    /// Whether the same request can succeed later.
    ///
    /// It can if the store is down, slow or full, or if too many requests wrote to the session.
    /// Over HTTP these errors are answered with 503, and most others with 500
    /// (`session_http::Error::status` has the exceptions).
    ///
    /// [`SessionError`](Self) has an example.
    pub const fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::Contended
                | Self::Store(
                    StoreError::Unavailable(_)
                        | StoreError::OutcomeUnknown(_)
                        | StoreError::Full { .. }
                )
        )
    }
}

impl From<FormatError> for StoreError {
    fn from(error: FormatError) -> Self {
        Self::corrupt(error)
    }
}

impl From<RandomFailed> for SessionError {
    fn from(RandomFailed: RandomFailed) -> Self {
        Self::Random
    }
}

/// Here and not where ids are, because it raises [`SessionError`], which knows of them.
impl SessionId {
    /// Draws a new id.
    ///
    /// ```
    /// use session_core::SessionId;
    ///
    /// assert_ne!(SessionId::random().unwrap(), SessionId::random().unwrap());
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionError::Random`] if the operating system's random source fails.
    pub fn random() -> Result<Self, SessionError> {
        Ok(Self::from_bytes(random_bytes()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Codec, Limit, Value};

    #[test]
    fn errors_of_a_session() {
        let fault = Value::new(Codec::Json, "x").decode::<u8>().unwrap_err();
        let (key, type_name) = ("a\"b".to_owned(), "u8");
        let cases = [
            (
                SessionError::Gone,
                "the session has ended since this request loaded it; nothing was written, let the \
                 client begin anew",
            ),
            (
                SessionError::Contended,
                "too many requests change this session at once; nothing was written, try again",
            ),
            (
                SessionError::Encode {
                    key: key.clone(),
                    type_name,
                    fault,
                },
                "the value of type u8 for key \"a\\\"b\" cannot be encoded; insert one that its \
                 codec can write",
            ),
            (
                SessionError::Decode {
                    key,
                    type_name,
                    fault,
                },
                "the value under key \"a\\\"b\" is not a u8; ask for the type that was inserted, \
                 or remove the key",
            ),
            (
                SessionError::Detached,
                "the response has already left; create, renew or destroy a session before the \
                 handler returns",
            ),
            (
                SessionError::Random,
                "the operating system's random source failed; try again, and look at the machine \
                 if it stays so",
            ),
        ];
        for (error, text) in cases {
            assert_eq!(error.to_string(), text);
            let source = error.source().map(ToString::to_string);
            let expected = match error {
                SessionError::Encode { .. } | SessionError::Decode { .. } => {
                    Some(fault.to_string())
                }
                _ => None,
            };
            assert_eq!(source, expected);
        }
    }

    #[test]
    fn what_may_succeed_later() {
        let fault = Value::new(Codec::Json, "x").decode::<u8>().unwrap_err();
        let limit = LimitExceeded::new(Limit::Keys, 2, 1);
        let (key, type_name) = (String::new(), "u8");
        let later = [
            SessionError::Contended,
            StoreError::unavailable("why").into(),
            StoreError::outcome_unknown("why").into(),
            StoreError::Full { capacity: 1 }.into(),
        ];
        assert!(later.iter().all(SessionError::is_temporary));
        let never = [
            SessionError::Gone,
            SessionError::Detached,
            SessionError::Random,
            SessionError::Limit(limit),
            SessionError::Decode {
                key: key.clone(),
                type_name,
                fault,
            },
            SessionError::Encode {
                key,
                type_name,
                fault,
            },
            StoreError::IdTaken.into(),
            StoreError::corrupt("why").into(),
            StoreError::TooLarge(limit).into(),
            StoreError::Unsupported("that").into(),
        ];
        assert!(!never.iter().any(SessionError::is_temporary));
    }
}

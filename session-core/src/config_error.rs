//! Settings that contradict each other.

/// A setting contradicts itself or another one. The function that builds the configuration returns
/// this error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    /// Makes an error whose text says what is wrong and what to do about it.
    ///
    /// ```
    /// use session_core::ConfigError;
    ///
    /// let error = ConfigError::new("the pool is empty; allow at least one connection");
    /// assert_eq!(error.to_string(), "the pool is empty; allow at least one connection");
    /// ```
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

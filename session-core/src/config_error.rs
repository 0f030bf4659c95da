//! Settings that contradict each other.

/// A setting that contradicts itself or another one; found when a configuration is built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    /// An error that says what is wrong and what to do about it.
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

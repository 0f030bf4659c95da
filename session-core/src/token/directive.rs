//! What the response to a request sends to the client.

use std::fmt;
use std::time::Duration;

/// What the response must send to the client after a commit.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// # use session_core::{Directive, MemoryStore, Outcome, SessionManager};
/// # let manager = SessionManager::new(MemoryStore::new());
/// let session = manager.begin(&[]).await?;
/// session.insert("colour", "blue")?;
/// let header = match session.finish(Outcome::Success).await? {
///     Directive::Nothing => None,
///     Directive::Hold(token) => Some(format!("__Host-id={}; Path=/; Secure", token.as_str())),
///     Directive::Forget => Some("__Host-id=; Path=/; Secure; Max-Age=0".to_owned()),
/// };
/// assert!(header.unwrap().ends_with("Path=/; Secure"));
/// # Ok::<_, session_core::SessionError>(()) }).unwrap();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Directive {
    /// Nothing: what the client holds stays as valid as it was.
    Nothing,
    /// A token that the client holds from now on.
    Hold(ClientToken),
    /// Removal of the token: this request destroyed its session.
    Forget,
}

/// A token for the client. It is a secret, so `Debug` does not show it.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// # use session_core::{Directive, MemoryStore, Outcome, SessionManager};
/// # let manager = SessionManager::new(MemoryStore::new());
/// # let session = manager.begin(&[]).await?;
/// # session.insert("cart", 3)?;
/// # let Directive::Hold(token) = session.finish(Outcome::Success).await? else { unreachable!() };
/// assert_eq!(token.as_str().len(), 43);
/// assert_eq!(token.max_age(), None); // until the browser closes
/// assert!(!format!("{token:?}").contains(token.as_str()));
/// # Ok::<_, session_core::SessionError>(()) }).unwrap();
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ClientToken {
    text: String,
    max_age: Option<Duration>,
    device_challenge: Option<Box<str>>,
}

impl ClientToken {
    pub(crate) fn new(text: String, max_age: Option<Duration>) -> Self {
        Self {
            text,
            max_age,
            device_challenge: None,
        }
    }

    pub(crate) fn with_device_challenge(mut self, challenge: Option<String>) -> Self {
        self.device_challenge = challenge.map(String::into_boxed_str);
        self
    }

    /// The token as text, in characters of base64url only.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How long the client should keep it; `None` until the browser closes.
    ///
    /// The duration is exact. Round it up to the unit that the client expects: with less than a
    /// second left, a `Max-Age` that is rounded down removes the cookie.
    pub const fn max_age(&self) -> Option<Duration> {
        self.max_age
    }

    /// What the client's device has to sign so that the session is bound to it; `None` if the
    /// session cannot be bound now.
    ///
    /// There is one if sessions are [bound](crate::SessionManagerBuilder::bound), and this request
    /// has signed a principal in or renewed a session that has one.
    /// [`Session::bind_device_now`](crate::Session::bind_device_now) has an example.
    pub fn device_challenge(&self) -> Option<&str> {
        self.device_challenge.as_deref()
    }
}

impl fmt::Debug for ClientToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientToken")
            .field("max_age", &self.max_age)
            .finish_non_exhaustive()
    }
}

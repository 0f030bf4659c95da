//! What a commit has to tell the client.

use std::fmt;
use std::time::Duration;

/// What the client must be told after a commit.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// # use session_core::{Directive, MemoryStore, SessionManager};
/// # let manager = SessionManager::new(MemoryStore::new());
/// let session = manager.open(&[]).await?;
/// session.insert("colour", "blue")?;
/// let header = match manager.commit(&session).await? {
///     Directive::Nothing => None,
///     Directive::Hold(token) => Some(format!("__Host-id={}; Path=/; Secure", token.as_str())),
///     Directive::Forget => Some("__Host-id=; Path=/; Secure; Max-Age=0".to_owned()),
/// };
/// assert!(header.unwrap().ends_with("Path=/; Secure"));
/// # Ok::<_, session_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Directive {
    /// Nothing: whatever it holds is as good as before.
    Nothing,
    /// Hold this token from now on.
    Hold(ClientToken),
    /// Forget the token: this request destroyed its session.
    Forget,
}

/// A token for the client: a secret, so `Debug` shows nothing of it.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// # use session_core::{Directive, MemoryStore, SessionManager};
/// # let manager = SessionManager::new(MemoryStore::new());
/// # let session = manager.open(&[]).await?;
/// # session.insert("cart", 3)?;
/// # let Directive::Hold(token) = manager.commit(&session).await? else { unreachable!() };
/// assert_eq!(token.as_str().len(), 43);
/// assert_eq!(token.max_age(), None); // it ends with the browser
/// assert!(!format!("{token:?}").contains(token.as_str()));
/// # Ok::<_, session_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ClientToken {
    text: String,
    max_age: Option<Duration>,
}

impl ClientToken {
    pub(crate) fn new(text: String, max_age: Option<Duration>) -> Self {
        Self { text, max_age }
    }

    /// The token: characters of base64url only.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How long the client should keep it; `None` to end with the browser.
    ///
    /// It is exact. Round it up to the unit that the client takes: with less than a second left, a
    /// `Max-Age` that is rounded down removes the cookie.
    pub const fn max_age(&self) -> Option<Duration> {
        self.max_age
    }
}

impl fmt::Debug for ClientToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientToken")
            .field("max_age", &self.max_age)
            .finish_non_exhaustive()
    }
}

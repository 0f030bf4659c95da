//! What a commit has to tell the client.

use std::fmt;
use std::time::Duration;

/// What the client must be told after a commit.
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

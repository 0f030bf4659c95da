//! Values that are shown once.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::session::decode;
use crate::{Error, Session};

/// They are entries like others, under keys that begin so.
const PREFIX: &str = "_flash.";

impl Session {
    /// Keeps a value for the next request, as the "your order is on its way" beyond a redirect.
    ///
    /// It cannot be read in this request. The next one that reads any of them with [`flashed`](Self::flashed) uses
    /// them all up: they go with its commit. One that reads none leaves them, so a background request does not swallow what a
    /// person should see; and one that fails leaves them too.
    ///
    /// The value is an entry of the session like others, under the key `_flash.` and `key`; [`clear`](Self::clear) removes it too.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # use session_core::{Directive, MemoryStore, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// let session = manager.open(&[]).await?;
    /// session.flash("notice", "Saved.")?;
    /// let Directive::Hold(token) = manager.commit(&session).await? else { unreachable!() };
    ///
    /// let session = manager.open(&[token.as_str()]).await?;
    /// assert_eq!(session.flashed::<String>("notice")?.as_deref(), Some("Saved."));
    /// manager.commit(&session).await?;
    ///
    /// let session = manager.open(&[token.as_str()]).await?;
    /// assert_eq!(session.flashed::<String>("notice")?, None);
    /// # Ok::<_, session_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert). An unread value of the same key is gone then too.
    pub fn flash<T: Serialize>(&self, key: &str, value: T) -> Result<(), Error> {
        let key = format!("{PREFIX}{key}");
        // So that an equal one counts as new.
        self.remove(&key);
        self.insert(&key, value)
    }

    /// The value that an earlier request has [kept](Self::flash) for this one; it may be read several times in it.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`] if the value is not a `T`.
    pub fn flashed<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        let key = format!("{PREFIX}{key}");
        let value = {
            let mut state = self.state();
            let Some(stored) = state.stored() else {
                return Ok(None);
            };
            let value = stored.get(&key).cloned();
            let names = stored.iter().map(|(key, _)| key);
            let shown: Vec<_> = names
                .filter(|key| key.starts_with(PREFIX))
                .map(str::to_owned)
                .collect();
            for key in shown {
                // What this request has put in its place is for the next one.
                if !state.pending.has(&key) {
                    state.remove(&key);
                }
            }
            value
        };
        value.map(|value| decode(&key, &value)).transpose()
    }
}

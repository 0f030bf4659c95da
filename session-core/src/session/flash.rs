//! Values that are shown once.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::SessionError;
use crate::session::{Session, decode};
use crate::state::FLASH_PREFIX;

impl Session {
    /// Keeps a value for the next request, as the "your order is on its way" beyond a redirect.
    ///
    /// It cannot be read in this request. The next one that reads any of them with
    /// [`flashed`](Self::flashed) uses them all up: they go with its commit, whatever it read.
    /// One that reads none leaves them, so a background request does not swallow what a
    /// person should see; and one that fails leaves them too.
    ///
    /// The value is an entry of the session like others, under the key `_flash.` and `key`;
    /// [`clear`](Self::clear) removes it too. A value that another request puts under a key
    /// while this one shows the former one may go with it.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{Directive, MemoryStore, Outcome, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// let session = manager.begin(&[]).await?;
    /// session.flash("notice", "Saved.")?;
    /// let told = session.finish(Outcome::Success).await?;
    /// let Directive::Hold(token) = told else { unreachable!() };
    ///
    /// let session = manager.begin(&[token.as_str()]).await?;
    /// assert_eq!(session.flashed::<String>("notice")?.as_deref(), Some("Saved."));
    /// session.finish(Outcome::Success).await?;
    ///
    /// let session = manager.begin(&[token.as_str()]).await?;
    /// assert_eq!(session.flashed::<String>("notice")?, None);
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert). An unread value of the same key is gone then too.
    pub fn flash<T: Serialize>(&self, key: &str, value: T) -> Result<(), SessionError> {
        let key = format!("{FLASH_PREFIX}{key}");
        self.state().flashes();
        // So that an equal one counts as new.
        self.remove(&key);
        self.insert(&key, value)
    }

    /// The value that an earlier request has [kept](Self::flash) for this one; it may be read
    /// several times in it.
    ///
    /// # Errors
    ///
    /// [`SessionError::Decode`] if the value is not a `T`. It is used up all the same.
    pub fn flashed<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, SessionError> {
        let name = format!("{FLASH_PREFIX}{key}");
        let value = {
            let mut state = self.state();
            state.use_up_flashes();
            let mut entries = state.flashes().entries.iter();
            entries
                .find(|(other, _)| *other == name)
                .map(|(_, value)| value.clone())
        };
        value.map(|value| decode(key, &value)).transpose()
    }
}

//! Values that are shown once.

use std::any::type_name;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::SessionError;
use crate::record::Codec;
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
    /// **A second `flash` under the same key replaces an unread one.** To collect messages use
    /// [`flash_push`](Self::flash_push).
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
    /// let directive = session.finish(Outcome::Success).await?;
    /// let Directive::Hold(token) = directive else { unreachable!() };
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

    /// Adds a message to a list for the next request. [`flashed`](Self::flashed) reads the list as
    /// a `Vec`, in the order of the messages.
    ///
    /// All messages are kept until a request shows them, those of one request and those of several.
    /// As with [`update`](Self::update), none is lost to another request that writes at the same
    /// time. A message that another request adds while this one shows the list is kept for the next
    /// one. (Unless it is the same text: if both requests started from an empty list, it may count
    /// as shown.)
    ///
    /// In all else it is as [`flash`](Self::flash). Use either of the two for a key: a `flash`
    /// replaces an unread list, and a message replaces an unread value that is not a list. The list
    /// is stored as JSON, whatever codec the session has.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{Directive, MemoryStore, Outcome, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// let session = manager.begin(&[]).await?;
    /// session.flash_push("notices", "Tea is in the cart.")?;
    /// let directive = session.finish(Outcome::Success).await?;
    /// let Directive::Hold(token) = directive else { unreachable!() };
    ///
    /// let session = manager.begin(&[token.as_str()]).await?;
    /// session.flash_push("notices", "Milk is in the cart.")?;
    /// session.finish(Outcome::Success).await?;
    ///
    /// let session = manager.begin(&[token.as_str()]).await?;
    /// let notices: Vec<String> = session.flashed("notices")?.unwrap_or_default();
    /// assert_eq!(notices, ["Tea is in the cart.", "Milk is in the cart."]);
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionError::Encode`] if JSON cannot express the message, or [`SessionError::Limit`]. The
    /// session is then unchanged.
    pub fn flash_push<T: Serialize>(&self, key: &str, message: T) -> Result<(), SessionError> {
        let key = format!("{FLASH_PREFIX}{key}");
        let settings = self.settings();
        settings.limits.check_name(&key)?;
        let message = Codec::Json.encode(&message);
        let message = message.map_err(|fault| SessionError::Encode {
            key: key.clone(),
            type_name: type_name::<T>(),
            fault,
        })?;
        Ok(self.state().push_flash(&key, message, settings)?)
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

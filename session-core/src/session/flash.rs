//! Values that are shown once.

use std::any::type_name;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::SessionError;
use crate::record::Codec;
use crate::session::{Session, decode};
use crate::state::FLASH_PREFIX;

impl Session {
    /// Keeps a value for the next request, such as "your order is on its way" after a redirect.
    ///
    /// This request cannot read the value. The next request that reads any flash value with
    /// [`flashed`](Self::flashed) uses them all up: its commit removes them all, even those that it
    /// did not read. A request that reads none leaves them, so a background request does not
    /// swallow what a person should see. A request that fails leaves them too.
    ///
    /// **A second `flash` under the same key replaces an unread one.** To collect messages, use
    /// [`flash_push`](Self::flash_push).
    ///
    /// The value is an entry of the session like others, under the key `_flash.` followed by `key`.
    /// So [`clear`](Self::clear) removes it too. If another request puts a value under a key while
    /// this request shows the former value, the new value may be removed with the former one.
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
    /// The same as [`insert`](Self::insert). An unread value of the same key is then removed as
    /// well.
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
    /// All messages are kept until a request shows them, whether one request added them or several.
    /// As with [`update`](Self::update), no message is lost to another request that writes at the
    /// same time. A message that another request adds while this one shows the list is kept for the
    /// next request. (There is one exception: if both requests started from an empty list, and the
    /// text is the same, the message may count as shown.)
    ///
    /// Otherwise it works like [`flash`](Self::flash). Use only one of the two for a key: `flash`
    /// replaces an unread list, and `flash_push` replaces an unread value that is not a list. The
    /// list is stored as JSON, whatever codec the session has.
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

    /// The value that an earlier request has [kept](Self::flash) for this one.
    ///
    /// This request may read it several times.
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

//! Taking a value out: once in this request, or once among all.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::error::{SessionError, StoreError};
use crate::event::Undecodable;
use crate::record::Value;
use crate::session::{OnUndecodable, Session, decode};
use crate::state::{Removal, SaveKind, State};

const SEALED: &str = "taking a value once, because a client can present an older copy of its \
    session again; keep such values in a store on the server";

impl Session {
    /// Removes `key` and returns its value.
    ///
    /// **Two requests at the same time can both get it**, because each removes it from what it has
    /// loaded. Use [`take_now`](Self::take_now) for a value that must be used only once: an OAuth
    /// state, a WebAuthn challenge, a one-time code.
    ///
    /// The removal is saved with the request's other changes.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// # let session = SessionManager::new(MemoryStore::new()).begin(&[]).await?;
    /// session.insert("notice", "your order is on its way")?;
    /// assert!(session.take::<String>("notice")?.is_some());
    /// assert!(session.take::<String>("notice")?.is_none()); // shown once
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionError::Decode`] if the value is not a `T`; it then stays.
    #[doc(alias = "remove")]
    pub fn take<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, SessionError> {
        self.take_as(key, OnUndecodable::Fail)
    }

    pub(super) fn take_as<T: DeserializeOwned>(
        &self,
        key: &str,
        on: OnUndecodable,
    ) -> Result<Option<T>, SessionError> {
        loop {
            let Some(value) = self.state().view(key).cloned() else {
                return Ok(None);
            };
            let decoded = on.decode(key, &value)?;
            let mut state = self.state();
            // Another clone may have been faster; what is returned is what is taken.
            if state.view(key) == Some(&value) {
                state.remove(key);
                drop(state);
                return Ok(self.reported(decoded));
            }
        }
    }

    /// Removes `key` from the store at once, and returns its value to one request only.
    ///
    /// If several requests ask for it at the same time, all others get `None`.
    ///
    /// The removal is one atomic step, and applies only to the version that was loaded. If another
    /// request wrote in the meantime, the session is loaded again, and the value that is there then
    /// is returned. All other unsaved changes are saved together with it, as by
    /// [`save`](Self::save). Nothing that this request does afterwards brings the value back: it
    /// stays removed even if the request fails.
    ///
    /// A value that this request inserted and has not saved is taken without a store call, because
    /// no other request can have it.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{Directive, MemoryStore, Outcome, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// # let session = manager.begin(&[]).await?;
    /// # session.insert("oauth_state", "af0ifjsldkj")?;
    /// # let directive = session.finish(Outcome::Success).await?;
    /// # let Directive::Hold(token) = directive else { unreachable!() };
    /// // The authorization server redirects the browser to us, and somebody repeats the request.
    /// let first = manager.begin(&[token.as_str()]).await?;
    /// let again = manager.begin(&[token.as_str()]).await?;
    /// assert_eq!(first.take_now::<String>("oauth_state").await?.as_deref(), Some("af0ifjsldkj"));
    /// assert_eq!(again.take_now::<String>("oauth_state").await?, None);
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionError::Decode`] if the value is not a `T`; it then stays.
    /// [`StoreError::Unsupported`] if the client keeps the session, because the client could
    /// present an older copy. Otherwise the same as [`save`](Self::save): then no request has
    /// received the value, and it stays unless the outcome is unknown. There is one exception: if a
    /// clone of this session changed the key in the meantime, the removal stays unsaved, because
    /// that change was made without the value.
    pub async fn take_now<T: DeserializeOwned>(
        &self,
        key: &str,
    ) -> Result<Option<T>, SessionError> {
        self.take_now_as(key, OnUndecodable::Fail).await
    }

    pub(super) async fn take_now_as<T: DeserializeOwned>(
        &self,
        key: &str,
        on: OnUndecodable,
    ) -> Result<Option<T>, SessionError> {
        if self.settings().is_sealed() {
            return Err(StoreError::Unsupported(SEALED).into());
        }
        let manager = &self.inner.manager;
        let _turn = manager
            .turn(&self.inner.cell, manager.settings().timeouts.commit)
            .await?;
        loop {
            let taking = match self.begin_taking::<T>(key, on)? {
                Begun::Nothing => return Ok(None),
                Begun::Own(decoded) => return Ok(self.reported(decoded)),
                Begun::Stored(taking) => taking,
            };
            manager
                .save_in_turn(&self.inner.cell, SaveKind::Save)
                .await?;
            if taking.is_done()? {
                let Some(value) = taking.removal.value() else {
                    return Ok(None);
                };
                return Ok(self.reported(on.decode(key, &value)?));
            }
            // A clone of this session has meanwhile given the key another value, or cleared it.
        }
    }

    fn begin_taking<T: DeserializeOwned>(
        &self,
        key: &str,
        on: OnUndecodable,
    ) -> Result<Begun<'_, T>, SessionError> {
        loop {
            let value = {
                let state = self.state();
                if let Some(unknown) = &state.unknown {
                    return Err(unknown.clone().into());
                }
                match state.view(key) {
                    Some(value) => value.clone(),
                    None => return Ok(Begun::Nothing),
                }
            };
            let decoded = on.decode(key, &value)?;
            let mut state = self.state();
            if state.view(key) != Some(&value) {
                continue;
            }
            if state.stored().is_none() || state.edits.is_own(key) {
                state.remove(key);
                return Ok(Begun::Own(decoded));
            }
            let check = match on {
                OnUndecodable::Fail => |key: &str, value: &Value| decode::<T>(key, value).map(drop),
                OnUndecodable::Discard(_) => |_: &str, _: &Value| Ok(()),
            };
            let removal = Arc::new(Removal::of(value, check));
            state.take_out(key, Arc::clone(&removal));
            return Ok(Begun::Stored(Taking {
                session: self,
                key: key.to_owned(),
                removal,
            }));
        }
    }
}

impl State {
    fn take_out(&mut self, key: &str, removal: Arc<Removal>) {
        let key = self.shared_key(key);
        self.edits.take_out(key, removal);
        self.measure();
    }
}

enum Begun<'s, T> {
    /// There is no such key.
    Nothing,
    /// This request gave the key its value, and nobody else has seen it.
    Own(Result<T, Undecodable>),
    Stored(Taking<'s>),
}

/// A removal that is under way. Where it comes to nothing, the value is put back.
struct Taking<'s> {
    session: &'s Session,
    key: String,
    removal: Arc<Removal>,
}

impl Taking<'_> {
    /// Whether a save has carried it out, or there was nothing left to remove. `false` if it was
    /// dropped for what a clone did.
    fn is_done(&self) -> Result<bool, SessionError> {
        if self.removal.is_saved() {
            return Ok(true);
        }
        let mut state = self.session.state();
        if !state.edits.acknowledge_removal(&self.key, &self.removal) {
            return Ok(false);
        }
        match state.stored() {
            Some(_) => Ok(true),
            None => Err(SessionError::Gone),
        }
    }
}

impl Drop for Taking<'_> {
    fn drop(&mut self) {
        let mut state = self.session.state();
        state.edits.withdraw(&self.key, &self.removal);
        state.measure();
    }
}

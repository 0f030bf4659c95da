//! The handle that a handler holds.

use std::any::type_name;
use std::fmt;
use std::sync::{Arc, MutexGuard};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::SessionError;
use crate::event::Undecodable;
use crate::manager::SessionManager;
use crate::session::{OnUndecodable, report};
use crate::settings::Settings;
use crate::state::{Cell, State};

/// The session of one request: a dictionary that is loaded once and saved at the commit.
///
/// It is cheap to clone, and all clones are one session. Values are encoded when they are inserted
/// and decoded when they are read. Reads and writes are synchronous, because the session is already
/// loaded. Only these methods call the store: [`save`](Self::save),
/// [`update_now`](Self::update_now), [`take_now`](Self::take_now), [`touch`](Self::touch) and
/// [`ended`](Self::ended). [`at`](Self::at) reads and writes with a [`TypedKey`](crate::TypedKey),
/// which knows the type of its value.
///
/// All changes are written when the request is finished
/// ([`SessionGuard::finish`](crate::SessionGuard::finish)), in one atomic step or not at all. If
/// several requests [`insert`](Self::insert) a value under one key, the last one wins. Changes by
/// [`update`](Self::update) and [`modify`](Self::modify) are never lost to another writer. An
/// insert of the value that is already there writes nothing, so another request can still overwrite
/// that value ([`Codec`](crate::Codec) says which values are the same). Such a value counts as
/// inserted only if a sign-in has to create a new session.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use session_core::{Directive, MemoryStore, Outcome, SessionManager};
///
/// let manager = SessionManager::new(MemoryStore::new());
///
/// let session = manager.begin(&[]).await?; // a client without a token
/// session.insert("colour", "blue")?;
/// let Directive::Hold(token) = session.finish(Outcome::Success).await? else { panic!() };
///
/// let session = manager.begin(&[token.as_str()]).await?;
/// assert_eq!(session.get::<String>("colour")?.as_deref(), Some("blue"));
/// assert_eq!(session.finish(Outcome::Success).await?, Directive::Nothing);
/// # Ok::<_, session_core::SessionError>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Session {
    pub(crate) inner: Arc<Inner>,
}

/// What all clones of a handle share.
pub(crate) struct Inner {
    pub(crate) manager: SessionManager,
    pub(crate) cell: Cell,
}

impl Drop for Inner {
    fn drop(&mut self) {
        let state = self.cell.state_mut();
        if state.is_unsaved() {
            let now = self.manager.now();
            let who = state.who();
            let events = self.manager.events();
            events.unsaved(who.as_ref(), "the session was dropped before a commit", now);
        }
    }
}

impl Session {
    pub(crate) fn new(manager: SessionManager, state: State) -> Self {
        Self {
            inner: Arc::new(Inner {
                manager,
                cell: Cell::new(state),
            }),
        }
    }

    /// The manager that opened this session. It can list other sessions of the same principal.
    pub fn manager(&self) -> &SessionManager {
        &self.inner.manager
    }

    /// The value under `key`, decoded; `None` if there is none.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// # let session = SessionManager::new(MemoryStore::new()).begin(&[]).await?;
    /// session.insert("colour", "blue")?;
    /// assert_eq!(session.get::<String>("colour")?.as_deref(), Some("blue"));
    /// assert_eq!(session.get::<String>("size")?, None);
    /// assert!(session.get::<u32>("colour").is_err()); // it is there, but is no number
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionError::Decode`] if the value is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, SessionError> {
        self.read(key, OnUndecodable::Fail)
    }

    /// Sets the value under `key`. The value is encoded now.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// # let session = SessionManager::new(MemoryStore::new()).begin(&[]).await?;
    /// session.insert("visits", 1)?;
    /// session.insert("visits", 2)?; // replaces the first one
    /// assert_eq!(session.get("visits")?, Some(2));
    ///
    /// let refused = session.insert(&"k".repeat(2_000), 1); // a key may have 1 KiB
    /// assert!(matches!(refused, Err(session_core::SessionError::Limit(_))));
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionError::Encode`] if the [codec](crate::Codec) cannot write the value or would not
    /// give it back, such as a float in JSON that is not finite. [`SessionError::Limit`] if the
    /// session would hold too much. The session is then unchanged.
    pub fn insert<T: Serialize>(&self, key: &str, value: T) -> Result<(), SessionError> {
        self.put(key, &value)
    }

    pub(super) fn put<T: Serialize>(&self, key: &str, value: &T) -> Result<(), SessionError> {
        let settings = self.settings();
        settings.limits.check_name(key)?;
        // The application's code runs without the lock, on what was there before.
        let (same, mut arena) = {
            let mut state = self.state();
            let same = state.view(key).cloned();
            (same, std::mem::take(&mut state.arena))
        };
        let encoded = arena.encode_new(settings.codec, value, same.as_ref());
        let mut state = self.state();
        state.arena = arena;
        match encoded.map(|new| new.or(same)) {
            Ok(Some(value)) => {
                let key = state.shared_key(key);
                Ok(state.put(key, value, settings)?)
            }
            Ok(None) => Ok(()),
            Err(fault) => Err(SessionError::Encode {
                key: key.to_owned(),
                type_name: type_name::<T>(),
                fault,
            }),
        }
    }

    /// Removes `key`, and returns whether it was there.
    ///
    /// Two requests at the same time can both get `true`. For a value that must be used only once,
    /// call [`take_now`](Self::take_now).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// # let session = SessionManager::new(MemoryStore::new()).begin(&[]).await?;
    /// session.insert("colour", "blue")?;
    /// assert!(session.remove("colour"));
    /// assert!(!session.remove("colour"));
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    pub fn remove(&self, key: &str) -> bool {
        self.state().remove(key)
    }

    /// Whether there is a value under `key`.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// # let session = SessionManager::new(MemoryStore::new()).begin(&[]).await?;
    /// session.insert("colour", "blue")?;
    /// assert!(session.contains_key("colour"));
    /// assert!(!session.contains_key("size"));
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    pub fn contains_key(&self, key: &str) -> bool {
        self.state().view(key).is_some()
    }

    /// All keys, sorted.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// # let session = SessionManager::new(MemoryStore::new()).begin(&[]).await?;
    /// session.insert("size", 40)?;
    /// session.insert("colour", "blue")?;
    /// assert_eq!(session.keys(), ["colour", "size"]);
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    pub fn keys(&self) -> Vec<String> {
        let state = self.state();
        state.edits.keys(state.stored_values())
    }

    /// How many values there are.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// # let session = SessionManager::new(MemoryStore::new()).begin(&[]).await?;
    /// assert!(session.is_empty());
    /// session.insert("colour", "blue")?;
    /// assert_eq!(session.len(), 1);
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    pub fn len(&self) -> usize {
        self.state().count()
    }

    /// Whether there are no values.
    ///
    /// [`len`](Self::len) has an example.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes every value. The session itself, its id and its principal stay.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// # let session = SessionManager::new(MemoryStore::new()).begin(&[]).await?;
    /// session.sign_in("user:42")?;
    /// session.insert("colour", "blue")?;
    /// session.clear();
    /// assert!(session.is_empty());
    /// assert_eq!(session.principal().as_deref(), Some("user:42"));
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    pub fn clear(&self) {
        self.state().clear();
    }

    /// The value under `key`.
    pub(super) fn read<T: DeserializeOwned>(
        &self,
        key: &str,
        on: OnUndecodable,
    ) -> Result<Option<T>, SessionError> {
        let value = self.state().view(key).cloned();
        let Some(value) = value else { return Ok(None) };
        let decoded = on.decode(key, &value)?;
        Ok(self.reported(decoded))
    }

    /// What was decoded, if anything was. Not under the lock.
    pub(super) fn reported<T>(&self, decoded: Result<T, Undecodable>) -> Option<T> {
        decoded.map_err(|undecodable| self.report(undecodable)).ok()
    }

    /// Reports a value that reads as absent. Not under the lock.
    pub(super) fn report(&self, undecodable: Undecodable) {
        let who = self.state().who();
        report(self.manager(), who.as_ref(), undecodable);
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.inner.cell.state()
    }

    pub(crate) fn settings(&self) -> &Settings {
        self.inner.manager.settings()
    }
}

impl fmt::Debug for Session {
    /// Shows the short hash of the id, and no key or value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Session")
            .field("id", &state.id())
            .field("values", &state.count())
            .finish_non_exhaustive()
    }
}

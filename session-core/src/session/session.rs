//! The handle that a handler holds.

use std::any::type_name;
use std::fmt;
use std::sync::{Arc, MutexGuard};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::SessionError;
use crate::manager::SessionManager;
use crate::record::{Arena, Codec, Value};
use crate::settings::Settings;
use crate::state::{Cell, State, UpdateFn};

/// The session of one request: a dictionary, loaded once, saved when the request is committed.
///
/// Cheap to clone; all clones are one session. Values are encoded when they are inserted
/// and decoded when they are asked for. Reading and writing are synchronous, since loading
/// came before; only [`save`](Self::save) and [`update_now`](Self::update_now) go to the store.
///
/// What is changed is written by [`SessionManager::commit`], in one atomic step or not at
/// all. Of plain [`insert`](Self::insert)s into one key by several requests the last
/// one wins; [`update`](Self::update) never loses to another writer. An insert of the
/// value that is already there writes nothing, and so does not defend it against others
/// ([`Codec`](crate::Codec) says which values are the same).
/// Only where a sign-in has to create a new session it counts as inserted.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use session_core::{Directive, MemoryStore, SessionManager};
///
/// let manager = SessionManager::new(MemoryStore::new());
///
/// let session = manager.open(&[]).await?; // a client without a token
/// session.insert("colour", "blue")?;
/// let Directive::Hold(token) = manager.commit(&session).await? else { panic!() };
///
/// let session = manager.open(&[token.as_str()]).await?;
/// assert_eq!(session.get::<String>("colour")?.as_deref(), Some("blue"));
/// assert_eq!(manager.commit(&session).await?, Directive::Nothing);
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

    /// The manager that opened it, to ask about other sessions of its principal.
    pub fn manager(&self) -> &SessionManager {
        &self.inner.manager
    }

    /// The value under `key`, decoded; `None` if there is none.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// # let session = SessionManager::new(MemoryStore::new()).open(&[]).await?;
    /// session.insert("colour", "blue")?;
    /// assert_eq!(session.get::<String>("colour")?.as_deref(), Some("blue"));
    /// assert_eq!(session.get::<String>("size")?, None);
    /// assert!(session.get::<u32>("colour").is_err()); // it is there, and no number
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionError::Decode`] if the value is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, SessionError> {
        let value = self.state().view(key).cloned();
        value.map(|value| decode(key, &value)).transpose()
    }

    /// Sets `key`. The value is encoded now.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// # let session = SessionManager::new(MemoryStore::new()).open(&[]).await?;
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
    /// [`SessionError::Encode`] if its [codec](crate::Codec) cannot write it or would not give it
    /// back, as a float in JSON that is not finite; [`SessionError::Limit`] if the session would
    /// hold too much. The session is then unchanged.
    pub fn insert<T: Serialize>(&self, key: &str, value: T) -> Result<(), SessionError> {
        let settings = self.settings();
        settings.limits.check_name(key)?;
        // The application's code runs without the lock, on what was there before.
        let (same, mut arena) = {
            let mut state = self.state();
            let settled = !state.edits.is_provisional(key);
            let same = state.view(key).filter(|_| settled).cloned();
            (same, std::mem::take(&mut state.arena))
        };
        let encoded = arena.encode_new(settings.codec, &value, same.as_ref());
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

    /// Changes the value under `key` by `f`, which is given the value that is there and
    /// returns the new one. Returns what came out for now.
    ///
    /// It never loses to another writer of the same key: if another request wrote in the
    /// meantime, the commit runs `f` again on what is there then. So `f` may run several
    /// times; it should compute its result and nothing else, and not use the session.
    /// The final value is known once the commit is done; [`update_now`](Self::update_now) waits for
    /// it.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// let session = SessionManager::new(MemoryStore::new()).open(&[]).await?;
    /// let visits = session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1)?;
    /// assert_eq!(visits, 1);
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionError::Decode`], [`SessionError::Encode`] or [`SessionError::Limit`]; the session
    /// is then unchanged.
    pub fn update<T, F>(&self, key: &str, f: F) -> Result<T, SessionError>
    where
        T: Serialize + DeserializeOwned + 'static,
        F: Fn(Option<T>) -> T + Send + Sync + 'static,
    {
        let settings = self.settings();
        settings.limits.check_name(key)?;
        loop {
            let (before, mut arena) = {
                let mut state = self.state();
                (state.view(key).cloned(), std::mem::take(&mut state.arena))
            };
            let computed = step(key, before.as_ref(), settings.codec, &mut arena, &f);
            let mut state = self.state();
            state.arena = arena;
            let (result, value) = computed?;
            // Another clone may have been faster; then it was computed from an old value.
            if state.view(key) != before.as_ref() {
                continue;
            }
            let shared = state.shared_key(key);
            let again: UpdateFn = Arc::new(move |key, old, codec, arena| {
                step(key, old, codec, arena, &f).map(|(_, value)| value)
            });
            state.update(shared, again, value, settings)?;
            return Ok(result);
        }
    }

    /// [`update`](Self::update), saved at once together with everything else that is
    /// unsaved. Returns the final value.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// # let session = SessionManager::new(MemoryStore::new()).open(&[]).await?;
    /// let more = |visits: Option<u64>| visits.unwrap_or(0) + 1;
    /// let visits = session.update_now("visits", more).await?;
    /// assert_eq!(visits, 1);
    /// assert!(!session.is_new()); // stored already
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As `update` and [`save`](Self::save). When saving fails and certainly wrote nothing, the
    /// change stays pending and the commit tries once more.
    pub async fn update_now<T, F>(&self, key: &str, f: F) -> Result<T, SessionError>
    where
        T: Serialize + DeserializeOwned + 'static,
        F: Fn(Option<T>) -> T + Send + Sync + 'static,
    {
        let provisional = self.update(key, f)?;
        self.save().await?;
        Ok(self.get(key)?.unwrap_or(provisional))
    }

    /// Removes `key`; whether it was there.
    ///
    /// Two requests at the same time can both be told that it was. What must be used once is
    /// removed with [`take_now`](Self::take_now).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// # let session = SessionManager::new(MemoryStore::new()).open(&[]).await?;
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
    /// # let session = SessionManager::new(MemoryStore::new()).open(&[]).await?;
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
    /// # let session = SessionManager::new(MemoryStore::new()).open(&[]).await?;
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
    /// # let session = SessionManager::new(MemoryStore::new()).open(&[]).await?;
    /// assert!(session.is_empty());
    /// session.insert("colour", "blue")?;
    /// assert_eq!(session.len(), 1);
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    pub fn len(&self) -> usize {
        self.state().count()
    }

    /// Whether there is no value.
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
    /// # let session = SessionManager::new(MemoryStore::new()).open(&[]).await?;
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

pub(crate) fn decode<T: DeserializeOwned>(key: &str, value: &Value) -> Result<T, SessionError> {
    value.decode().map_err(|fault| SessionError::Decode {
        key: key.to_owned(),
        type_name: type_name::<T>(),
        fault,
    })
}

/// One run of an update's closure: its result, and the result encoded.
fn step<T, F>(
    key: &str,
    old: Option<&Value>,
    codec: Codec,
    arena: &mut Arena,
    f: &F,
) -> Result<(T, Value), SessionError>
where
    T: Serialize + DeserializeOwned,
    F: Fn(Option<T>) -> T,
{
    let old = old.map(|value| decode(key, value)).transpose()?;
    let new = f(old);
    let value = arena
        .encode(codec, &new)
        .map_err(|fault| SessionError::Encode {
            key: key.to_owned(),
            type_name: type_name::<T>(),
            fault,
        })?;
    Ok((new, value))
}

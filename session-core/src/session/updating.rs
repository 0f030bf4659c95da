//! Changes that depend on the value before them, and so never lose to another writer (law 1).

use std::any::type_name;
use std::error::Error as StdError;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::SessionError;
use crate::event::Undecodable;
use crate::record::{Arena, Codec, Value};
use crate::session::{OnUndecodable, Session, report};
use crate::state::{State, UpdateFn};

type BoxError = Box<dyn StdError + Send + Sync>;

impl Session {
    /// Changes the value under `key` with `f`, and returns the preliminary result.
    ///
    /// `f` receives the value that is there and returns the new one.
    ///
    /// The change is never lost to another writer of the same key: if another request wrote in the
    /// meantime, the commit runs `f` again on the value that is there then. So `f` may run several
    /// times. It should only compute its result, and not use the session. The final value is known
    /// once the commit is done; [`update_now`](Self::update_now) waits for it.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// let session = SessionManager::new(MemoryStore::new()).begin(&[]).await?;
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
        self.update_as(key, OnUndecodable::Fail, f)
    }

    /// Like [`update`](Self::update), but saves at once and returns the final value.
    ///
    /// All other unsaved changes are saved together with it.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// # let session = SessionManager::new(MemoryStore::new()).begin(&[]).await?;
    /// let more = |visits: Option<u64>| visits.unwrap_or(0) + 1;
    /// let visits = session.update_now("visits", more).await?;
    /// assert_eq!(visits, 1);
    /// assert!(!session.is_new()); // stored already
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// The same as `update` and [`save`](Self::save). If the save fails and certainly wrote
    /// nothing, the change stays pending and the commit tries once more.
    pub async fn update_now<T, F>(&self, key: &str, f: F) -> Result<T, SessionError>
    where
        T: Serialize + DeserializeOwned + 'static,
        F: Fn(Option<T>) -> T + Send + Sync + 'static,
    {
        self.update_now_as(key, OnUndecodable::Fail, f).await
    }

    /// Changes the value under `key` in place, and returns the preliminary result of `f`.
    ///
    /// `f` receives the value that is there, or `None`. If it leaves `None`, the key is removed.
    ///
    /// As with [`update`](Self::update), the change is never lost to another writer of the same
    /// key: the commit runs `f` again if another request wrote in the meantime. So `f` may run
    /// several times. It should only change its value, and not use the session. If the value is the
    /// same after `f`, nothing is written.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// # let session = SessionManager::new(MemoryStore::new()).begin(&[]).await?;
    /// let add = |cart: &mut Option<Vec<String>>| {
    ///     let cart = cart.get_or_insert_default();
    ///     cart.push("tea".to_owned());
    ///     cart.len()
    /// };
    /// assert_eq!(session.modify("cart", add)?, 1);
    /// assert_eq!(session.modify("cart", add)?, 2);
    ///
    /// let empty = |cart: &mut Option<Vec<String>>| *cart = None;
    /// session.modify("cart", empty)?;
    /// assert!(!session.contains_key("cart"));
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// The same as [`update`](Self::update). The session is then unchanged.
    pub fn modify<T, R, F>(&self, key: &str, f: F) -> Result<R, SessionError>
    where
        T: Serialize + DeserializeOwned + 'static,
        F: Fn(&mut Option<T>) -> R + Send + Sync + 'static,
    {
        self.modify_as(key, OnUndecodable::Fail, f)
    }

    /// Like [`modify`](Self::modify), with a closure that may refuse the change.
    ///
    /// If `f` returns an error, the value stays as it was.
    ///
    /// `f` decides on the value that was loaded, and again at the commit if another request wrote
    /// in the meantime. If it refuses at the commit, the commit fails with
    /// [`SessionError::Refused`], whose source is the error of `f`, and no change of the request is
    /// written. Over HTTP that is a 409.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// #[derive(Debug, thiserror::Error)]
    /// enum SpendError {
    ///     #[error("only {0} points are left")]
    ///     TooFew(u32),
    ///     #[error(transparent)]
    ///     Session(#[from] session_core::SessionError),
    /// }
    ///
    /// let spend = |points: &mut Option<u32>| {
    ///     let left = points.unwrap_or(0);
    ///     *points = Some(left.checked_sub(30).ok_or(SpendError::TooFew(left))?);
    ///     Ok(())
    /// };
    /// # let session = SessionManager::new(MemoryStore::new()).begin(&[]).await?;
    /// session.insert("points", 50)?;
    /// session.try_modify("points", spend)?;
    /// assert!(matches!(session.try_modify("points", spend), Err(SpendError::TooFew(20))));
    /// assert_eq!(session.get("points")?, Some(20));
    /// # Ok::<_, SpendError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// The error that `f` returns, or an error of [`update`](Self::update). The session is then
    /// unchanged.
    pub fn try_modify<T, R, E, F>(&self, key: &str, f: F) -> Result<R, E>
    where
        T: Serialize + DeserializeOwned + 'static,
        E: From<SessionError> + Into<BoxError>,
        F: Fn(&mut Option<T>) -> Result<R, E> + Send + Sync + 'static,
    {
        self.try_modify_as(key, OnUndecodable::Fail, f)
    }

    pub(super) fn update_as<T, F>(
        &self,
        key: &str,
        on: OnUndecodable,
        f: F,
    ) -> Result<T, SessionError>
    where
        T: Serialize + DeserializeOwned + 'static,
        F: Fn(Option<T>) -> T + Send + Sync + 'static,
    {
        self.apply(key, on, move |step| {
            let new = f(step.value()?);
            step.leave(Some(&new))?;
            Ok(new)
        })
    }

    pub(super) async fn update_now_as<T, F>(
        &self,
        key: &str,
        on: OnUndecodable,
        f: F,
    ) -> Result<T, SessionError>
    where
        T: Serialize + DeserializeOwned + 'static,
        F: Fn(Option<T>) -> T + Send + Sync + 'static,
    {
        let provisional = self.update_as(key, on, f)?;
        self.save().await?;
        Ok(self.read(key, on)?.unwrap_or(provisional))
    }

    pub(super) fn modify_as<T, R, F>(
        &self,
        key: &str,
        on: OnUndecodable,
        f: F,
    ) -> Result<R, SessionError>
    where
        T: Serialize + DeserializeOwned + 'static,
        F: Fn(&mut Option<T>) -> R + Send + Sync + 'static,
    {
        self.try_modify_as(key, on, move |value| Ok(f(value)))
    }

    pub(super) fn try_modify_as<T, R, E, F>(
        &self,
        key: &str,
        on: OnUndecodable,
        f: F,
    ) -> Result<R, E>
    where
        T: Serialize + DeserializeOwned + 'static,
        E: From<SessionError> + Into<BoxError>,
        F: Fn(&mut Option<T>) -> Result<R, E> + Send + Sync + 'static,
    {
        self.apply(key, on, move |step| {
            let mut value = step.value()?;
            let returned = f(&mut value)?;
            step.leave(value.as_ref())?;
            Ok(returned)
        })
    }

    /// Runs `f` on the value under `key`, and takes it down for a replay.
    fn apply<R, E, F>(&self, key: &str, on: OnUndecodable, f: F) -> Result<R, E>
    where
        E: From<SessionError> + Into<BoxError>,
        F: Fn(&mut Step<'_>) -> Result<R, E> + Send + Sync + 'static,
    {
        let settings = self.settings();
        settings
            .limits
            .check_name(key)
            .map_err(SessionError::from)?;
        loop {
            let (before, mut arena) = {
                let mut state = self.state();
                (state.view(key).cloned(), std::mem::take(&mut state.arena))
            };
            // The application's code runs without the lock.
            let mut step = Step::new(key, before.as_ref(), settings.codec, on, &mut arena);
            let returned = f(&mut step);
            let Step {
                result, discarded, ..
            } = step;
            if let Some(undecodable) = discarded {
                self.report(undecodable);
            }
            let returned = match returned {
                Ok(returned) => returned,
                Err(error) => {
                    self.state().arena = arena;
                    return Err(error);
                }
            };
            let mut state = self.state();
            state.arena = arena;
            // Another clone may have been faster; then it was computed from an old value.
            if state.view(key) != before.as_ref() {
                continue;
            }
            let size = match state.size_of_update(key, result.as_ref(), settings) {
                Ok(size) => size,
                Err(exceeded) => {
                    // The application's code runs without the lock: this makes an error of it, and
                    // drops the closure and what it returned.
                    drop(state);
                    return Err(SessionError::from(exceeded).into());
                }
            };
            let key = state.shared_key(key);
            let again = self.replayed(on, &state, f);
            state.add_update(key, again, result, size);
            return Ok(returned);
        }
    }

    /// The closure as a replay runs it.
    fn replayed<R, E, F>(&self, on: OnUndecodable, state: &State, f: F) -> UpdateFn
    where
        E: Into<BoxError>,
        F: Fn(&mut Step<'_>) -> Result<R, E> + Send + Sync + 'static,
    {
        let reporter = match on {
            OnUndecodable::Fail => None,
            OnUndecodable::Discard(_) => Some((self.manager().clone(), state.who())),
        };
        Arc::new(move |key, before, codec, arena| {
            let mut step = Step::new(key, before, codec, on, arena);
            let returned = f(&mut step);
            if let (Some(undecodable), Some((manager, who))) = (step.discarded, &reporter) {
                report(manager, who.as_ref(), undecodable);
            }
            match (returned, step.fault) {
                (Ok(_), _) => Ok(step.result),
                (Err(_), Some(fault)) => Err(fault),
                (Err(refusal), None) => Err(SessionError::Refused(Arc::from(refusal.into()))),
            }
        })
    }
}

/// One run of a closure: what it is given, and what it leaves.
struct Step<'a> {
    key: &'a str,
    before: Option<&'a Value>,
    codec: Codec,
    on: OnUndecodable,
    arena: &'a mut Arena,
    /// The value that the key will have.
    result: Option<Value>,
    /// What was there, where that reads as absent.
    discarded: Option<Undecodable>,
    /// What failed, where it was not the application's closure.
    fault: Option<SessionError>,
}

impl<'a> Step<'a> {
    const fn new(
        key: &'a str,
        before: Option<&'a Value>,
        codec: Codec,
        on: OnUndecodable,
        arena: &'a mut Arena,
    ) -> Self {
        Self {
            key,
            before,
            codec,
            on,
            arena,
            result: None,
            discarded: None,
            fault: None,
        }
    }

    /// The value that is there.
    fn value<T: DeserializeOwned>(&mut self) -> Result<Option<T>, SessionError> {
        let Some(before) = self.before else {
            return Ok(None);
        };
        match self.on.decode(self.key, before) {
            Ok(Ok(value)) => Ok(Some(value)),
            Ok(Err(undecodable)) => {
                self.discarded = Some(undecodable);
                Ok(None)
            }
            Err(fault) => Err(self.failed(fault)),
        }
    }

    /// Keeps the value that the key will have.
    fn leave<T: Serialize>(&mut self, value: Option<&T>) -> Result<(), SessionError> {
        let Some(value) = value else { return Ok(()) };
        // Whether that is what was there is found out once, when the edit is made.
        match self.arena.encode(self.codec, value) {
            Ok(new) => self.result = Some(new),
            Err(fault) => {
                return Err(self.failed(SessionError::Encode {
                    key: self.key.to_owned(),
                    type_name: type_name::<T>(),
                    fault,
                }));
            }
        }
        Ok(())
    }

    fn failed(&mut self, fault: SessionError) -> SessionError {
        self.fault = Some(fault.clone());
        fault
    }
}

//! The handle that a handler holds.

use std::any::type_name;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytestring::ByteString;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::arena::Arena;
use crate::intent::{Intent, Occasion};
use crate::manager::SessionManager;
use crate::pending::UpdateFn;

use crate::state::{Phase, State};
use crate::{Error, Lifetime, SessionId, Timestamp, Value};

/// The session of one request: a dictionary, loaded once, saved when the request is committed.
///
/// Cheap to clone; all clones are one session. Values are encoded when they are inserted
/// and decoded when they are asked for. Reading and writing are synchronous, since loading
/// came before; only [`save`](Self::save) and [`update_now`](Self::update_now) go to the store.
///
/// What is changed is written by [`SessionManager::commit`], in one atomic step or not at
/// all. Of plain [`insert`](Self::insert)s into one key by several requests the last
/// one wins; [`update`](Self::update) never loses to another writer. An insert of the
/// value that is already there writes nothing, and so does not defend it against others.
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
/// # Ok::<_, session_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Session {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) manager: SessionManager,
    state: Mutex<State>,
    /// Saves of one handle follow one another.
    pub(crate) turn: tokio::sync::Mutex<()>,
}

impl Session {
    pub(crate) fn new(manager: SessionManager, state: State) -> Self {
        Self {
            inner: Arc::new(Inner {
                manager,
                state: Mutex::new(state),
                turn: tokio::sync::Mutex::new(()),
            }),
        }
    }

    /// The value under `key`, decoded; `None` if there is none.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// # let session = SessionManager::new(MemoryStore::new()).open(&[]).await?;
    /// session.insert("colour", "blue")?;
    /// assert_eq!(session.get::<String>("colour")?.as_deref(), Some("blue"));
    /// assert_eq!(session.get::<String>("size")?, None);
    /// assert!(session.get::<u32>("colour").is_err()); // it is there, and no number
    /// # Ok::<_, session_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Decode`] if the value is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        let value = self.state().view(key).cloned();
        value.map(|value| decode(key, &value)).transpose()
    }

    /// Sets `key`. The value is encoded now.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// # let session = SessionManager::new(MemoryStore::new()).open(&[]).await?;
    /// session.insert("visits", 1)?;
    /// session.insert("visits", 2)?; // replaces the first one
    /// assert_eq!(session.get("visits")?, Some(2));
    ///
    /// let refused = session.insert(&"k".repeat(2_000), 1); // a key may have 1 KiB
    /// assert!(matches!(refused, Err(session_core::Error::Limit(_))));
    /// # Ok::<_, session_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Encode`] if it cannot be encoded, [`Error::Limit`] if the session would hold
    /// too much. The session is then unchanged.
    pub fn insert<T: Serialize>(&self, key: &str, value: T) -> Result<(), Error> {
        let rules = self.rules();
        rules.limits.check_name(key)?;
        // The application's code runs without the lock, on what was there before.
        let (same, mut arena) = {
            let mut state = self.state();
            let settled = !state.pending.is_provisional(key);
            let same = state.view(key).filter(|_| settled).cloned();
            (same, std::mem::take(&mut state.arena))
        };
        let encoded = arena.encode_new(rules.codec, &value, same.as_ref());
        let mut state = self.state();
        state.arena = arena;
        match encoded {
            Ok(Some(value)) => {
                let key = state.shared_key(key);
                Ok(state.put(key, value, rules)?)
            }
            Ok(None) => Ok(()),
            Err(fault) => Err(Error::Encode {
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
    /// The final value is known once the commit is done; [`update_now`](Self::update_now) waits for it.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// let session = SessionManager::new(MemoryStore::new()).open(&[]).await?;
    /// let visits = session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1)?;
    /// assert_eq!(visits, 1);
    /// # Ok::<_, session_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Decode`], [`Error::Encode`] or [`Error::Limit`]; the session is then unchanged.
    pub fn update<T, F>(&self, key: &str, f: F) -> Result<T, Error>
    where
        T: Serialize + DeserializeOwned + 'static,
        F: Fn(Option<T>) -> T + Send + Sync + 'static,
    {
        let rules = self.rules();
        rules.limits.check_name(key)?;
        loop {
            let (before, mut arena) = {
                let mut state = self.state();
                (state.view(key).cloned(), std::mem::take(&mut state.arena))
            };
            let computed = step(key, before.as_ref(), rules.codec, &mut arena, &f);
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
            state.update(shared, again, value, rules)?;
            return Ok(result);
        }
    }

    /// [`update`](Self::update), saved at once together with everything else that is
    /// unsaved. Returns the final value.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// # let session = SessionManager::new(MemoryStore::new()).open(&[]).await?;
    /// let visits = session.update_now("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1).await?;
    /// assert_eq!(visits, 1);
    /// assert!(!session.is_new()); // stored already
    /// # Ok::<_, session_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As `update` and [`save`](Self::save). When saving fails and certainly wrote nothing, the
    /// change stays pending and the commit tries once more.
    pub async fn update_now<T, F>(&self, key: &str, f: F) -> Result<T, Error>
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
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// # let session = SessionManager::new(MemoryStore::new()).open(&[]).await?;
    /// session.insert("colour", "blue")?;
    /// assert!(session.remove("colour"));
    /// assert!(!session.remove("colour"));
    /// # Ok::<_, session_core::Error>(()) }).unwrap();
    /// ```
    pub fn remove(&self, key: &str) -> bool {
        self.state().remove(key)
    }

    /// Removes `key` and returns its value.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// # let session = SessionManager::new(MemoryStore::new()).open(&[]).await?;
    /// session.insert("notice", "your order is on its way")?;
    /// assert!(session.take::<String>("notice")?.is_some());
    /// assert!(session.take::<String>("notice")?.is_none()); // shown once
    /// # Ok::<_, session_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Decode`] if the value is not a `T`; it then stays.
    pub fn take<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        loop {
            let Some(value) = self.state().view(key).cloned() else {
                return Ok(None);
            };
            let decoded = decode(key, &value)?;
            let mut state = self.state();
            // Another clone may have been faster; what is returned is what is taken.
            if state.view(key) == Some(&value) {
                state.remove(key);
                return Ok(Some(decoded));
            }
        }
    }

    /// Whether there is a value under `key`.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// # let session = SessionManager::new(MemoryStore::new()).open(&[]).await?;
    /// session.insert("colour", "blue")?;
    /// assert!(session.contains_key("colour"));
    /// assert!(!session.contains_key("size"));
    /// # Ok::<_, session_core::Error>(()) }).unwrap();
    /// ```
    pub fn contains_key(&self, key: &str) -> bool {
        self.state().view(key).is_some()
    }

    /// All keys, sorted.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// # let session = SessionManager::new(MemoryStore::new()).open(&[]).await?;
    /// session.insert("size", 40)?;
    /// session.insert("colour", "blue")?;
    /// assert_eq!(session.keys(), ["colour", "size"]);
    /// # Ok::<_, session_core::Error>(()) }).unwrap();
    /// ```
    pub fn keys(&self) -> Vec<String> {
        let state = self.state();
        state.pending.keys(state.stored())
    }

    /// How many values there are.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// # let session = SessionManager::new(MemoryStore::new()).open(&[]).await?;
    /// assert!(session.is_empty());
    /// session.insert("colour", "blue")?;
    /// assert_eq!(session.len(), 1);
    /// # Ok::<_, session_core::Error>(()) }).unwrap();
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
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// # let session = SessionManager::new(MemoryStore::new()).open(&[]).await?;
    /// session.sign_in("user:42")?;
    /// session.insert("colour", "blue")?;
    /// session.clear();
    /// assert!(session.is_empty());
    /// assert_eq!(session.principal().as_deref(), Some("user:42"));
    /// # Ok::<_, session_core::Error>(()) }).unwrap();
    /// ```
    pub fn clear(&self) {
        self.state().clear();
    }

    /// The session's name; `None` while nothing is stored.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// # let session = SessionManager::new(MemoryStore::new()).open(&[]).await?;
    /// assert!(session.is_new() && session.id().is_none());
    /// session.insert("colour", "blue")?;
    /// session.save().await?;
    /// assert!(!session.is_new() && session.id().is_some());
    /// assert!(session.created_at().unwrap() < session.expires_at().unwrap());
    /// # Ok::<_, session_core::Error>(()) }).unwrap();
    /// ```
    pub fn id(&self) -> Option<SessionId> {
        self.state().id()
    }

    /// Whether nothing is stored of this session yet.
    ///
    /// [`id`](Self::id) has an example.
    pub fn is_new(&self) -> bool {
        self.state().base.is_none()
    }

    /// When it was created; `None` while nothing is stored.
    ///
    /// [`id`](Self::id) has an example.
    pub fn created_at(&self) -> Option<Timestamp> {
        self.state().base.as_ref().map(|base| base.record.created)
    }

    /// When it ends unless there is more activity; `None` while nothing is stored.
    ///
    /// [`id`](Self::id) has an example.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.state().base.as_ref().map(|base| base.record.expires())
    }

    /// Who is signed in.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// # let session = SessionManager::new(MemoryStore::new()).open(&[]).await?;
    /// assert_eq!(session.principal(), None);
    /// session.sign_in("user:42")?;
    /// assert_eq!(session.principal().as_deref(), Some("user:42"));
    /// # Ok::<_, session_core::Error>(()) }).unwrap();
    /// ```
    pub fn principal(&self) -> Option<String> {
        let state = self.state();
        let stored = state.base.as_ref().and_then(|base| base.record.principal.clone());
        state
            .intent
            .sign_in
            .clone()
            .or(stored)
            .map(|name| name.to_string())
    }

    /// When the principal last authenticated, as stored; for step-up checks.
    ///
    /// [`authenticated_within`](Self::authenticated_within) has an example.
    pub fn authenticated_at(&self) -> Option<Timestamp> {
        self.state()
            .base
            .as_ref()
            .and_then(|base| base.record.authenticated)
    }

    /// Binds the session to a principal who has just authenticated, such as `user:42`.
    ///
    /// The commit renews the token (all former ones are dead at once), starts both clocks
    /// anew and notes the time of authentication. What the session holds stays, unless
    /// another principal was signed in: then the old session ends and an empty one begins.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # use session_core::{Directive, MemoryStore, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// # let session = manager.open(&[]).await?;
    /// # session.insert("cart", 3)?;
    /// # let Directive::Hold(token) = manager.commit(&session).await? else { unreachable!() };
    /// let session = manager.open(&[token.as_str()]).await?; // a guest, three things in the cart
    /// session.sign_in("user:42")?;
    /// let Directive::Hold(new) = manager.commit(&session).await? else { unreachable!() };
    ///
    /// let session = manager.open(&[new.as_str()]).await?;
    /// assert_eq!(session.principal().as_deref(), Some("user:42"));
    /// assert_eq!(session.get("cart")?, Some(3));
    /// assert!(manager.open(&[token.as_str()]).await?.is_new()); // the guest's token is dead
    /// # Ok::<_, session_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] if the name is too long, [`Error::Detached`] if the response has left.
    pub fn sign_in(&self, principal: &str) -> Result<(), Error> {
        self.rules().limits.check_name(principal)?;
        let rules = self.rules();
        let mut state = self.open_state()?;
        let stored = state
            .base
            .as_ref()
            .and_then(|base| base.record.principal.as_deref());
        let before = state.intent.sign_in.as_deref().or(stored);
        let sign_in = Some(ByteString::from(principal));
        if before.is_some_and(|before| before != principal) {
            rules.check(rules.fresh_metadata + principal.len(), 0)?;
            state.leave(true);
        }
        let intent = Intent {
            sign_in,
            ..state.intent.clone()
        };
        Ok(state.intend(intent, rules)?)
    }

    /// Gives the session a new token at the commit; all former ones are dead at once. Id, data and
    /// deadline stay. For changes of privilege other than signing in. A session that is not
    /// stored has no token to renew.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # use session_core::{Directive, MemoryStore, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// # let session = manager.open(&[]).await?;
    /// # session.insert("cart", 3)?;
    /// # let Directive::Hold(token) = manager.commit(&session).await? else { unreachable!() };
    /// let session = manager.open(&[token.as_str()]).await?;
    /// session.renew()?;
    /// let Directive::Hold(new) = manager.commit(&session).await? else { unreachable!() };
    /// assert_eq!(manager.open(&[new.as_str()]).await?.id(), session.id());
    /// assert!(manager.open(&[token.as_str()]).await?.is_new()); // the old token is dead
    /// # Ok::<_, session_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Detached`] if the response has left.
    pub fn renew(&self) -> Result<(), Error> {
        let mut state = self.open_state()?;
        state.intent.renew = state.base.is_some();
        Ok(())
    }

    /// Ends the session: it is deleted from the store and the client is told to forget its
    /// token. This is carried out even if the response turns out to be an error; but after a
    /// cancelled request nobody is left to do it, unless [`save`](Self::save) did.
    /// An insert after it starts a new session.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # use session_core::{Directive, MemoryStore, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// # let session = manager.open(&[]).await?;
    /// # session.insert("cart", 3)?;
    /// # let Directive::Hold(token) = manager.commit(&session).await? else { unreachable!() };
    /// let session = manager.open(&[token.as_str()]).await?;
    /// session.destroy()?;
    /// assert_eq!(manager.commit(&session).await?, Directive::Forget);
    /// assert!(manager.open(&[token.as_str()]).await?.is_new());
    /// # Ok::<_, session_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Detached`] if the response has left.
    pub fn destroy(&self) -> Result<(), Error> {
        self.open_state()?.destroy();
        Ok(())
    }

    /// Gives this session other timeouts from the next save on. The absolute deadline can only come nearer;
    /// a later one takes a fresh authentication.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # use session_core::Lifetime;
    /// # use std::time::Duration;
    /// # use session_core::{MemoryStore, SessionManager};
    /// # let session = SessionManager::new(MemoryStore::new()).open(&[]).await?;
    /// session.insert("colour", "blue")?;
    /// session.set_lifetime(Lifetime::aal3()); // 15 minutes idle
    /// session.save().await?;
    /// let expires = session.expires_at().unwrap();
    /// assert_eq!(expires.since(session.created_at().unwrap()), Duration::from_secs(15 * 60));
    /// # Ok::<_, session_core::Error>(()) }).unwrap();
    /// ```
    pub fn set_lifetime(&self, lifetime: Lifetime) {
        let mut state = self.state();
        let stored = state.base.as_ref().map(|base| base.record.lifetime);
        state.intent.lifetime = Some(lifetime).filter(|_| stored != Some(lifetime));
    }

    /// Names the session for its owner, such as the name of a device.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// # let session = manager.open(&[]).await?;
    /// session.sign_in("user:42")?;
    /// session.set_label("Anna's phone")?;
    /// manager.commit(&session).await?;
    ///
    /// let now = session.created_at().unwrap();
    /// let devices = manager.store().list("user:42", now).await?;
    /// assert_eq!(devices[0].label(), Some("Anna's phone"));
    /// # Ok::<_, session_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] if the name is too long.
    pub fn set_label(&self, label: &str) -> Result<(), Error> {
        self.rules().limits.check_name(label)?;
        let mut state = self.state();
        let stored = state.base.as_ref().and_then(|base| base.record.label());
        let label = (stored != Some(label)).then(|| ByteString::from(label));
        let intent = Intent {
            label,
            ..state.intent.clone()
        };
        Ok(state.intend(intent, self.rules())?)
    }

    /// Writes what is unsaved now, whatever becomes of the request. Renewals and sign-ins
    /// wait for the commit.
    ///
    /// If its outcome is unknown ([`StoreError::OutcomeUnknown`](crate::StoreError::OutcomeUnknown), or the future was dropped while a write
    /// was under way, as a timeout around it does), nothing is sent again: every further save of this session
    /// and the commit fail with that error, so that no change is applied twice or lost in silence.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// # let session = manager.open(&[]).await?;
    /// session.insert("step", 1)?;
    /// session.save().await?;
    /// manager.abort(&session).await; // the request failed later on
    /// assert_eq!(session.get("step")?, Some(1));
    /// # Ok::<_, session_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Gone`] if the session has ended, [`Error::Contended`] if too many others wrote,
    /// [`Error::Detached`] if the response has left and there is no session yet that the client knows,
    /// [`Error::Store`] if the store failed, or as for [`update`](Self::update).
    pub async fn save(&self) -> Result<(), Error> {
        self.inner.manager.write(&self.inner, Occasion::Save).await
    }

    /// Whether a commit would have anything to do now. ([`SessionManager::close`] asks and settles in one step.)
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// # let session = manager.open(&[]).await?;
    /// assert!(!session.needs_commit());
    /// session.insert("colour", "blue")?;
    /// assert!(session.needs_commit());
    /// manager.commit(&session).await?;
    /// assert!(!session.needs_commit());
    /// # Ok::<_, session_core::Error>(()) }).unwrap();
    /// ```
    pub fn needs_commit(&self) -> bool {
        let now = self.inner.manager.now();
        self.state().needs_commit(now)
    }

    /// How long ago the principal authenticated, if at most `limit`.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # use session_core::{ManualClock, MemoryStore, SessionManager, Timestamp};
    /// # use std::time::Duration;
    /// # let clock = ManualClock::new(Timestamp::from_millis(0));
    /// let manager = SessionManager::builder(MemoryStore::new()).clock(clock.clone()).build().unwrap();
    /// let session = manager.open(&[]).await?;
    /// session.sign_in("user:42")?;
    /// manager.commit(&session).await?;
    /// assert_eq!(session.authenticated_at(), Some(clock.now()));
    ///
    /// clock.advance(Duration::from_secs(300));
    /// assert_eq!(session.authenticated_within(Duration::from_secs(600)), Some(Duration::from_secs(300)));
    /// assert_eq!(session.authenticated_within(Duration::from_secs(60)), None); // ask for the password again
    /// # Ok::<_, session_core::Error>(()) }).unwrap();
    /// ```
    pub fn authenticated_within(&self, limit: Duration) -> Option<Duration> {
        let ago = self.inner.manager.now().since(self.authenticated_at()?);
        (ago <= limit).then_some(ago)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state()
    }

    fn open_state(&self) -> Result<MutexGuard<'_, State>, Error> {
        let state = self.state();
        match state.phase {
            Phase::Open => Ok(state),
            Phase::Closed | Phase::Abandoned => Err(Error::Detached),
        }
    }

    fn rules(&self) -> &crate::rules::Rules {
        self.inner.manager.rules()
    }
}

impl Inner {
    /// The application's code never runs under this lock, so poison means nothing.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if state.is_unsaved() {
            let provoked = &self.manager.shared.provoked;
            provoked.unsaved(
                state.id(),
                "the session was dropped before a commit",
                self.manager.now(),
            );
        }
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

fn decode<T: DeserializeOwned>(key: &str, value: &Value) -> Result<T, Error> {
    value.decode().map_err(|fault| Error::Decode {
        key: key.to_owned(),
        type_name: type_name::<T>(),
        fault,
    })
}

/// One run of an update's closure: its result, and the result encoded.
fn step<T, F>(
    key: &str,
    old: Option<&Value>,
    codec: crate::Codec,
    arena: &mut Arena,
    f: &F,
) -> Result<(T, Value), Error>
where
    T: Serialize + DeserializeOwned,
    F: Fn(Option<T>) -> T,
{
    let old = old.map(|value| decode(key, value)).transpose()?;
    let new = f(old);
    let value = arena.encode(codec, &new).map_err(|fault| Error::Encode {
        key: key.to_owned(),
        type_name: type_name::<T>(),
        fault,
    })?;
    Ok((new, value))
}

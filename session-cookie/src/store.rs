//! The store that keeps nothing.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use session_core::store::{
    Durability, PrincipalIndex, Record, RecordKey, RecordLocation, RecordScan, Revalidated,
    SessionStore, StoreError, Update, Updated,
};
use session_core::{ConfigError, Ended, KeyRing, Limit, LimitExceeded, Timestamp};

use crate::cut_off::{Cut, CutOff};
use crate::scope::Scopes;
use crate::seal::{NONCE, Opened, Sealing};

/// Characters that one cookie may hold: what every browser takes.
const COOKIE: usize = 4096;
const MOST_COOKIES: usize = 8;

/// Seals each record into the client's cookie and keeps nothing itself.
///
/// See the [front page](crate) for what that means and when to choose it.
///
/// ```
/// use session_cookie::CookieStore;
/// use session_core::KeyRing;
/// use session_core::store::{RecordLocation, SessionStore};
///
/// let store = CookieStore::encrypted(KeyRing::new([1; 32]).unwrap());
/// assert_eq!(store.location(), RecordLocation::client(62, 1));
/// ```
pub struct CookieStore {
    sealing: Sealing,
    cookies: usize,
    scopes: Scopes,
    cut: Cut,
}

impl CookieStore {
    /// Signs sessions: a client can read its own session, but cannot change it.
    ///
    /// ```
    /// use session_cookie::CookieStore;
    /// use session_core::KeyRing;
    /// use session_core::store::{RecordLocation, SessionStore};
    ///
    /// let store = CookieStore::signed(KeyRing::new([1; 32]).unwrap());
    /// assert_eq!(store.location(), RecordLocation::client(54, 1));
    /// ```
    pub fn signed(keys: KeyRing) -> Self {
        Self::new(keys, Sealing::Signed)
    }

    /// Encrypts sessions: a client can neither read nor change them.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use session_cookie::CookieStore;
    /// # use session_core::{KeyRing, Lifetime, SessionId, Timestamp};
    /// # use session_core::store::{Record, SessionStore};
    /// # use std::sync::Arc;
    /// # let now = Timestamp::from_millis(1_000);
    /// # let id = SessionId::random().unwrap();
    /// # let record = Arc::new(Record::new(id, "id", Lifetime::default(), now));
    /// let store = CookieStore::encrypted(KeyRing::new([1; 32]).unwrap());
    /// let one = store.create(&record, now).await.unwrap();
    /// let two = store.create(&record, now).await.unwrap();
    /// assert_ne!(one, two); // a new nonce each time, so not even equality shows
    /// assert_eq!(store.load(&one, now).await.unwrap(), store.load(&two, now).await.unwrap());
    /// # });
    /// ```
    pub fn encrypted(keys: KeyRing) -> Self {
        Self::new(keys, Sealing::Encrypted)
    }

    fn new(keys: KeyRing, sealing: Sealing) -> Self {
        Self {
            sealing,
            cookies: 1,
            scopes: Scopes::new(keys, vec![sealing]),
            cut: Cut::default(),
        }
    }

    /// Sets over how many cookies of 4,096 characters a session may spread.
    ///
    /// The number is from 1 to 8, by default 1.
    ///
    /// If you lower the number later, sessions that have grown beyond the new limit are lost. Their
    /// cookies are removed with the next write, or when the handler destroys the session.
    ///
    /// Each request carries all these cookies, and many servers accept no more than 8 or 16 KiB of
    /// headers.
    ///
    /// ```
    /// use session_cookie::CookieStore;
    /// use session_core::KeyRing;
    ///
    /// let store = CookieStore::signed(KeyRing::new([1; 32]).unwrap());
    /// assert!(store.with_chunks(2).is_ok());
    ///
    /// let store = CookieStore::signed(KeyRing::new([1; 32]).unwrap());
    /// assert!(store.with_chunks(9).is_err());
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the number is not 1 to 8.
    pub fn with_chunks(self, cookies: usize) -> Result<Self, ConfigError> {
        if !(1..=MOST_COOKIES).contains(&cookies) {
            return Err(ConfigError::new(format!(
                "a session cannot be spread over {cookies} cookies; allow 1 to {MOST_COOKIES}"
            )));
        }
        Ok(Self { cookies, ..self })
    }

    /// Also opens sessions that were sealed this way.
    ///
    /// So a site can move from one way to the other. The store still seals new writes in the way
    /// that it was made with.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// # use session_core::{Lifetime, SessionId, Timestamp};
    /// # use session_core::store::{Record, SessionStore};
    /// # use std::sync::Arc;
    /// # let now = Timestamp::from_millis(1_000);
    /// # let id = SessionId::random().unwrap();
    /// # let record = Arc::new(Record::new(id, "id", Lifetime::default(), now));
    /// use session_cookie::{CookieStore, Sealing};
    /// use session_core::KeyRing;
    ///
    /// let keys = KeyRing::new([1; 32]).unwrap();
    /// let former = CookieStore::signed(keys.clone()).create(&record, now).await.unwrap();
    ///
    /// let store = CookieStore::encrypted(keys);
    /// assert!(store.load(&former, now).await.unwrap().is_none());
    ///
    /// let store = store.with_former_sealing(Sealing::Signed);
    /// assert!(store.load(&former, now).await.unwrap().is_some());
    /// # });
    /// ```
    #[must_use]
    pub fn with_former_sealing(self, sealing: Sealing) -> Self {
        Self {
            scopes: self.scopes.also(sealing),
            ..self
        }
    }

    /// Sets a [`CutOff`], so that a principal can be signed out everywhere.
    ///
    /// For each sealed session with a principal, the store asks the cut-off from which instant on
    /// the sessions of that principal are valid. By default there is no cut-off, and a sealed
    /// session opens until it expires.
    ///
    /// [`CutOff`] has an example.
    #[must_use]
    pub fn with_cut_off(self, cut_off: impl CutOff) -> Self {
        Self {
            cut: Cut(Some(Arc::new(cut_off))),
            ..self
        }
    }

    /// Characters that a token may have.
    const fn limit(&self) -> usize {
        self.cookies * COOKIE
    }

    /// Opens a genuine token, expired or not, without a look at the record in it.
    fn open(&self, key: &RecordKey) -> Option<Opened> {
        let RecordKey::Sealed { scope, token, .. } = key else {
            return None;
        };
        if token.len() > self.limit() {
            return None;
        }
        self.scopes.get(scope).open(token.as_bytes())
    }

    fn seal(&self, record: &Record, now: Timestamp) -> Result<RecordKey, StoreError> {
        let payload = record.encode();
        let size = self.sealing.token_chars(payload.len());
        let limit = self.limit();
        if size > limit {
            return Err(LimitExceeded::new(Limit::TokenBytes, size, limit).into());
        }
        let mut nonce = [0; NONCE];
        if self.sealing == Sealing::Encrypted {
            getrandom::fill(&mut nonce).map_err(StoreError::unavailable)?;
        }
        let scope = self.scopes.get(record.scope());
        // A ring is never empty, and the size is checked, so sealing does not fail.
        let token = scope
            .seal(&payload, now, record.expires_at(), &nonce)
            .ok_or_else(|| StoreError::unavailable("the session could not be sealed"))?;
        Ok(RecordKey::sealed(scope.name().clone(), token))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SessionStore for CookieStore {
    fn location(&self) -> RecordLocation {
        RecordLocation::client(self.sealing.overhead(), self.cookies)
    }

    /// The store waits for nothing except a [cut-off](Self::with_cut_off), which belongs to the
    /// application.
    fn call_timeout(&self) -> Option<Duration> {
        self.cut.0.is_none().then_some(Duration::ZERO)
    }

    /// The client keeps what it was sent, so no server can lose it.
    fn durability(&self) -> Durability {
        Durability::Durable
    }

    /// Returns an expired session too, if it is genuine, so that its expiry can be reported.
    async fn load(
        &self,
        key: &RecordKey,
        now: Timestamp,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        let Some(opened) = self.open(key) else {
            return Ok(None);
        };
        let expired = now >= opened.expires();
        let record = match Record::decode(opened.into_payload()) {
            // It would let nobody in anyway, so nobody has to hear that it is damaged.
            Err(_) if expired => return Ok(None),
            decoded => decoded?,
        };
        // The seal and the record each have an expiry. A session whose seal has expired must not
        // look live by its record.
        let ours = is_for(key, &record) && !(expired && record.is_live(now));
        Ok((ours && self.cut.passes(&record).await?).then(|| Arc::new(record)))
    }

    /// The key is the record, so there is nothing to ask.
    async fn revalidate(
        &self,
        key: &RecordKey,
        known: &Arc<Record>,
        now: Timestamp,
    ) -> Result<Revalidated, StoreError> {
        let _ = known;
        Ok(self.load(key, now).await?.into())
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<RecordKey, StoreError> {
        self.seal(record, now)
    }

    /// Seals [`Update::record`], if the key is genuine and neither it nor the record has
    /// expired. There is nothing to merge with and no version to meet.
    async fn update(
        &self,
        key: &RecordKey,
        update: &Update,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        let record = update.record();
        let is_open = || self.open(key).is_some_and(|opened| now < opened.expires());
        if !is_for(key, record)
            || !record.is_live(now)
            || !is_open()
            || !self.cut.passes(record).await?
        {
            return Ok(Updated::Gone);
        }
        let key = self.seal(record, now)?;
        Ok(Updated::saved(key, record.version()))
    }

    /// Does nothing: what the client holds opens until it expires.
    async fn delete(&self, _: &RecordKey, _: Ended) -> Result<(), StoreError> {
        Ok(())
    }

    /// None: only clients hold the sessions.
    fn principals(&self) -> Option<&dyn PrincipalIndex> {
        None
    }

    /// None, for the same reason.
    fn scan(&self) -> Option<&dyn RecordScan> {
        None
    }

    async fn delete_expired(&self, _: Timestamp) -> Result<u64, StoreError> {
        Ok(0)
    }
}

fn is_for(key: &RecordKey, record: &Record) -> bool {
    matches!(key, RecordKey::Sealed { scope, .. } if *scope == record.scope())
}

impl fmt::Debug for CookieStore {
    /// Shows how it seals, and nothing of the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CookieStore")
            .field("sealing", &self.sealing)
            .field("opens", &self.scopes.opens())
            .field("cookies", &self.cookies)
            .field("cut_off", &self.cut)
            .field("keys", &self.scopes.keys())
            .finish_non_exhaustive()
    }
}

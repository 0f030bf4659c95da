//! From the tokens of a request to its session.

use std::sync::Arc;

use bytestring::ByteString;

use crate::builder::OnCorrupt;
use crate::clock::{Elapsed, within};
use crate::event::{Refusal, Who};
use crate::manager::SessionManager;
use crate::rotation::{Standing, Upkeep, standing};
use crate::state::{Base, State};
use crate::token::Presented;
use crate::{Capability, Error, Key, OnReuse, Record, Session, StoreError, Timestamp};

/// So many tokens of one request that are ours by form and MAC are looked up.
const MOST_TOKENS: usize = 4;

/// What one token opens.
enum Found {
    Live(Base),
    /// A renewal has just put another token in its place.
    Renewed,
    /// It was rotated away, and its overlap is over.
    Reused(Arc<Record>),
    Nothing,
}

impl SessionManager {
    /// Opens the session of a request by the tokens that it presents: usually one, none for a
    /// new client. Each costs one call of the store; one that is not ours by form or MAC costs none.
    ///
    /// A token that opens nothing (unknown, expired, forged) is never adopted: the request
    /// goes on with a new session, stored under a new id if anything is inserted. Of several tokens up to four that
    /// are ours by form and MAC are tried; if they open different live sessions, the request is anonymous, because a
    /// neighbour may have planted one of them.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # use session_core::{Directive, MemoryStore, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// # let session = manager.open(&[]).await?;
    /// # session.insert("cart", 3)?;
    /// # let Directive::Hold(token) = manager.commit(&session).await? else { unreachable!() };
    /// let known = manager.open(&[token.as_str()]).await?;
    /// assert_eq!(known.get("cart")?, Some(3));
    ///
    /// let forged = manager.open(&["not one of ours"]).await?;
    /// assert!(forged.is_new() && forged.is_empty());
    /// # Ok::<_, session_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the store fails or does not answer within its deadline.
    pub async fn open(&self, tokens: &[&str]) -> Result<Session, Error> {
        let now = self.now();
        let mut live: Option<Base> = None;
        let mut reused: Option<Arc<Record>> = None;
        let mut renewed = false;
        let mut ambiguous = false;
        let mut tried = 0;
        for (at, token) in tokens.iter().enumerate() {
            if tokens[..at].contains(token) {
                continue;
            }
            let Some((key, presented)) = self.read(token) else {
                self.shared.events.refused(Refusal::Malformed, now);
                continue;
            };
            if tried == MOST_TOKENS {
                self.shared.events.refused(Refusal::TooMany, now);
                break;
            }
            tried += 1;
            match self.find(key, presented, now).await? {
                Found::Live(base) => match &live {
                    Some(other) if other.record.id != base.record.id => ambiguous = true,
                    // Of two tokens of one session the client goes on with the one that is not superseded.
                    Some(other) if other.upkeep.superseded => live = Some(base),
                    Some(_) => {}
                    None => live = Some(base),
                },
                Found::Reused(record) => reused = Some(record),
                Found::Renewed => renewed = true,
                Found::Nothing => {}
            }
        }
        if let Some(record) = reused.filter(|_| live.is_none()) {
            self.reused(&record, now).await?;
        }
        if ambiguous {
            self.shared.events.refused(Refusal::Ambiguous, now);
            live = None;
        }
        if let Some(base) = &live {
            self.shared.events.loaded(&base.record, now);
        }
        let muted = renewed && live.is_none();
        Ok(Session::new(self.clone(), State::opened(live, muted)))
    }

    /// A rotated token came back, and no other one: somebody has a copy.
    async fn reused(&self, record: &Record, now: Timestamp) -> Result<(), Error> {
        let revokes = self.shared.on_reuse == OnReuse::Revoke;
        self.shared.events.reused(record, revokes, now);
        if revokes {
            self.delete(&Key::Id(record.id), &Who::of(record)).await?;
            let principal = record.principal();
            self.shared
                .events
                .revoked(record.id, principal, "a rotated token came back", now);
        }
        Ok(())
    }

    async fn find(&self, key: Key, presented: Option<Presented>, now: Timestamp) -> Result<Found, Error> {
        let Some(record) = self.load(&key, now).await? else {
            return Ok(Found::Nothing);
        };
        if record.scope() != self.scope() {
            self.shared.events.refused_by(&record, Refusal::Scope, now);
            return Ok(Found::Nothing);
        }
        let mut base = Base {
            key,
            record,
            secret: None,
            held: true,
            old_key: false,
            stale: false,
            presented: false,
            upkeep: Upkeep::default(),
        };
        let Some(presented) = presented else {
            return Ok(Found::Live(base));
        };
        let refusal = match standing(&base.record, &presented, now, &self.rules().rotation) {
            Standing::Accepted(upkeep) => {
                base.secret = Some(presented.secret);
                base.old_key = presented.old_key;
                base.presented = true;
                base.upkeep = upkeep;
                return Ok(Found::Live(base));
            }
            Standing::Reused => return Ok(Found::Reused(base.record)),
            Standing::Renewed => Refusal::Renewed,
            Standing::Former => Refusal::Former,
            Standing::Stranger => Refusal::Unknown,
        };
        self.shared.events.refused_by(&base.record, refusal, now);
        Ok(match refusal {
            Refusal::Renewed => Found::Renewed,
            _ => Found::Nothing,
        })
    }

    /// The live record of a key. Whatever the store does, what has expired is not live.
    async fn load(&self, key: &Key, now: Timestamp) -> Result<Option<Arc<Record>>, Error> {
        let loaded = self.fetch(key, now).await;
        match loaded {
            Ok(Some(record)) if key.id().is_some_and(|id| id != record.id) => {
                let id = record.id.short();
                let error = StoreError::corrupt(format!("the record is that of session {id}"));
                self.unreadable(key, error, now)
            }
            Ok(Some(record)) if record.is_live(now) => Ok(Some(record)),
            Ok(Some(record)) => {
                self.shared.events.expired(&record, now);
                Ok(None)
            }
            Ok(None) => {
                self.shared.events.refused(Refusal::Unknown, now);
                Ok(None)
            }
            Err(error @ StoreError::Corrupt(_)) => self.unreadable(key, error, now),
            Err(error) => Err(error.into()),
        }
    }

    fn unreadable(&self, key: &Key, error: StoreError, now: Timestamp) -> Result<Option<Arc<Record>>, Error> {
        self.shared.events.corrupt(key.id(), &error, now);
        match self.shared.on_corrupt {
            OnCorrupt::StartAnew => Ok(None),
            OnCorrupt::Refuse => Err(error.into()),
        }
    }

    /// What the store has under a key, within the deadline of a call.
    pub(crate) async fn fetch(&self, key: &Key, now: Timestamp) -> Result<Option<Arc<Record>>, StoreError> {
        // `(*store)`, or the forwarding implementation of `Arc` would box the call twice.
        let call = (*self.shared.store).load(key, now);
        self.in_time(call)
            .await
            .unwrap_or_else(|Elapsed| Err(StoreError::unavailable(DeadlinePassed)))
            .inspect_err(|error| self.shared.events.store_failed(error, now))
    }

    /// One call of the store, within its deadline.
    pub(crate) async fn in_time<F: Future + Unpin>(&self, call: F) -> Result<F::Output, Elapsed> {
        within(&*self.shared.clock, self.shared.deadlines.call, call).await
    }

    /// The key that a token names, and what it proves; `None` for one that is not ours.
    fn read(&self, token: &str) -> Option<(Key, Option<Presented>)> {
        match self.rules().capability {
            Capability::Server => {
                let presented = self.shared.tokens.read(token)?;
                Some((Key::Id(presented.id), Some(presented)))
            }
            Capability::Client { .. } => {
                let fits = !token.is_empty() && token.len() <= self.rules().max_token;
                let base64url = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
                let scope = self.rules().scope.clone();
                (fits && token.bytes().all(base64url)).then(|| {
                    let token = ByteString::from(token);
                    (Key::Sealed { scope, token }, None)
                })
            }
        }
    }
}

/// The cause of a store error that is a deadline.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the store did not answer within its deadline")]
pub(crate) struct DeadlinePassed;

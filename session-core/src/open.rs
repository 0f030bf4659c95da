//! From the tokens of a request to its session.

use std::sync::Arc;

use bytestring::ByteString;

use crate::builder::OnCorrupt;
use crate::clock::{Elapsed, within};
use crate::event::{self, Refusal};
use crate::intent::RENEWAL_GRACE;
use crate::manager::SessionManager;
use crate::state::{Base, State};
use crate::token::Presented;
use crate::{Capability, Error, Key, Record, Session, StoreError, Timestamp};

/// So many tokens of one request that are ours by form and MAC are looked up.
const MOST_TOKENS: usize = 4;

/// What one token opens.
enum Found {
    Live(Base),
    /// A renewal has just put another token in its place.
    Retired,
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
        let mut retired = false;
        let mut ambiguous = false;
        let mut tried = 0;
        for (at, token) in tokens.iter().enumerate() {
            if tokens[..at].contains(token) {
                continue;
            }
            let Some((key, presented)) = self.read(token) else {
                self.shared.provoked.refused(Refusal::Malformed, now);
                continue;
            };
            if tried == MOST_TOKENS {
                self.shared.provoked.refused(Refusal::TooMany, now);
                break;
            }
            tried += 1;
            match self.find(key, presented, now).await? {
                Found::Live(base) => match &live {
                    Some(other) => ambiguous |= other.record.id != base.record.id,
                    None => live = Some(base),
                },
                Found::Retired => retired = true,
                Found::Nothing => {}
            }
        }
        if ambiguous {
            self.shared.provoked.ambiguous(now);
            live = None;
        }
        let muted = retired && live.is_none();
        Ok(Session::new(self.clone(), State::opened(live, muted)))
    }

    async fn find(&self, key: Key, presented: Option<Presented>, now: Timestamp) -> Result<Found, Error> {
        let Some(record) = self.load(&key, now).await? else {
            self.shared.provoked.refused(Refusal::Unknown, now);
            return Ok(Found::Nothing);
        };
        if record.scope() != self.scope() {
            self.shared.provoked.refused(Refusal::Scope, now);
            return Ok(Found::Nothing);
        }
        let mut base = Base {
            key,
            record,
            secret: None,
            held: true,
            old_key: false,
            stale: false,
        };
        let Some(presented) = presented else {
            return Ok(Found::Live(base));
        };
        Ok(match standing(&base.record, &presented, now) {
            Standing::Accepted => {
                base.secret = Some(presented.secret);
                base.old_key = presented.old_key;
                Found::Live(base)
            }
            Standing::JustRetired => {
                self.shared.provoked.retired(base.record.id, now);
                Found::Retired
            }
            Standing::Stranger => {
                self.shared.provoked.refused(Refusal::Unknown, now);
                Found::Nothing
            }
        })
    }

    /// The live record of a key. Whatever the store does, what has expired is not live.
    async fn load(&self, key: &Key, now: Timestamp) -> Result<Option<Arc<Record>>, Error> {
        let loaded = self.fetch(key, now).await;
        match loaded {
            Ok(Some(record)) if key.id().is_some_and(|id| id != record.id) => {
                let id = record.id.short();
                self.unreadable(
                    StoreError::corrupt(format!("the record is that of session {id}")),
                    now,
                )
            }
            Ok(Some(record)) if record.is_live(now) => Ok(Some(record)),
            Ok(Some(record)) => {
                event::expired(record.id);
                Ok(None)
            }
            Ok(None) => Ok(None),
            Err(error @ StoreError::Corrupt(_)) => self.unreadable(error, now),
            Err(error) => Err(error.into()),
        }
    }

    fn unreadable(&self, error: StoreError, now: Timestamp) -> Result<Option<Arc<Record>>, Error> {
        self.shared.provoked.corrupt(&error, now);
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
            .inspect_err(|error| self.shared.provoked.store_failed(error, now))
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

/// What a record says of a token.
enum Standing {
    Accepted,
    JustRetired,
    Stranger,
}

fn standing(record: &Record, presented: &Presented, now: Timestamp) -> Standing {
    let Some(token) = record.token(&presented.secret.hash()) else {
        return Standing::Stranger;
    };
    match token.retired {
        None if token.epoch == record.epoch => Standing::Accepted,
        Some(since) if now.since(since) < RENEWAL_GRACE => Standing::JustRetired,
        _ => Standing::Stranger,
    }
}

/// The cause of a store error that is a deadline.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the store did not answer within its deadline")]
pub(crate) struct DeadlinePassed;

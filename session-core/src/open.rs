//! From the tokens of a request to its session.

use std::sync::Arc;

use bytestring::ByteString;

use crate::base::Base;
use crate::builder::OnCorrupt;
use crate::event::{Refusal, Who};
use crate::in_time::InTime;
use crate::manager::SessionManager;
use crate::rotation::{Standing, Upkeep, standing};
use crate::state::State;
use crate::token::Presented;
use crate::{
    Capability, Changes, Error, Key, Metadata, Record, Session, StoreError, Timestamp, Update, Updated,
};

/// Attempts to void the tokens of a session that others write to.
const MOST_CLOSINGS: u32 = 16;
/// So many tokens of one request that are ours by form and MAC are looked up.
const MOST_TOKENS: usize = 4;

/// Looks at all characters, without leaving off at one that is wrong: so the compiler takes many at once.
fn is_base64url(text: &str) -> bool {
    text.bytes().fold(true, |all, byte| {
        let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
        let digit = byte.wrapping_sub(b'0') < 10;
        all & (letter | digit | (byte == b'-') | (byte == b'_'))
    })
}

/// What one token opens.
enum Found {
    Live(Base),
    /// Another token has just taken its place: the request is answered as anonymous, and stores nothing.
    Replaced,
    /// It was rotated away, and its overlap is over.
    Reused(Arc<Record>),
    Nothing,
}

/// What a store answers to a load.
type Loaded = Result<Option<Arc<Record>>, StoreError>;

/// What the tokens of a request open together.
#[derive(Default)]
struct Opened {
    live: Option<Base>,
    replaced: bool,
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
        let sealed = self.rules().is_sealed() && !tokens.is_empty();
        let opened = match tokens {
            [] => Opened::default(),
            [token] => self.open_one(token, now).await?,
            // They come from planted cookies: handlers' futures need no room for that.
            _ => Box::pin(self.open_any(tokens, now)).await?,
        };
        if let Some(base) = &opened.live {
            self.shared.events.loaded(&base.record, now);
        }
        let muted = opened.replaced && opened.live.is_none();
        let unopened = sealed && opened.live.is_none();
        let mut state = State::opened(opened.live, muted);
        state.unopened = unopened;
        Ok(Session::new(self.clone(), state))
    }

    async fn open_one(&self, token: &str, now: Timestamp) -> Result<Opened, Error> {
        let Some((key, presented)) = self.read(token, now) else {
            return Ok(Opened::default());
        };
        // Not by `load`, whose future holds more: this one lies in that of every handler.
        let answer = self.ask(&key, now).await;
        let record = self.readable(&key, answer, now)?;
        match self.find(key, presented, record, now) {
            Found::Live(base) => Ok(Opened {
                live: Some(base),
                replaced: false,
            }),
            Found::Replaced => Ok(Opened {
                live: None,
                replaced: true,
            }),
            Found::Reused(record) => {
                Box::pin(self.reused(&record, now)).await?;
                Ok(Opened::default())
            }
            Found::Nothing => Ok(Opened::default()),
        }
    }

    async fn open_any(&self, tokens: &[&str], now: Timestamp) -> Result<Opened, Error> {
        let mut opened = Opened::default();
        let live = &mut opened.live;
        let mut reused: Vec<Arc<Record>> = Vec::new();
        let mut ambiguous = false;
        let mut tried = 0;
        for (at, token) in tokens.iter().enumerate() {
            if tokens[..at].contains(token) {
                continue;
            }
            let Some((key, presented)) = self.read(token, now) else {
                continue;
            };
            if tried == MOST_TOKENS {
                self.shared.events.refused(Refusal::TooMany, now);
                break;
            }
            tried += 1;
            let record = self.load(&key, now).await?;
            match self.find(key, presented, record, now) {
                Found::Live(base) => match live {
                    Some(other) if other.record.id != base.record.id => ambiguous = true,
                    // Of two tokens of one session the client goes on with the one that is not superseded.
                    Some(other) if other.upkeep.superseded => *live = Some(base),
                    Some(_) => {}
                    None => *live = Some(base),
                },
                Found::Reused(record) => reused.push(record),
                Found::Replaced => opened.replaced = true,
                Found::Nothing => {}
            }
        }
        for record in reused.iter().filter(|_| live.is_none()) {
            self.reused(record, now).await?;
        }
        if ambiguous {
            self.shared.events.refused(Refusal::Ambiguous, now);
            *live = None;
        }
        Ok(opened)
    }

    /// A rotated token came back, and no other one: somebody has a copy.
    async fn reused(&self, record: &Arc<Record>, now: Timestamp) -> Result<(), Error> {
        let revokes = self.shared.on_reuse.revokes();
        self.shared.events.reused(record, revokes, now);
        if revokes && self.close_epoch(record, now).await? {
            self.delete(&Key::Id(record.id), &Who::of(record)).await?;
            let principal = record.principal();
            let reason = "a rotated token came back";
            self.shared.events.revoked(record.id, principal, reason, now);
        }
        Ok(())
    }

    /// Voids every token of the epoch of `record`, so that the session can be deleted as it was judged: a sign-in that was
    /// faster has begun an epoch of its own, and stays. Whether there is anything to delete.
    async fn close_epoch(&self, record: &Arc<Record>, now: Timestamp) -> Result<bool, Error> {
        let mut current = Arc::clone(record);
        for _ in 0..MOST_CLOSINGS {
            let changes = Changes::new().with_metadata(Metadata::Replaced);
            let mut closed = changes.apply(&current);
            closed.epoch = closed.epoch.saturating_add(1);
            closed.tokens.clear();
            let update = Update {
                record: &Arc::new(closed),
                changes: &changes,
                epoch: current.epoch,
                expected: Some(current.version),
                limits: &self.rules().limits,
            };
            let key = Key::Id(record.id);
            let call = (*self.shared.store).update(&key, update, now);
            let updated = self.in_time(call, StoreError::outcome_unknown).await;
            let fresh = match self.noted(updated, now)? {
                Updated::Saved { .. } => return Ok(true),
                Updated::Gone => return Ok(false),
                Updated::Conflict(Some(fresh)) => Some(fresh),
                Updated::Conflict(None) => self.fetch(&key, now).await?,
            };
            match fresh {
                Some(fresh) if fresh.epoch == record.epoch => current = fresh,
                _ => return Ok(false),
            }
        }
        Err(Error::Contended)
    }

    /// What a token opens, given what the store has under its key.
    fn find(
        &self,
        key: Key,
        presented: Option<Presented>,
        record: Option<Arc<Record>>,
        now: Timestamp,
    ) -> Found {
        let Some(record) = record else {
            self.shared.events.refused(Refusal::Unknown, now);
            return Found::Nothing;
        };
        if record.scope() != self.scope() {
            self.shared.events.refused_by(&record, Refusal::Scope, now);
            return Found::Nothing;
        }
        let standing = presented
            .as_ref()
            .map(|presented| standing(&record, presented, now, &self.rules().rotation));
        if !record.is_live(now) {
            match standing {
                Some(Standing::Stranger) => self.shared.events.refused(Refusal::Unknown, now),
                _ => self.shared.events.expired(&record, now),
            }
            return Found::Nothing;
        }
        let refused = |refusal, found| {
            self.shared.events.refused_by(&record, refusal, now);
            found
        };
        let upkeep = match standing {
            None => Upkeep::default(),
            Some(Standing::Accepted(upkeep)) => upkeep,
            Some(Standing::Reused) => return Found::Reused(record),
            Some(Standing::Renewed) => return refused(Refusal::Renewed, Found::Replaced),
            Some(Standing::Surplus) => return refused(Refusal::Surplus, Found::Replaced),
            Some(Standing::Former) => return refused(Refusal::Former, Found::Nothing),
            Some(Standing::Stranger) => return refused(Refusal::Unknown, Found::Nothing),
        };
        Found::Live(Base {
            key,
            record,
            held: true,
            old_key: presented.as_ref().is_some_and(|presented| presented.old_key),
            presented: presented.is_some(),
            secret: presented.map(|presented| presented.secret),
            stale: false,
            upkeep,
        })
    }

    /// The record of a key, expired or not.
    async fn load(&self, key: &Key, now: Timestamp) -> Result<Option<Arc<Record>>, Error> {
        let answer = self.ask(key, now).await;
        self.readable(key, answer, now)
    }

    /// What can be used of the store's answer.
    fn readable(&self, key: &Key, answer: Loaded, now: Timestamp) -> Result<Option<Arc<Record>>, Error> {
        match self.noted(answer, now) {
            Ok(Some(record)) if key.id().is_some_and(|id| id != record.id) => {
                let id = record.id.short();
                let error = StoreError::corrupt(format!("the record is that of session {id}"));
                self.unreadable(key, error, now)
            }
            Err(error @ StoreError::Corrupt(_)) => self.unreadable(key, error, now),
            loaded => Ok(loaded?),
        }
    }

    fn unreadable(&self, key: &Key, error: StoreError, now: Timestamp) -> Result<Option<Arc<Record>>, Error> {
        self.shared.events.corrupt(key.id(), None, &error, now);
        match self.shared.on_corrupt {
            OnCorrupt::StartAnew => Ok(None),
            OnCorrupt::Refuse => Err(error.into()),
        }
    }

    /// What the store has under a key, within the deadline of a call.
    pub(crate) async fn fetch(&self, key: &Key, now: Timestamp) -> Loaded {
        let answer = self.ask(key, now).await;
        self.noted(answer, now)
    }

    fn ask<'a>(&'a self, key: &'a Key, now: Timestamp) -> InTime<'a, impl Future<Output = Loaded> + Unpin> {
        // `(*store)`, or the forwarding implementation of `Arc` would box the call twice.
        let call = (*self.shared.store).load(key, now);
        self.in_time(call, StoreError::unavailable)
    }

    /// The store's answer, once the application has heard of a failure.
    pub(crate) fn noted<T>(&self, answer: Result<T, StoreError>, now: Timestamp) -> Result<T, StoreError> {
        answer.inspect_err(|error| self.shared.events.store_failed(error, now))
    }

    /// The key that a token names, and what it proves; `None` for one that is not ours.
    fn read(&self, token: &str, now: Timestamp) -> Option<(Key, Option<Presented>)> {
        let read = self.parse(token);
        if read.is_none() {
            self.shared.events.refused(Refusal::Malformed, now);
        }
        read
    }

    fn parse(&self, token: &str) -> Option<(Key, Option<Presented>)> {
        match self.rules().capability {
            Capability::Server => {
                let presented = self.shared.tokens.read(token)?;
                Some((Key::Id(presented.id), Some(presented)))
            }
            Capability::Client { .. } => {
                let fits = !token.is_empty() && token.len() <= self.rules().max_token;
                let scope = self.rules().scope.clone();
                (fits && is_base64url(token)).then(|| {
                    let token = ByteString::from(token);
                    (Key::Sealed { scope, token }, None)
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_of_base64url_and_no_others() {
        for character in (0..=u8::MAX).map(char::from) {
            let plain = character.is_ascii_alphanumeric() || "-_".contains(character);
            assert_eq!(is_base64url(&format!("a{character}b")), plain, "{character:?}");
        }
        let long = "Az09-_".repeat(200);
        assert!(is_base64url(&long) && !is_base64url(&format!("{long}={long}")));
    }
}

//! From the tokens of a request to its session.

use std::sync::Arc;

use bytestring::ByteString;
use smallvec::SmallVec;

use crate::error::Error;
use crate::event::Refusal;
use crate::manager::SessionManager;
use crate::record::{LATE, REMEMBERED, Record, TokenMaintenance, Verdict};
use crate::session::Session;
use crate::session::seed_of;
use crate::state::Barred;
use crate::state::State;
use crate::state::Stored;
use crate::store::{Capability, Key};
use crate::time::Timestamp;
use crate::token::Presented;

/// So many tokens of one request that are ours by form and MAC are looked up.
const MOST_TOKENS: usize = 4;

/// Looks at all characters, without leaving off at one that is wrong: so the compiler takes many at
/// once.
fn is_base64url(text: &str) -> bool {
    text.bytes().fold(true, |all, byte| {
        let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
        let digit = byte.wrapping_sub(b'0') < 10;
        all & (letter | digit | (byte == b'-') | (byte == b'_'))
    })
}

/// What one token opens.
enum Found {
    Live(Stored),
    /// Its session was renewed, rotated or ended a moment ago, or since the request arrived: the
    /// request is answered as anonymous, and stores nothing.
    Barred,
    /// It was rotated away, and its overlap was over when the request arrived.
    Reused {
        record: Arc<Record>,
        /// That was a moment ago.
        barred: bool,
    },
    Expired,
    Nothing,
}

/// What the tokens of a request open together.
#[derive(Default)]
struct Opened {
    live: Option<Stored>,
    barred: Option<Box<Barred>>,
    /// What CSRF tokens are derived from where nothing is live.
    form_seed: Option<[u8; 16]>,
    /// One of the sessions has expired.
    expired: bool,
}

/// When a request arrived, and when it is judged.
#[derive(Clone, Copy)]
struct When {
    arrived: Timestamp,
    now: Timestamp,
}

impl When {
    /// What the request may have missed is not remembered.
    fn is_late(self) -> bool {
        self.now.since(self.arrived) >= LATE
    }
}

impl SessionManager {
    /// Opens the session of a request by the tokens that it presents: usually one, none for a
    /// new client. Each costs one call of the store; one that is not ours by form or MAC costs
    /// none.
    ///
    /// A token that opens nothing (unknown, expired, forged) is never adopted: the request goes on
    /// with a new session, stored under a new id if anything is inserted. Of several tokens up to
    /// four that are ours by form and MAC are tried; if they open different live sessions, the
    /// request is anonymous and stores nothing, because a neighbour may have planted one of them. A
    /// [`sign_in`](Session::sign_in) in such a request, or a [`destroy`](Session::destroy), ends
    /// them all, so that the client has a way back.
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
        self.open_at(tokens, self.now()).await
    }

    /// [`open`](Self::open) for a request that arrived earlier, as told by [`now`](Self::now) then:
    /// its head, say, and its body took a while. It is judged as of that time.
    ///
    /// A token that was good then is good now, unless the session has ended or was renewed since.
    /// If it has, or if it did within the minute before the request arrived, the request is
    /// anonymous, stores nothing and sends the client nothing, so that it cannot undo what has
    /// happened meanwhile; a [`sign_in`](Session::sign_in) lifts that.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # use session_core::{Directive, ManualClock, MemoryStore, SessionManager, Timestamp};
    /// # use std::time::Duration;
    /// # let clock = ManualClock::new(Timestamp::from_millis(0));
    /// let manager = SessionManager::builder(MemoryStore::new()).clock(clock.clone()).build().unwrap();
    /// let session = manager.open(&[]).await?;
    /// session.sign_in("user:42")?;
    /// let Directive::Hold(token) = manager.commit(&session).await? else { unreachable!() };
    ///
    /// let arrived = manager.now(); // an upload begins
    /// clock.advance(Duration::from_secs(20));
    /// manager.sign_out_everywhere("user:42").await?;
    /// let late = manager.open_at(&[token.as_str()], arrived).await?; // it is complete
    /// late.insert("upload", 1)?;
    /// assert_eq!(manager.commit(&late).await?, Directive::Nothing); // nobody is given another session
    /// # Ok::<_, session_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As `open`.
    pub async fn open_at(&self, tokens: &[&str], arrived: Timestamp) -> Result<Session, Error> {
        let now = self.now();
        let when = When {
            arrived: arrived.min(now),
            now,
        };
        let sealed = tokens.iter().any(|token| self.may_be_sealed(token));
        let opened = match tokens {
            [] => Opened::default(),
            [token] => self.open_one(token, &when).await?,
            // They come from planted cookies: handlers' futures need no room for that.
            _ => Box::pin(self.open_any(tokens, when)).await?,
        };
        if let Some(base) = &opened.live {
            self.shared.events.loaded(&base.record, when.now);
        }
        let unopened = sealed && opened.live.is_none() && !opened.expired;
        let mut state = State::opened(opened.live, opened.barred);
        state.unopened = unopened;
        state.form_seed = opened.form_seed;
        Ok(Session::new(self.clone(), state))
    }

    async fn open_one(&self, token: &str, when: &When) -> Result<Opened, Error> {
        let Some((key, presented)) = self.read(token, when.now) else {
            return Ok(Opened::default());
        };
        // Not by `load`, whose future holds more: this one lies in that of every handler.
        let answer = self.ask(&key, when.now).await;
        let record = self.readable(&key, answer, when.now)?;
        // Nothing but a flag is kept while a reuse is dealt with: every handler's future has room
        // for it.
        let barred = match self.find(key, presented, record, *when) {
            Found::Live(base) => {
                return Ok(Opened {
                    live: Some(base),
                    ..Opened::default()
                });
            }
            Found::Expired => {
                return Ok(Opened {
                    expired: true,
                    ..Opened::default()
                });
            }
            Found::Reused { record, barred } => {
                barred | Box::pin(self.reused(&record, when.now)).await?
            }
            Found::Barred => true,
            Found::Nothing => false,
        };
        Ok(Opened {
            barred: barred.then(Box::default),
            form_seed: self.form_seed(&[token], barred),
            ..Opened::default()
        })
    }

    async fn open_any(&self, tokens: &[&str], when: When) -> Result<Opened, Error> {
        let now = when.now;
        let mut live: Vec<Stored> = Vec::new();
        let mut reused: Vec<Arc<Record>> = Vec::new();
        let mut ours: SmallVec<[&str; MOST_TOKENS]> = SmallVec::new();
        let (mut barred, mut expired) = (false, false);
        for (at, token) in tokens.iter().enumerate() {
            if tokens[..at].contains(token) {
                continue;
            }
            let Some((key, presented)) = self.read(token, now) else {
                continue;
            };
            if ours.len() == MOST_TOKENS {
                self.shared.events.refused(Refusal::TooMany, now);
                break;
            }
            ours.push(token);
            let record = self.load(&key, now).await?;
            if record.is_none() && self.settings().is_sealed() {
                // Only what opens was sealed by us. To find that out asks nobody, so others do not
                // count.
                ours.pop();
            }
            match self.find(key, presented, record, when) {
                Found::Live(base) => match live
                    .iter_mut()
                    .find(|other| other.record.id == base.record.id)
                {
                    // Of two tokens of one session the client goes on with the one that is not
                    // superseded.
                    Some(other) if other.upkeep.is_superseded() => *other = base,
                    Some(_) => {}
                    None => live.push(base),
                },
                Found::Reused {
                    record,
                    barred: bars,
                } => {
                    barred |= bars;
                    reused.push(record);
                }
                Found::Barred => barred = true,
                Found::Expired => expired = true,
                Found::Nothing => {}
            }
        }
        if live.is_empty() {
            for record in &reused {
                barred |= self.reused(record, now).await?;
            }
        }
        if live.len() > 1 {
            self.shared.events.refused(Refusal::Ambiguous, now);
            return Ok(Opened {
                barred: Some(Box::new(Barred { rivals: live })),
                form_seed: self.form_seed(&ours, true),
                ..Opened::default()
            });
        }
        let live = live.pop();
        let barred = barred && live.is_none();
        let form_seed = self.form_seed(&ours, barred).filter(|_| live.is_none());
        Ok(Opened {
            live,
            barred: barred.then(Box::default),
            form_seed,
            expired,
        })
    }

    /// What CSRF tokens are derived from where these tokens open nothing. A sealed one is known to
    /// be ours only if it opens.
    fn form_seed(&self, tokens: &[&str], barred: bool) -> Option<[u8; 16]> {
        let ours = barred || !self.settings().is_sealed();
        (ours && !tokens.is_empty()).then(|| seed_of(tokens))
    }

    /// What a token opens, given what the store has under its key.
    fn find(
        &self,
        key: Key,
        presented: Option<Presented>,
        record: Option<Arc<Record>>,
        when: When,
    ) -> Found {
        let When { arrived, now } = when;
        let events = &self.shared.events;
        // What is not known may have been good when a late request arrived.
        let unknown = || {
            let (refusal, found) = match when.is_late() {
                true => (Refusal::Late, Found::Barred),
                false => (Refusal::Unknown, Found::Nothing),
            };
            events.refused(refusal, now);
            found
        };
        let Some(record) = record else {
            return unknown();
        };
        let refused = |refusal, found| {
            events.refused_by(&record, refusal, now);
            found
        };
        match record.ended() {
            Some(ended) if ended.concerns(arrived) => {
                return refused(Refusal::Ended(ended.reason), Found::Barred);
            }
            Some(_) => return unknown(),
            None => {}
        }
        if record.scope() != self.scope() {
            return refused(Refusal::Scope, Found::Nothing);
        }
        let verdict = presented.as_ref().map(|presented| {
            let rules = self.settings().rotation.rules_for(&record);
            let signed = presented.signature.map(|signature| signature.epoch);
            let hash = presented.secret.hash();
            record.tokens.judge(&hash, signed, arrived, now, &rules)
        });
        if !record.is_live(now) {
            return match verdict {
                Some(Verdict::Unknown) => unknown(),
                _ => {
                    events.expired(&record, now);
                    // Under way when it expired: somebody else may have signed in since.
                    match record.is_live(arrived) {
                        true => Found::Barred,
                        false => Found::Expired,
                    }
                }
            };
        }
        let upkeep = match verdict {
            None => TokenMaintenance::default(),
            Some(Verdict::Accepted(upkeep)) => upkeep,
            Some(Verdict::Reused(since)) => {
                let barred = since.is_some_and(|since| arrived.since(since) < REMEMBERED);
                return Found::Reused { record, barred };
            }
            Some(Verdict::Renewed) => return refused(Refusal::Renewed, Found::Barred),
            Some(Verdict::Surplus) => return refused(Refusal::Surplus, Found::Barred),
            Some(Verdict::Undecidable) => return refused(Refusal::Late, Found::Barred),
            Some(Verdict::Former) if when.is_late() => {
                return refused(Refusal::Late, Found::Barred);
            }
            Some(Verdict::Former) => return refused(Refusal::Former, Found::Nothing),
            Some(Verdict::Unknown) => return unknown(),
        };
        Found::Live(Stored {
            key,
            record,
            held: true,
            old_key: presented
                .as_ref()
                .and_then(|presented| presented.signature)
                .is_some_and(|signature| signature.old_key),
            presented: presented.is_some(),
            secret: presented.map(|presented| presented.secret),
            stale: false,
            upkeep,
        })
    }

    /// The key that a token names, and what it proves; `None` for one that is not ours.
    fn read(&self, token: &str, now: Timestamp) -> Option<(Key, Option<Presented>)> {
        let read = self.parse(token);
        if read.is_none() {
            self.shared.events.refused(Refusal::Malformed, now);
        }
        read
    }

    /// Whether a token that does not open may be a sealed session all the same: under another key,
    /// or in pieces.
    fn may_be_sealed(&self, token: &str) -> bool {
        match self.settings().capability {
            Capability::Server => false,
            Capability::Client { overhead, .. } => token.len() >= (overhead * 4).div_ceil(3),
        }
    }

    fn parse(&self, token: &str) -> Option<(Key, Option<Presented>)> {
        match self.settings().capability {
            Capability::Server => {
                let presented = self.shared.tokens.read(token)?;
                Some((Key::Id(presented.id), Some(presented)))
            }
            Capability::Client { .. } => {
                let fits = !token.is_empty() && token.len() <= self.settings().max_token;
                let scope = self.settings().scope.clone();
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
            assert_eq!(
                is_base64url(&format!("a{character}b")),
                plain,
                "{character:?}"
            );
        }
        let long = "Az09-_".repeat(200);
        assert!(is_base64url(&long) && !is_base64url(&format!("{long}={long}")));
    }
}

//! From the tokens of a request to its session.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::error::{SessionError, StoreError};
use crate::event::{Opened, Opening, Refusal, Spanned, open_span, record_session};
use crate::manager::SessionManager;
use crate::record::Record;
use crate::request::SessionGuard;
use crate::request::judge::{Arrival, NoProofs, Opens, Proofs};
use crate::session::{Session, seed_of};
use crate::settings::OnCorrupt;
use crate::state::{Current, DeletedBy, PendingDeletion, State, Stored};
use crate::time::Timestamp;

/// At most this many tokens of one request that are ours by form and MAC are looked up.
pub(super) const MOST_TOKENS: usize = 4;

/// What the tokens of a request open together.
#[derive(Default)]
struct Found {
    current: Current,
    /// What CSRF tokens are derived from where nothing is live.
    form_seed: Option<[u8; 16]>,
    /// One of the sessions has expired.
    expired: bool,
    /// Sessions that the client has a good token of, and cannot use.
    lost: Vec<PendingDeletion>,
}

impl Found {
    fn live(stored: Stored) -> Self {
        Self {
            current: Current::Stored(stored),
            ..Self::default()
        }
    }
}

impl SessionManager {
    /// Begins a request, and opens its session by the tokens that it presents.
    ///
    /// A request usually presents one token, or none if the client is new. Each token costs one
    /// store call. A token whose form or MAC shows that it is not ours costs none.
    /// [`SessionGuard::finish`] ends the request.
    ///
    /// A token that opens nothing (unknown, expired or forged) is never adopted: the request
    /// continues with a new session, which is stored under a new id if anything is inserted.
    ///
    /// If there are several tokens, up to four with the right form and MAC are tried. If they open
    /// different live sessions, the request is anonymous and stores nothing, because a neighbouring
    /// site may have planted one of them. So is a request with a token of a session that it cannot
    /// use (its values do not open, or the request has no proof of its device) beside a live one. A
    /// [`sign_in`](Session::sign_in) or a [`destroy`](Session::destroy) in such a request ends all
    /// these sessions, so that the client can start again. Only a session without proof stays,
    /// unless its own principal signs in.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{Directive, MemoryStore, Outcome, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// # let session = manager.begin(&[]).await?;
    /// # session.insert("cart", 3)?;
    /// # let directive = session.finish(Outcome::Success).await?;
    /// # let Directive::Hold(token) = directive else { unreachable!() };
    /// let known = manager.begin(&[token.as_str()]).await?;
    /// assert_eq!(known.get("cart")?, Some(3));
    ///
    /// let forged = manager.begin(&["not one of ours"]).await?;
    /// assert!(forged.is_new() && forged.is_empty());
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionError::Store`] if the store fails or does not answer within its
    /// [timeout](crate::Timeouts::call).
    pub async fn begin(&self, tokens: &[&str]) -> Result<SessionGuard, SessionError> {
        let now = self.now();
        let arrival = Arrival::new(now, now, NoProofs);
        self.begin_as_of(tokens, arrival).await
    }

    /// Begins a request that arrived earlier, for example because its body took a while.
    ///
    /// It does what [`begin`](Self::begin) does, but judges the request as of the time `arrived`.
    /// That is what [`now`](Self::now) returned when the head of the request arrived.
    ///
    /// A token that was valid at that time is valid now, unless the session has ended or was
    /// renewed since. If it has, or if that happened within the minute before the request arrived,
    /// the request is anonymous. It stores nothing and sends the client nothing, so that it cannot
    /// undo what has happened meanwhile. A [`sign_in`](Session::sign_in) lifts this restriction.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{
    /// #     Directive, ManualClock, MemoryStore, Outcome, SessionManager, Timestamp,
    /// # };
    /// # use std::time::Duration;
    /// # let clock = ManualClock::new(Timestamp::from_millis(0));
    /// let builder = SessionManager::builder(MemoryStore::new());
    /// let manager = builder.clock(clock.clone()).build().unwrap();
    /// let session = manager.begin(&[]).await?;
    /// session.sign_in("user:42")?;
    /// let directive = session.finish(Outcome::Success).await?;
    /// let Directive::Hold(token) = directive else { unreachable!() };
    ///
    /// let arrived = manager.now(); // an upload begins
    /// clock.advance(Duration::from_secs(20));
    /// manager.sign_out_everywhere("user:42").await?;
    /// let late = manager.begin_at(&[token.as_str()], arrived).await?; // it is complete
    /// late.insert("upload", 1)?;
    /// // Nobody is given another session.
    /// assert_eq!(late.finish(Outcome::Success).await?, Directive::Nothing);
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// The same as `begin`.
    pub async fn begin_at(
        &self,
        tokens: &[&str],
        arrived: Timestamp,
    ) -> Result<SessionGuard, SessionError> {
        let arrival = Arrival::new(arrived, self.now(), NoProofs);
        self.begin_as_of(tokens, arrival).await
    }

    /// Begins a request that has proofs of its device beside its tokens.
    ///
    /// It does what [`begin_at`](Self::begin_at) does, for sessions that may be
    /// [bound](crate::SessionManagerBuilder::bound) to a device. Up to four proofs are tried. A
    /// bound session that is begun in any other way has no proof.
    ///
    /// [`Session::bind_device_now`] has an example.
    ///
    /// # Errors
    ///
    /// The same as `begin`.
    pub async fn begin_with_proofs(
        &self,
        tokens: &[&str],
        proofs: &[&str],
        arrived: Timestamp,
    ) -> Result<SessionGuard, SessionError> {
        let arrival = Arrival::new(arrived, self.now(), proofs);
        self.begin_as_of(tokens, arrival).await
    }

    fn begin_as_of<P: Proofs>(
        &self,
        tokens: &[&str],
        arrival: Arrival<P>,
    ) -> impl Future<Output = Result<SessionGuard, SessionError>> {
        let begun = self.begin_in_span(tokens, arrival);
        Spanned::new(open_span(tokens.len()), begun, |span, begun| {
            let result = match begun {
                Ok(guard) => {
                    let id = guard.session().id();
                    record_session(span, id);
                    id.map_or("none", |_| "session")
                }
                Err(_) => "failed",
            };
            span.record("result", result);
        })
    }

    #[expect(
        clippy::manual_async_fn,
        reason = "the future of an `async fn` would hold its arguments twice"
    )]
    fn begin_in_span<P: Proofs>(
        &self,
        tokens: &[&str],
        arrival: Arrival<P>,
    ) -> impl Future<Output = Result<SessionGuard, SessionError>> {
        async move {
            let sealed = tokens.iter().any(|token| self.may_be_sealed(token));
            let opened = match tokens {
                [] => Ok(Found::default()),
                [token] => self.open_one(token, &arrival).await,
                // They come from planted cookies: handlers' futures need no room for that.
                _ => Box::pin(self.open_any(tokens, arrival)).await,
            };
            self.events().opened(&Opening::new(report(tokens, &opened)));
            let opened = opened?;
            let mut state = State::opened(opened.current);
            if let Some(record) = state.record() {
                self.events().loaded(record, arrival.now);
            }
            state.unopened = sealed && state.stored().is_none() && !opened.expired;
            state.form_seed = opened.form_seed;
            state.lost = opened.lost;
            Ok(SessionGuard::new(Session::new(self.clone(), state)))
        }
    }

    #[expect(
        clippy::manual_async_fn,
        reason = "the future of an `async fn` would hold its arguments twice"
    )]
    fn open_one<P: Proofs>(
        &self,
        token: &str,
        arrival: &Arrival<P>,
    ) -> impl Future<Output = Result<Found, SessionError>> {
        async move {
            let Some((key, presented)) = self.read(token, arrival.now) else {
                return Ok(Found::default());
            };
            let answer = self.calls().look(&key, arrival.now).await;
            let record = self.readable(answer)?;
            let (record, barred) = match self.judge(key, presented, record, *arrival) {
                Opens::Session(stored) => {
                    return Ok(match self.with_values(stored)? {
                        Ok(stored) => Found::live(stored),
                        Err(unreadable) => Found {
                            lost: vec![unreadable],
                            ..self.nothing_live(&[token], Current::New)
                        },
                    });
                }
                Opens::Expired => {
                    return Ok(Found {
                        expired: true,
                        ..Found::default()
                    });
                }
                Opens::Barred => return Ok(self.nothing_live(&[token], Current::barred())),
                Opens::Unproven(session) => {
                    return Ok(Found {
                        lost: vec![session],
                        ..self.nothing_live(&[token], Current::barred())
                    });
                }
                Opens::Nothing => return Ok(self.nothing_live(&[token], Current::New)),
                Opens::Reused { record, barred } => (record, barred),
            };
            let ends = Box::pin(self.reused(&record, arrival.now)).await?;
            Ok(self.nothing_live(&[token], Current::barred_if(barred || ends)))
        }
    }

    async fn open_any<P: Proofs>(
        &self,
        tokens: &[&str],
        arrival: Arrival<P>,
    ) -> Result<Found, SessionError> {
        let now = arrival.now;
        let mut live: Vec<Stored> = Vec::new();
        let mut reused: Vec<Arc<Record>> = Vec::new();
        let mut lost = Vec::new();
        let mut ours: SmallVec<[&str; MOST_TOKENS]> = SmallVec::new();
        let (mut accepted, mut barred, mut expired) = (false, false, false);
        for (at, token) in tokens.iter().enumerate() {
            if tokens[..at].contains(token) {
                continue;
            }
            let Some((key, presented)) = self.read(token, now) else {
                continue;
            };
            if ours.len() == MOST_TOKENS {
                self.events().refused(Refusal::TooManyTokens, now);
                break;
            }
            ours.push(token);
            let answer = self.calls().look(&key, now).await;
            let record = self.readable(answer)?;
            if record.is_none() && self.settings().is_sealed() {
                // Only what opens was sealed by us. To find that out asks nobody, so others do not
                // count.
                ours.pop();
            }
            match self.judge(key, presented, record, arrival) {
                Opens::Session(stored) => {
                    accepted = true;
                    match self.with_values(stored)? {
                        Ok(stored) => add(&mut live, stored),
                        Err(unreadable) => lost.push(unreadable),
                    }
                }
                Opens::Reused {
                    record,
                    barred: bars,
                } => {
                    barred |= bars;
                    reused.push(record);
                }
                Opens::Barred => barred = true,
                Opens::Unproven(session) => {
                    barred = true;
                    lost.push(session);
                }
                Opens::Expired => expired = true,
                Opens::Nothing => {}
            }
        }
        if !accepted {
            for record in &reused {
                barred |= self.reused(record, now).await?;
            }
        }
        // Another token may have opened it meanwhile.
        lost.retain(|lost| live.iter().all(|stored| stored.record.id != lost.who.id));
        // Beside a session that the client has a good token of and cannot use, another one may be
        // planted. Nobody can plant a proof.
        let is_own = |stored: &Stored| lost.is_empty() || self.has_proof(&stored.record, &arrival);
        if live.len() > 1 || !live.iter().all(is_own) {
            self.events().refused(Refusal::Ambiguous, now);
            return Ok(Found {
                lost,
                ..self.nothing_live(&ours, Current::Barred(live))
            });
        }
        let opened = match live.pop() {
            Some(stored) => Found::live(stored),
            None => self.nothing_live(&ours, Current::barred_if(barred)),
        };
        Ok(Found {
            expired,
            lost,
            ..opened
        })
    }

    /// What these tokens open, where none opens a live session.
    fn nothing_live(&self, tokens: &[&str], current: Current) -> Found {
        Found {
            form_seed: self.form_seed(tokens, &current),
            current,
            expired: false,
            lost: Vec::new(),
        }
    }

    /// The session with opened values, once its token was judged: a token that opens nothing learns
    /// nothing of them, and is judged even if they do not open. Such a session is lost to its
    /// client: it ends if its own principal signs in, or signs out.
    fn with_values(&self, stored: Stored) -> Result<Result<Stored, PendingDeletion>, SessionError> {
        let opened = self.calls().opened(&stored.key, Arc::clone(&stored.record));
        Ok(match self.readable(opened.map(Some))? {
            Some(record) => Ok(Stored { record, ..stored }),
            None => Err(stored.deletion(DeletedBy::SignIn)),
        })
    }

    /// What can be used of the store's answer to a load.
    pub(super) fn readable(
        &self,
        answer: Result<Option<Arc<Record>>, StoreError>,
    ) -> Result<Option<Arc<Record>>, SessionError> {
        let error = match answer {
            Err(error @ StoreError::Corrupt(_)) => error,
            answer => return Ok(answer?),
        };
        match self.settings().on_corrupt {
            OnCorrupt::StartEmpty => Ok(None),
            OnCorrupt::Refuse => Err(error.into()),
        }
    }

    /// What CSRF tokens are derived from where these tokens open nothing. A sealed one is known to
    /// be ours only if it opens.
    fn form_seed(&self, tokens: &[&str], current: &Current) -> Option<[u8; 16]> {
        let ours = matches!(current, Current::Barred(_)) || !self.settings().is_sealed();
        (ours && !tokens.is_empty()).then(|| seed_of(tokens))
    }
}

/// What observers are told of an opening.
fn report(tokens: &[&str], found: &Result<Found, SessionError>) -> Opened {
    match found {
        Err(_) => Opened::Failed,
        Ok(_) if tokens.is_empty() => Opened::NoToken,
        Ok(Found {
            current: Current::Stored(_),
            ..
        }) => Opened::Session,
        Ok(found) if !found.lost.is_empty() => Opened::Unusable,
        Ok(found) if found.expired => Opened::Expired,
        Ok(_) => Opened::Refused,
    }
}

/// Adds a session that a token has opened. Of two tokens of one session the client goes on with the
/// one that is not superseded.
fn add(live: &mut Vec<Stored>, stored: Stored) {
    match live
        .iter_mut()
        .find(|other| other.record.id == stored.record.id)
    {
        Some(other) if other.token.maintenance().is_superseded() => *other = stored,
        Some(_) => {}
        None => live.push(stored),
    }
}

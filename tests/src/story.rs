//! A client and its handlers, step by step, with a note of every id that was ever seen.

use std::collections::HashSet;
use std::sync::Arc;

use session_core::{Directive, ManualClock, Outcome, SessionGuard, SessionId, SessionManager};

use crate::{Backend, sim};

/// One step.
#[derive(Clone, Debug)]
pub enum Step {
    /// Inserts a number.
    Insert(u8),
    /// Removes everything.
    Clear,
    /// Ends the session.
    Destroy,
    /// Renews the token.
    Renew,
    /// Signs somebody in.
    SignIn(u8),
    /// Writes at once.
    Save,
    /// Ends the request well, and begins one with the newest token.
    Commit,
    /// Ends the request badly, and begins one with the newest token.
    Abort,
    /// Ends the request well, and begins one with a token from before.
    Old(u8),
    /// Ends the request well, and begins one with a token that somebody made up.
    Forged(u8),
    /// Ends the request well, and begins one without a token.
    None,
    /// Lets eleven seconds pass.
    Wait,
}

/// What a request was told at its end.
#[derive(Debug)]
pub struct Told {
    /// The words.
    pub directive: Directive,
    /// The id that the token names, if it was told to hold one.
    pub sent: Option<SessionId>,
    /// The id that the request loaded, if any.
    pub loaded: Option<SessionId>,
    /// The ids that the request's handler destroyed.
    pub destroyed: Vec<SessionId>,
    /// The ids that anybody had seen, or made up, before this request began.
    pub known: HashSet<SessionId>,
    /// Whether the handler destroyed a session and inserted afterwards.
    pub inserted_after_destroy: bool,
    /// Whether the request succeeded.
    pub committed: bool,
    /// What the session held at the end, as the handler saw it.
    pub seen: Vec<String>,
    /// What is stored under the token that was sent.
    pub stored: Vec<String>,
}

/// Plays the steps and returns what each request was told.
pub async fn play(backend: Backend, clock: Arc<ManualClock>, steps: &[Step]) -> Vec<Told> {
    let manager = SessionManager::builder(backend.store())
        .clock(Arc::clone(&clock))
        .build()
        .unwrap();
    let mut told = Vec::new();
    let mut known = HashSet::new();
    let mut tokens: Vec<String> = Vec::new();
    let mut request = Request::begin(&manager, None, &known).await;
    for step in steps {
        match step {
            Step::Wait => clock.advance(std::time::Duration::from_secs(11)),
            Step::Commit | Step::Abort | Step::Old(_) | Step::Forged(_) | Step::None => {
                let succeeds = !matches!(step, Step::Abort);
                told.push(
                    request
                        .end(&manager, succeeds, &mut known, &mut tokens)
                        .await,
                );
                let next = match step {
                    Step::Old(at) => tokens.get(usize::from(*at) % tokens.len().max(1)).cloned(),
                    Step::Forged(n) => Some(forge(*n, &mut known)),
                    Step::None => None,
                    _ => tokens.last().cloned(),
                };
                request = Request::begin(&manager, next.as_deref(), &known).await;
            }
            inside => request.step(inside).await,
        }
    }
    told.push(request.end(&manager, true, &mut known, &mut tokens).await);
    told
}

struct Request {
    session: SessionGuard,
    loaded: Option<SessionId>,
    destroyed: Vec<SessionId>,
    /// The ids of sessions that somebody else's signing in ends with the commit.
    replaced: Vec<SessionId>,
    known: HashSet<SessionId>,
    inserted_after_destroy: bool,
}

impl Request {
    async fn begin(
        manager: &SessionManager,
        token: Option<&str>,
        known: &HashSet<SessionId>,
    ) -> Self {
        let tokens: Vec<_> = token.into_iter().collect();
        let session = manager.begin(&tokens).await.unwrap();
        Self {
            loaded: session.id(),
            session,
            destroyed: Vec::new(),
            replaced: Vec::new(),
            known: known.clone(),
            inserted_after_destroy: false,
        }
    }

    async fn step(&mut self, step: &Step) {
        let session = &self.session;
        match step {
            Step::Insert(n) => {
                session.insert(&format!("k{}", n % 4), n).unwrap();
                self.inserted_after_destroy =
                    !self.destroyed.is_empty() || !self.replaced.is_empty();
            }
            Step::Clear => {
                session.clear();
                self.inserted_after_destroy = false;
            }
            Step::Destroy => {
                self.destroyed.extend(session.id());
                self.destroyed.append(&mut self.replaced);
                session.destroy().unwrap();
                self.inserted_after_destroy = false;
            }
            Step::Renew => session.renew().unwrap(),
            Step::SignIn(n) => {
                let before = session.id();
                session.sign_in(&format!("user:{}", n % 2)).unwrap();
                // Another principal's session ends, if the request succeeds.
                if session.id() != before {
                    self.replaced.extend(before);
                }
            }
            _ => {
                // A request whose token was just retired stores nothing.
                let _ = session.save().await;
            }
        }
    }

    async fn end(
        mut self,
        manager: &SessionManager,
        succeeds: bool,
        known: &mut HashSet<SessionId>,
        tokens: &mut Vec<String>,
    ) -> Told {
        let seen = self.session.keys();
        if succeeds {
            self.destroyed.append(&mut self.replaced);
        }
        let outcome = match succeeds {
            true => Outcome::Success,
            false => Outcome::Failure,
        };
        let directive = self.session.finish(outcome).await.unwrap();
        let (mut sent, mut stored) = (None, Vec::new());
        if let Directive::Hold(token) = &directive {
            let opened = manager.begin(&[token.as_str()]).await.unwrap();
            sent = opened.id();
            stored = opened.keys();
            assert!(sent.is_some(), "a token was sent that opens nothing");
            tokens.push(token.as_str().to_owned());
        }
        known.extend(sent);
        Told {
            directive,
            sent,
            loaded: self.loaded,
            destroyed: self.destroyed,
            known: self.known,
            inserted_after_destroy: self.inserted_after_destroy,
            committed: succeeds,
            seen,
            stored,
        }
    }
}

/// A token of the right form, whose id somebody chose.
fn forge(n: u8, known: &mut HashSet<SessionId>) -> String {
    let id = SessionId::from_bytes([n; 16]);
    known.insert(id);
    // 22 characters hold the id, and their last one also the first two bits of the secret.
    let mut token = id.encode();
    token.extend(std::iter::repeat_n('A', 43 - token.len()));
    token
}

/// A clock for a story.
pub fn clock() -> Arc<ManualClock> {
    ManualClock::new(sim::START)
}

//! A site: the sessions of a store, and requests that use them.

use std::sync::Arc;
use std::time::Duration;

use session_core::store::SessionStore;
use session_core::{Clock, Directive, ManualClock, Outcome, SessionManager, SystemClock, Timeouts};
use tokio::task::JoinSet;

use crate::{BoxError, User, next_visit, values};

/// How many sessions requests use in turn, so no server may have fewer.
pub const LEAST: u64 = 6_400;

/// How many requests are under way at once where times are taken, as in `tests/bench`.
pub const TASKS: usize = 64;

/// How many sessions are made at once to fill a server.
const MAKERS: u64 = 128;

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Read,
    Write,
    SignIn,
    SignOut,
}

/// A manager over a store. Its clock stands still, so no request writes its activity by itself.
#[derive(Clone)]
pub struct Site(SessionManager);

impl Site {
    pub fn new(store: impl SessionStore) -> Result<Self, BoxError> {
        // A disk that stalls for a moment is to cost time, and not to end the run.
        let timeouts = Timeouts::default().with_call(PATIENCE);
        let clock = ManualClock::new(SystemClock.now());
        let builder = SessionManager::builder(store);
        Ok(Self(builder.timeouts(timeouts).clock(clock).build()?))
    }

    /// Makes the sessions from one number to another, and returns the tokens of the first ones.
    pub async fn fill(&self, from: u64, to: u64) -> Result<Vec<String>, BoxError> {
        let mut makers = JoinSet::new();
        for maker in 0..MAKERS {
            let site = self.clone();
            makers.spawn(async move {
                let mut tokens = Vec::new();
                for number in (from + maker..to).step_by(MAKERS as usize) {
                    let token = site.sign_in(number).await?;
                    if number < from + LEAST {
                        tokens.push(token);
                    }
                }
                Ok::<_, BoxError>(tokens)
            });
        }
        let mut tokens = Vec::new();
        while let Some(made) = makers.join_next().await {
            tokens.extend(made??);
        }
        Ok(tokens)
    }

    /// Answers so many requests in so many tasks, each with sessions of its own.
    pub async fn answer(
        &self,
        kind: Kind,
        tokens: &Arc<[String]>,
        requests: usize,
        tasks: usize,
    ) -> Result<(), BoxError> {
        let mut running = JoinSet::new();
        for task in 0..tasks {
            let (site, tokens) = (self.clone(), Arc::clone(tokens));
            running.spawn(async move {
                let mine = tokens.iter().skip(task).step_by(tasks).cycle();
                for token in mine.take(requests / tasks) {
                    site.request(kind, token).await?;
                }
                Ok::<_, BoxError>(())
            });
        }
        while let Some(task) = running.join_next().await {
            task??;
        }
        Ok(())
    }

    async fn request(&self, kind: Kind, token: &str) -> Result<(), BoxError> {
        if kind == Kind::SignIn {
            // A principal that nobody has had yet.
            self.sign_in(next_visit() + FRESH).await?;
            return Ok(());
        }
        let session = self.0.begin(&[token]).await?;
        if session.is_new() {
            return Err("the session is gone".into());
        }
        match kind {
            Kind::Read => {
                session.get::<User>("user")?.ok_or("no user")?;
            }
            Kind::Write => session.insert("visits", next_visit())?,
            Kind::SignIn => {}
            Kind::SignOut => session.destroy()?,
        }
        session.finish(Outcome::Success).await?;
        Ok(())
    }

    /// A client without a session signs in, and stores eight values.
    async fn sign_in(&self, number: u64) -> Result<String, BoxError> {
        let session = self.0.begin(&[]).await?;
        macro_rules! insert {
            ($key:literal, $value:expr) => {
                session.insert($key, $value)?;
            };
        }
        values!(insert);
        session.sign_in(&format!("user:{number}"))?;
        match session.finish(Outcome::Success).await? {
            Directive::Hold(token) => Ok(token.as_str().to_owned()),
            other => Err(format!("a sign-in ended with {other:?}").into()),
        }
    }
}

/// For each call of a store.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Numbers of principals that signed in while requests were measured.
const FRESH: u64 = 1_000_000_000;

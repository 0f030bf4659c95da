//! One client that counts in a session of its own.

use std::time::Duration;

use session_core::store::StoreError;
use session_core::{Outcome, SessionError, SessionManager};

use crate::token_of;

const KEY: &str = "n";

/// What a writer knows of its sessions.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Writes that were acknowledged, in sessions that are still there.
    pub acknowledged: u64,
    /// Writes of which nobody knows, in the same.
    pub unknown: u64,
    /// Acknowledged writes in sessions that are gone.
    pub gone: u64,
}

/// Adds one to a number again and again, and keeps count.
#[derive(Debug)]
pub(super) struct Writer {
    manager: SessionManager,
    token: Option<String>,
    tally: Tally,
}

impl Writer {
    pub(super) const fn new(manager: SessionManager) -> Self {
        Self {
            manager,
            token: None,
            tally: Tally {
                acknowledged: 0,
                unknown: 0,
                gone: 0,
            },
        }
    }

    pub(super) fn token(&self) -> Option<String> {
        self.token.clone()
    }

    /// One request, which may fail as a store may; and then a pause, so that others get their turn.
    /// There are few of them, so that a fault meets writes under way.
    pub(super) async fn step(&mut self) {
        match self.request().await {
            Ok(()) => {
                self.tally.acknowledged += 1;
                if !self.tally.acknowledged.is_multiple_of(4) {
                    return;
                }
            }
            // That a session has gone shows when it is opened again.
            Err(SessionError::Store(StoreError::Unavailable(_)) | SessionError::Gone) => {}
            Err(SessionError::Store(StoreError::OutcomeUnknown(_))) => self.tally.unknown += 1,
            Err(other) => panic!("a request failed as none should: {other:?}"),
        }
        Self::pause().await;
    }

    async fn request(&mut self) -> Result<(), SessionError> {
        let token = self.token.as_deref();
        let session = self.manager.begin(token.as_slice()).await?;
        if session.is_new() {
            // An unknown creation told nobody of its token, so its session is never met again.
            self.token = None;
            self.tally.gone += self.tally.acknowledged;
            self.tally.acknowledged = 0;
            self.tally.unknown = 0;
        }
        session.update(KEY, |n: Option<u64>| n.unwrap_or(0) + 1)?;
        let told = session.finish(Outcome::Success).await?;
        if self.token.is_none() {
            self.token = Some(token_of(&told));
        }
        Ok(())
    }

    /// What is stored must be every acknowledged write once, and each unknown one once or not at
    /// all; says how many are missing.
    pub(super) async fn check(&mut self) -> (Tally, u64) {
        let token = self.token.clone();
        let mut tries = 0;
        let session = loop {
            match self.manager.begin(token.as_deref().as_slice()).await {
                Ok(session) => break session,
                Err(error) => assert!(tries < 500, "{error:?}"),
            }
            tries += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        if session.is_new() {
            self.tally.gone += std::mem::take(&mut self.tally.acknowledged);
            return (self.tally.clone(), 0);
        }
        let stored: u64 = session.get(KEY).unwrap().unwrap_or(0);
        let Tally {
            acknowledged,
            unknown,
            ..
        } = self.tally;
        assert!(
            stored <= acknowledged + unknown,
            "{stored} writes are there of {acknowledged} acknowledged and {unknown} unknown ones: \
             some were applied twice"
        );
        (self.tally.clone(), acknowledged.saturating_sub(stored))
    }

    /// Between requests.
    pub(super) async fn pause() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

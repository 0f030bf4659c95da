//! A client, with all that the servers have acknowledged to it.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use session_core::{Session, SessionId};
use session_tests::numbers;

/// The client of one session.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) id: SessionId,
    pub(crate) principal: Option<String>,
    token: Mutex<String>,
    /// Somebody is about to end the session; it has ended.
    pub(crate) ending: AtomicBool,
    pub(crate) ended: AtomicBool,
    /// Somebody is about to renew the token: those who hold an older one are strangers from then
    /// on.
    pub(crate) renewing: AtomicBool,
    added: AtomicU64,
    /// By key, what its only writer inserted last.
    own: Mutex<HashMap<String, u64>>,
    /// What anybody inserted under one key: when it began, when it was acknowledged, and the
    /// value.
    last: Mutex<Vec<(u64, u64, u64)>>,
}

impl Client {
    pub(crate) fn new(id: SessionId, principal: Option<String>, token: String) -> Self {
        Self {
            id,
            principal,
            token: Mutex::new(token),
            ending: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            renewing: AtomicBool::new(false),
            added: AtomicU64::new(0),
            own: Mutex::default(),
            last: Mutex::default(),
        }
    }

    pub(crate) fn token(&self) -> String {
        self.token.lock().unwrap().clone()
    }

    pub(crate) fn hold(&self, token: &str) {
        token.clone_into(&mut self.token.lock().unwrap());
    }

    /// Whether a request may find no session.
    pub(crate) fn may_be_a_stranger(&self) -> bool {
        self.ending.load(Ordering::SeqCst) || self.renewing.load(Ordering::SeqCst)
    }

    pub(crate) fn was_added(&self) {
        self.added.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn was_inserted(&self, key: &str, value: u64) {
        self.own.lock().unwrap().insert(key.to_owned(), value);
    }

    pub(crate) fn was_last(&self, begin: u64, end: u64, value: u64) {
        self.last.lock().unwrap().push((begin, end, value));
    }

    /// What this writer inserted last, if anything.
    pub(crate) fn inserted(&self, key: &str) -> Option<u64> {
        self.own.lock().unwrap().get(key).copied()
    }

    /// A session that lives holds all that was acknowledged, and nothing else.
    pub(crate) fn check(&self, session: &Session) {
        let mut stored = numbers(session);
        assert_eq!(
            stored.remove("n"),
            Some(self.added.load(Ordering::SeqCst)),
            "increments of {:?}",
            self.id
        );
        let last = self.last.lock().unwrap();
        match stored.remove("last") {
            None => assert!(last.is_empty(), "the last insert is lost"),
            Some(value) => {
                let (_, end, _) = *last.iter().find(|(.., other)| *other == value).unwrap();
                let after = last.iter().find(|(begin, ..)| *begin > end);
                assert_eq!(
                    after, None,
                    "inserted after {value} was acknowledged at {end}"
                );
            }
        }
        assert_eq!(
            stored.into_iter().collect::<HashMap<_, _>>(),
            *self.own.lock().unwrap()
        );
    }
}

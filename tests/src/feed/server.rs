//! What the nodes share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use session_core::store::{Record, RecordKey, SessionStore, StoreError, Tag};
use session_core::{ManualClock, SessionId, Timestamp};

use super::wire::{Message, Wire};

/// What is stored of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing.
    Absent,
    /// A record of this tag.
    Live(Option<Tag>),
    /// A mark.
    Ended,
}

impl Content {
    /// What somebody was shown.
    pub fn of(shown: Option<&Record>) -> Self {
        match shown {
            None => Self::Absent,
            Some(record) if record.ended().is_some() => Self::Ended,
            Some(record) => Self::Live(record.tag()),
        }
    }

    /// Whether a client is let in by it.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Live(_))
    }
}

/// A store that answers at once, and remembers what it held when. It tells each connection once of
/// a change of what was read there, as Redis does (`CLIENT TRACKING`).
#[derive(Debug)]
pub struct Server<S> {
    store: S,
    clock: Arc<ManualClock>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    past: HashMap<SessionId, Vec<(Timestamp, Content)>>,
    readers: HashMap<SessionId, Vec<Arc<Wire>>>,
}

impl<S: SessionStore> Server<S> {
    /// Around a store, with a memory of these sessions, none of which is there yet.
    pub fn new(store: S, ids: &[SessionId], clock: Arc<ManualClock>) -> Arc<Self> {
        let now = clock.now();
        let past = ids.iter().map(|id| (*id, vec![(now, Content::Absent)]));
        let state = State {
            past: past.collect(),
            readers: HashMap::new(),
        };
        Arc::new(Self {
            store,
            clock,
            state: Mutex::new(state),
        })
    }

    /// The store. What is written here is told once [`look`](Self::look) is called.
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// How often the session has changed so far.
    pub fn age(&self, id: SessionId) -> usize {
        self.state().past[&id].len() - 1
    }

    /// The change that was the last one at the end of this moment.
    pub fn age_at(&self, id: SessionId, at: Timestamp) -> usize {
        let state = self.state();
        let before = |change: &&(Timestamp, Content)| change.0 <= at;
        let count = state.past[&id].iter().take_while(before).count();
        count.saturating_sub(1)
    }

    /// Whether the session had this content after this many changes or later.
    pub fn had_since(&self, id: SessionId, age: usize, content: Content) -> bool {
        let state = self.state();
        state.past[&id][age..]
            .iter()
            .any(|(_, had)| *had == content)
    }

    /// What is stored of a session.
    pub fn content(&self, id: SessionId) -> Content {
        let key = RecordKey::Id(id);
        let found = self.store.load(&key, self.clock.now());
        Content::of(found.now_or_never().unwrap().unwrap().as_deref())
    }

    /// Notes what has changed, and tells all who have read it, except `but`. Returns what that one
    /// has to be told.
    pub fn look(&self, but: Option<&Arc<Wire>>) -> Vec<SessionId> {
        let now = self.clock.now();
        let mut own = Vec::new();
        let mut state = self.state();
        let State { past, readers } = &mut *state;
        for (id, past) in past.iter_mut() {
            let content = self.content(*id);
            if past.last().is_some_and(|last| last.1 == content) {
                continue;
            }
            past.push((now, content));
            for reader in readers.remove(id).into_iter().flatten() {
                match but.is_some_and(|but| but.id == reader.id) {
                    true => own.push(*id),
                    false => reader.tell(Message::Changed(*id)),
                }
            }
        }
        own
    }

    /// Forgets who has read what, as a server does that starts.
    pub fn forget_readers(&self) {
        self.state().readers.clear();
    }

    /// Carries out a call that has arrived on `wire`. The answer is sent before what the call has
    /// changed is told there.
    pub(super) fn serve<T: Send + 'static>(
        &self,
        wire: &Arc<Wire>,
        reads: Option<SessionId>,
        call: impl FnOnce(&S) -> Result<T, StoreError>,
        answer: impl FnOnce(Result<T, StoreError>) + Send + 'static,
    ) {
        if let Some(id) = reads.filter(|_| wire.tracks() && !wire.is_closed()) {
            let mut state = self.state();
            let readers = state.readers.entry(id).or_default();
            if readers.iter().all(|reader| reader.id != wire.id) {
                readers.push(Arc::clone(wire));
            }
        }
        let result = call(&self.store);
        let own = self.look(Some(wire));
        wire.tell(Message::Reply(Box::new(move || answer(result))));
        for id in own {
            wire.tell(Message::Changed(id));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Which sessions are watched, by how many, and what was last seen of each.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use crate::error::StoreError;
use crate::record::{Record, SessionId};
use crate::store::RecordKey;
use crate::time::{Sleep, Timestamp};

/// The sessions of a manager that somebody watches. An entry goes with its last watcher.
#[derive(Default)]
pub(crate) struct Watches {
    by_key: Mutex<HashMap<RecordKey, Entry>>,
    /// How many entries there are: all that a deletion looks at where nobody watches.
    ///
    /// A watcher is counted before its first look. So a deletion that sees no watcher was carried
    /// out before that look, which finds it.
    count: AtomicUsize,
}

struct Entry {
    watch: Arc<Watch>,
    watchers: usize,
}

impl Watches {
    /// Adds a watcher of the session of this key.
    pub(super) fn enter(&self, key: &RecordKey) -> Arc<Watch> {
        let mut by_key = self.lock();
        let entry = by_key.entry(key.clone()).or_insert_with(|| Entry {
            watch: Arc::default(),
            watchers: 0,
        });
        entry.watchers += 1;
        let watch = Arc::clone(&entry.watch);
        self.count.store(by_key.len(), Ordering::SeqCst);
        watch
    }

    /// Removes a watcher.
    pub(super) fn leave(&self, key: &RecordKey) {
        let mut by_key = self.lock();
        let is_last = by_key.get_mut(key).is_some_and(|entry| {
            entry.watchers -= 1;
            entry.watchers == 0
        });
        let removed = is_last.then(|| by_key.remove(key));
        self.count.store(by_key.len(), Ordering::SeqCst);
        drop(by_key);
        // It may have a call of the store in it, which is not dropped under the lock.
        drop(removed);
    }

    /// The session of this key has ended or was renewed: who watches it looks at once.
    pub(crate) fn changed(&self, key: &RecordKey) {
        if self.is_empty() {
            return;
        }
        let watch = self.lock().get(key).map(|entry| Arc::clone(&entry.watch));
        if let Some(watch) = watch {
            watch.look_again();
        }
    }

    /// The sessions of this principal have ended, except one.
    pub(crate) fn changed_of(&self, principal: &str, except: Option<SessionId>) {
        if self.is_empty() {
            return;
        }
        let watched: Vec<_> = self
            .lock()
            .iter()
            .filter(|(key, _)| except.is_none() || key.id() != except)
            .map(|(_, entry)| Arc::clone(&entry.watch))
            .collect();
        for watch in watched {
            if watch.may_be_of(principal) {
                watch.look_again();
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.count.load(Ordering::SeqCst) == 0
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RecordKey, Entry>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        assert_eq!(self.lock().len(), self.count.load(Ordering::SeqCst));
        self.lock().len()
    }
}

/// What the store had under a key.
#[derive(Clone)]
pub(crate) struct Look {
    pub(crate) record: Option<Arc<Record>>,
    /// The last live record that was seen, if this is not it.
    pub(crate) before: Option<Arc<Record>>,
    /// When the store was asked.
    pub(crate) at: Timestamp,
}

impl Look {
    /// The record, if the session is live.
    pub(crate) fn live(&self) -> Option<&Arc<Record>> {
        let live = |record: &&Arc<Record>| record.is_live(self.at) && record.ended().is_none();
        self.record.as_ref().filter(live)
    }
}

/// The call of a look, and when it was made.
pub(super) type Asking =
    Pin<Box<dyn Future<Output = (Result<Option<Arc<Record>>, StoreError>, Timestamp)> + Send>>;

/// What is done next. It is part of the watch and not of a watcher: each watcher that is polled
/// goes on with it, so none of them waits for one that is not polled, or was dropped.
#[derive(Default)]
pub(super) enum Step {
    /// The next poll asks the store.
    #[default]
    Due,
    /// The store has not answered yet.
    Asking(Asking),
    /// The next poll after this sleep asks the store.
    Asleep(Sleep),
}

/// One watched session.
#[derive(Default)]
pub(super) struct Watch {
    state: Mutex<State>,
    /// What the step wakes. It is apart from the step, or each would keep the other.
    pub(super) wakers: Arc<Wakers>,
}

#[derive(Default)]
struct State {
    seen: Option<Look>,
    /// How many looks there were.
    looks: u64,
    step: Step,
    /// A watcher is at it, in the middle of its poll.
    is_led: bool,
    /// Another one was polled meanwhile. It may have been woken for what the leader has not seen.
    is_passed_over: bool,
    /// Something has happened since the store was last asked.
    again: bool,
}

impl Watch {
    /// The latest look and its number, if it is not that of `looks`.
    pub(super) fn seen(&self, looks: u64) -> Option<(Look, u64)> {
        let state = self.lock();
        let seen = state.seen.as_ref().filter(|_| state.looks != looks);
        seen.map(|look| (look.clone(), state.looks))
    }

    /// Lets a watcher go on with the next step; none if another one is at it.
    pub(super) fn lead(&self) -> Option<Lead<'_>> {
        let mut state = self.lock();
        state.is_passed_over = std::mem::replace(&mut state.is_led, true);
        (!state.is_passed_over).then(|| Lead {
            watch: self,
            step: std::mem::take(&mut state.step),
        })
    }

    /// Whether another watcher was polled while this one led, which has to go on for it: it may
    /// never be polled again itself.
    pub(super) fn take_passed_over(&self) -> bool {
        std::mem::take(&mut self.lock().is_passed_over)
    }

    /// Takes note of what the store has.
    pub(super) fn saw(&self, record: Option<Arc<Record>>, at: Timestamp) {
        let mut state = self.lock();
        let before = state.seen.take();
        let before = before.and_then(|look| look.live().cloned().or(look.before));
        state.seen = Some(Look { record, before, at });
        state.looks += 1;
        drop(state);
        self.wakers.wake_all();
    }

    /// Whether something has happened since the store was last asked. It is asked now.
    pub(super) fn take_again(&self) -> bool {
        std::mem::take(&mut self.lock().again)
    }

    /// The store is asked now, or once more if it is being asked.
    fn look_again(&self) {
        self.lock().again = true;
        self.wakers.wake_all();
    }

    /// Whether it is a session of this principal, for all that is known.
    fn may_be_of(&self, principal: &str) -> bool {
        let state = self.lock();
        let record = state.seen.as_ref().and_then(Look::live);
        record.is_none_or(|record| record.principal() == Some(principal))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The next step, in the hands of a watcher. It is put back in any case: if a store panics, it is
/// asked again.
pub(super) struct Lead<'w> {
    watch: &'w Watch,
    step: Step,
}

impl Lead<'_> {
    pub(super) fn take(&mut self) -> Step {
        std::mem::take(&mut self.step)
    }

    pub(super) fn put(&mut self, step: Step) {
        self.step = step;
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        let mut state = self.watch.lock();
        state.step = self.take();
        state.is_led = false;
    }
}

/// Those that watch a session, each with its place.
#[derive(Default)]
pub(super) struct Wakers {
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    by_place: BTreeMap<u64, Waker>,
    places: u64,
}

impl Wakers {
    /// A place of its own for a watcher.
    pub(super) fn place(&self) -> u64 {
        let mut waiting = self.lock();
        waiting.places += 1;
        waiting.places
    }

    /// Whom to wake for this place. Wakers are not ours: they are dropped, as they are woken,
    /// without the lock.
    pub(super) fn set(&self, place: u64, waker: Waker) {
        let former = self.lock().by_place.insert(place, waker);
        drop(former);
    }

    pub(super) fn remove(&self, place: u64) {
        let former = self.lock().by_place.remove(&place);
        drop(former);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().by_place.len()
    }

    fn wake_all(&self) {
        let woken = std::mem::take(&mut self.lock().by_place);
        woken.into_values().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_all();
    }
}

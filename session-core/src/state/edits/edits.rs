//! What a request has changed and not yet saved.

use std::sync::Arc;

use bytestring::ByteString;

use crate::record::{Value, Values};
use crate::state::Size;
use crate::state::edits::{Entry, Mark, Removal, Replay, Start, Step, UpdateFn};
use crate::store::Changes;

/// Changes by key, on top of the values that are stored. Changes of different keys do not
/// see each other, so a log for each key says as much as one log of all.
#[derive(Clone, Default)]
pub(crate) struct Edits {
    /// The last change, so that a save can tell what came after it began.
    last: Mark,
    /// Stored keys without an entry are gone, since this change.
    cleared: Option<Mark>,
    /// Sorted by key.
    pub(super) entries: Vec<Entry>,
}

/// Whether the values that this request gave to keys are remembered once they are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnValues {
    /// Somebody may still sign in: where the session turns out to be gone, a new one gets them.
    Keep,
    /// Nobody can sign in any more.
    Forget,
}

/// Which changes a save took: those up to this one, and the removals among them.
#[derive(Clone, Default)]
pub(crate) struct Savepoint {
    pub(crate) mark: Mark,
    removals: Vec<Arc<Removal>>,
}

impl Savepoint {
    /// What a save took that is for the session to which the handler turned at `since`, and that
    /// leaves all changes to others.
    pub(crate) const fn of_nothing(since: Mark) -> Self {
        Self {
            mark: since,
            removals: Vec::new(),
        }
    }
}

impl Edits {
    /// The last change.
    pub(crate) fn last(&self) -> Mark {
        self.last
    }

    pub(super) fn next_mark(&mut self) -> Mark {
        self.last = self.last.next();
        self.last
    }

    /// Whether nothing of what is stored changes.
    pub(crate) fn is_empty(&self) -> bool {
        self.cleared.is_none() && self.entries.iter().all(Entry::is_idle)
    }

    /// Whether the request has given this key a value, or taken it away.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.position(key).is_ok()
    }

    /// Whether the request has given this key a value outright, whatever was there before.
    pub(crate) fn gave(&self, key: &str) -> bool {
        self.position(key).is_ok_and(|at| {
            let entry = &self.entries[at];
            entry.kept.is_some() || !matches!(entry.start, Start::Stored)
        })
    }

    /// The value that a handler sees, given the stored ones.
    pub(crate) fn view<'a>(&'a self, stored: Option<&'a Values>, key: &str) -> Option<&'a Value> {
        self.view_changed(stored, key).0
    }

    /// The value that a handler sees, and whether this request has changed it.
    pub(crate) fn view_changed<'a>(
        &'a self,
        stored: Option<&'a Values>,
        key: &str,
    ) -> (Option<&'a Value>, bool) {
        match self.active(key) {
            Some(entry) => (entry.current.as_ref(), true),
            None => (
                self.visible(stored).and_then(|values| values.get(key)),
                false,
            ),
        }
    }

    /// The stored values that show through.
    fn visible<'a>(&self, stored: Option<&'a Values>) -> Option<&'a Values> {
        stored.filter(|_| self.cleared.is_none())
    }

    /// All keys that a handler sees, sorted.
    pub(crate) fn keys(&self, stored: Option<&Values>) -> Vec<String> {
        let shown = self.visible(stored).into_iter().flat_map(Values::iter);
        let untouched = shown
            .filter(|(key, _)| self.active(key).is_none())
            .map(|(key, _)| key);
        let mine = self.changing().filter(|entry| entry.current.is_some());
        let mut keys: Vec<String> = untouched
            .chain(mine.map(|entry| &*entry.key))
            .map(str::to_owned)
            .collect();
        keys.sort_unstable();
        keys
    }

    /// The size of the entries that a handler sees.
    pub(crate) fn measure(&self, stored: Option<&Values>) -> Size {
        let visible = self.visible(stored);
        let mut size = visible.map(Size::of).unwrap_or_default();
        for entry in self.changing() {
            let key = &entry.key;
            size = size.without(key, visible.and_then(|values| values.get(key)));
            if let Some(new) = &entry.current {
                size = size.with(key, new);
            }
        }
        size
    }

    /// Sets a key, or removes it.
    pub(crate) fn set(&mut self, key: ByteString, value: Option<Value>) {
        let mark = self.next_mark();
        let entry = Entry {
            key,
            start: Start::Set,
            started: mark,
            then: Vec::new(),
            saving: 0,
            current: value,
            changed: mark,
            kept: None,
        };
        match self.position(&entry.key) {
            Ok(at) => self.entries[at] = entry,
            Err(at) => self.entries.insert(at, entry),
        }
    }

    /// Takes note that the request gave a key the value that is stored under it.
    pub(crate) fn keep(&mut self, key: ByteString, value: Value) {
        let mark = self.next_mark();
        match self.position(&key) {
            Ok(at) => self.entries[at].kept = Some(value),
            Err(at) => self
                .entries
                .insert(at, Entry::stored(key, mark, Some(value))),
        }
    }

    /// Adds a closure to a key's changes, and what came out of it.
    pub(crate) fn update(&mut self, key: ByteString, update: UpdateFn, result: Option<Value>) {
        self.add(key, Step::Update(update), result);
    }

    pub(super) fn add(&mut self, key: ByteString, step: Step, result: Option<Value>) {
        let mark = self.next_mark();
        let at = self.position(&key).unwrap_or_else(|at| {
            let mut entry = Entry::stored(key, mark, None);
            if self.cleared.is_some() {
                entry.start = Start::Cleared;
            }
            self.entries.insert(at, entry);
            at
        });
        if let Some(entry) = self.entries.get_mut(at) {
            entry.then.push(step);
            entry.current = result;
            entry.changed = mark;
        }
    }

    /// Removes every key.
    pub(crate) fn clear(&mut self) {
        self.cleared = Some(self.next_mark());
        self.entries.clear();
    }

    /// What is to be written over `stored`, without what is stored already.
    pub(crate) fn changes(&self, stored: &Values) -> Changes {
        if self.cleared.is_some() && self.restores(stored) {
            return Changes::new();
        }
        let differs = |entry: &&Entry| match self.cleared {
            Some(_) => entry.current.is_some(),
            None => !same(entry.current.as_ref(), stored.get(&entry.key)),
        };
        let mut changed = Vec::new();
        for entry in self.changing().filter(differs) {
            if changed.is_empty() {
                changed.reserve_exact(self.entries.len());
            }
            changed.push((entry.key.clone(), entry.current.clone()));
        }
        let changes = Changes::from_sorted(changed);
        match self.cleared {
            Some(_) => changes.clear(),
            None => changes,
        }
    }

    /// Whether the handler put back exactly what it had cleared.
    fn restores(&self, stored: &Values) -> bool {
        let mut stored = stored.iter();
        let mut mine = self
            .changing()
            .filter_map(|entry| Some((&*entry.key, entry.current.as_ref()?)));
        let restored = mine.all(|(key, value)| {
            stored.next().is_some_and(|(other, old)| {
                key == other && old.is_same(value.codec(), value.bytes())
            })
        });
        restored && stored.next().is_none()
    }

    /// The values of a session that is not stored yet.
    pub(crate) fn fresh(&self) -> Values {
        let mut sorted = Vec::with_capacity(self.entries.len());
        sorted.extend(
            self.entries
                .iter()
                .filter_map(|entry| Some((entry.key.clone(), entry.current.clone()?))),
        );
        Values::from_sorted(sorted)
    }

    /// Whether some value was computed from a stored one, which must then still be there.
    pub(crate) fn depends_on_stored(&self) -> bool {
        self.entries
            .iter()
            .any(|entry| matches!(entry.start, Start::Stored) && !entry.then.is_empty())
    }

    /// What a save that begins now takes.
    pub(crate) fn take(&mut self) -> Savepoint {
        for entry in &mut self.entries {
            entry.saving = entry.then.len();
        }
        let steps = self.entries.iter().flat_map(|entry| &entry.then);
        Savepoint {
            mark: self.last,
            removals: steps.filter_map(Step::removal).collect(),
        }
    }

    /// Takes note that this came out of what was saved; what came after it began stays, on top of
    /// it.
    pub(crate) fn acknowledge(
        &mut self,
        savepoint: &Savepoint,
        saved: &Values,
        own_values: OwnValues,
    ) {
        savepoint
            .removals
            .iter()
            .for_each(|removal| removal.acknowledge());
        let cleared = self.cleared.is_some_and(|mark| mark <= savepoint.mark);
        if cleared {
            self.cleared = None;
        }
        for entry in &mut self.entries {
            if entry.started <= savepoint.mark && !entry.is_idle() {
                let own = entry.kept.is_some() || !matches!(entry.start, Start::Stored);
                entry.kept = saved.get(&entry.key).filter(|_| own).cloned();
                entry.start = Start::Stored;
                entry.then.drain(..entry.saving);
            }
            if cleared && matches!(entry.start, Start::Cleared) {
                entry.start = Start::Stored; // the clear is stored, and others may write on it
            }
            entry.saving = 0;
        }
        self.entries.retain(|entry| {
            entry.changed > savepoint.mark
                || (own_values == OwnValues::Keep && entry.kept.is_some())
        });
    }

    /// Takes note that the stored session is gone: what this request put into it goes into a new
    /// one.
    pub(crate) fn start_over(&mut self) {
        for entry in self.entries.iter_mut().filter(|entry| entry.is_idle()) {
            entry.start = Start::Set;
            entry.current = entry.kept.take();
        }
    }

    /// The same changes as they were in `earlier`, after which this request made others.
    pub(crate) fn restore(&mut self, earlier: &Self) {
        let mark = self.next_mark(); // what a save took before is not what comes from now on
        self.clone_from(earlier);
        self.last = mark;
    }

    /// Forgets everything.
    pub(crate) fn reset(&mut self) {
        self.next_mark(); // what a save took before is not what comes from now on
        self.cleared = None;
        self.entries.clear();
    }

    /// Closures that must be computed anew on these stored values.
    pub(crate) fn replays(&self, stored: Option<&Values>) -> Vec<Replay> {
        self.entries
            .iter()
            .filter(|entry| matches!(entry.start, Start::Stored) && !entry.then.is_empty())
            .map(|entry| Replay {
                key: entry.key.clone(),
                changed: entry.changed,
                from: match stored {
                    Some(values) => values.get(&entry.key).cloned(),
                    None => entry.kept.clone(),
                },
                then: entry.then.clone(),
            })
            .collect()
    }

    /// Takes over what replays came to; `false` if the handler changed one of the keys
    /// meanwhile, and nothing was taken over.
    pub(crate) fn adopt(&mut self, replays: &[Replay], results: Vec<Option<Value>>) -> bool {
        let same = |replay: &Replay| {
            self.position(&replay.key)
                .is_ok_and(|at| self.entries[at].changed == replay.changed)
        };
        let due = self.replays(None).len();
        if due != replays.len() || !replays.iter().all(same) {
            return false;
        }
        for (replay, result) in replays.iter().zip(results) {
            if let Ok(at) = self.position(&replay.key) {
                self.entries[at].current = result;
            }
        }
        true
    }

    /// The entries that change what is stored.
    fn changing(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| !entry.is_idle())
    }

    pub(super) fn active(&self, key: &str) -> Option<&Entry> {
        let at = self.position(key).ok()?;
        Some(&self.entries[at]).filter(|entry| !entry.is_idle())
    }

    pub(super) fn position(&self, key: &str) -> Result<usize, usize> {
        self.entries.binary_search_by(|entry| (*entry.key).cmp(key))
    }
}

/// Whether it is the same value, or none, that is stored.
fn same(current: Option<&Value>, stored: Option<&Value>) -> bool {
    match (current, stored) {
        (Some(current), Some(stored)) => stored.is_same(current.codec(), current.bytes()),
        (None, None) => true,
        _ => false,
    }
}

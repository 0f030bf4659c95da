//! What a request has changed and not yet saved.

use std::sync::Arc;

use bytestring::ByteString;

use crate::arena::Arena;
use crate::values::entry_size;
use crate::{Changes, Codec, Error, Value, Values};

/// One application of a closure that [`Session::update`](crate::Session::update) was given.
pub(crate) type UpdateFn =
    Arc<dyn Fn(&str, Option<&Value>, Codec, &mut Arena) -> Result<Value, Error> + Send + Sync>;

/// Changes by key, on top of the values that are stored. Changes of different keys do not
/// see each other, so a log for each key says as much as one log of all.
#[derive(Default)]
pub(crate) struct Pending {
    /// Counts changes, so that a save can tell what came after it began.
    seq: u64,
    /// Stored keys without an entry are gone, since this change.
    cleared: Option<u64>,
    /// Sorted by key.
    entries: Vec<Entry>,
}

struct Entry {
    key: ByteString,
    start: Start,
    started: u64,
    /// Applied in this order to what the entry starts from.
    then: Vec<UpdateFn>,
    /// How many of those the save that runs has applied.
    saving: usize,
    /// What comes out of it on the values as last loaded.
    current: Option<Value>,
    changed: u64,
}

/// What a key's changes begin with.
enum Start {
    /// Whatever is stored when they are applied.
    Stored,
    /// Nothing, because this request cleared all keys.
    Cleared,
    /// A value that this request gave it, or took away.
    Set,
}

/// Which changes a save took: those up to this one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Taken(u64);

/// A key's closures with what they start from, to be computed outside of any lock.
pub(crate) struct Replay {
    key: ByteString,
    changed: u64,
    from: Option<Value>,
    then: Vec<UpdateFn>,
}

impl Pending {
    pub(crate) fn is_empty(&self) -> bool {
        self.cleared.is_none() && self.entries.is_empty()
    }

    /// Whether the request has changed this key.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.position(key).is_ok()
    }

    /// The value that a handler sees, given the stored ones.
    pub(crate) fn view<'a>(&'a self, stored: Option<&'a Values>, key: &str) -> Option<&'a Value> {
        match self.position(key) {
            Ok(at) => self.entries[at].current.as_ref(),
            Err(_) => self.visible(stored)?.get(key),
        }
    }

    /// Whether what a handler sees under `key` may come out otherwise in the end.
    pub(crate) fn is_provisional(&self, key: &str) -> bool {
        self.position(key)
            .is_ok_and(|at| !self.entries[at].then.is_empty())
    }

    /// The stored values that show through.
    fn visible<'a>(&self, stored: Option<&'a Values>) -> Option<&'a Values> {
        stored.filter(|_| self.cleared.is_none())
    }

    /// All keys that a handler sees, sorted.
    pub(crate) fn keys(&self, stored: Option<&Values>) -> Vec<String> {
        let shown = self.visible(stored).into_iter().flat_map(Values::iter);
        let untouched = shown
            .filter(|(key, _)| self.position(key).is_err())
            .map(|(key, _)| key);
        let mine = self.entries.iter().filter(|entry| entry.current.is_some());
        let mut keys: Vec<String> = untouched
            .chain(mine.map(|entry| &*entry.key))
            .map(str::to_owned)
            .collect();
        keys.sort_unstable();
        keys
    }

    /// Bytes and number of the entries that a handler sees.
    pub(crate) fn measure(&self, stored: Option<&Values>) -> (usize, usize) {
        let visible = self.visible(stored);
        let mut size = visible.map_or(0, Values::size);
        let mut count = visible.map_or(0, Values::len);
        for entry in &self.entries {
            if let Some(old) = visible.and_then(|values| values.get(&entry.key)) {
                size -= entry_size(&entry.key, old);
                count -= 1;
            }
            if let Some(new) = &entry.current {
                size += entry_size(&entry.key, new);
                count += 1;
            }
        }
        (size, count)
    }

    /// Sets a key, or removes it.
    pub(crate) fn set(&mut self, key: ByteString, value: Option<Value>) {
        self.seq += 1;
        let entry = Entry {
            key,
            start: Start::Set,
            started: self.seq,
            then: Vec::new(),
            saving: 0,
            current: value,
            changed: self.seq,
        };
        match self.position(&entry.key) {
            Ok(at) => self.entries[at] = entry,
            Err(at) => self.entries.insert(at, entry),
        }
    }

    /// Adds a closure to a key's changes, and what came out of it.
    pub(crate) fn update(&mut self, key: ByteString, update: UpdateFn, result: Value) {
        self.seq += 1;
        let seq = self.seq;
        let at = self.position(&key).unwrap_or_else(|at| {
            let start = match self.cleared {
                Some(_) => Start::Cleared,
                None => Start::Stored,
            };
            self.entries.insert(
                at,
                Entry {
                    key,
                    start,
                    started: seq,
                    then: Vec::new(),
                    saving: 0,
                    current: None,
                    changed: seq,
                },
            );
            at
        });
        if let Some(entry) = self.entries.get_mut(at) {
            entry.then.push(update);
            entry.current = Some(result);
            entry.changed = seq;
        }
    }

    /// Removes every key.
    pub(crate) fn clear(&mut self) {
        self.seq += 1;
        self.cleared = Some(self.seq);
        self.entries.clear();
    }

    /// What is to be written over `stored`, without what is stored already.
    pub(crate) fn changes(&self, stored: &Values) -> Changes {
        let differs = |entry: &&Entry| match self.cleared {
            Some(_) => entry.current.is_some(),
            None => entry.current.as_ref() != stored.get(&entry.key),
        };
        let count = self.entries.iter().filter(differs).count();
        let mut changed = Vec::with_capacity(count);
        changed.extend(
            self.entries
                .iter()
                .filter(differs)
                .map(|entry| (entry.key.clone(), entry.current.clone())),
        );
        let cleared = self.cleared.is_some() && !self.restores(stored);
        if self.cleared.is_some() && !cleared {
            changed.clear();
        }
        Changes::from_sorted(cleared, changed)
    }

    /// Whether the handler put back exactly what it had cleared.
    fn restores(&self, stored: &Values) -> bool {
        let mine = self
            .entries
            .iter()
            .filter_map(|entry| Some((&*entry.key, entry.current.as_ref()?)));
        mine.eq(stored.iter())
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
    pub(crate) fn take(&mut self) -> Taken {
        for entry in &mut self.entries {
            entry.saving = entry.then.len();
        }
        Taken(self.seq)
    }

    /// Forgets what was saved; what came after it began stays, on top of it.
    pub(crate) fn settle(&mut self, taken: &Taken) {
        let cleared = self.cleared.is_some_and(|seq| seq <= taken.0);
        if cleared {
            self.cleared = None;
        }
        self.entries.retain(|entry| entry.changed > taken.0);
        for entry in &mut self.entries {
            if cleared && matches!(entry.start, Start::Cleared) {
                entry.start = Start::Stored; // the clear is stored, and others may write on it
            }
            if entry.started <= taken.0 {
                entry.start = Start::Stored;
                entry.then.drain(..entry.saving);
            }
            entry.saving = 0;
        }
    }

    /// Forgets everything.
    pub(crate) fn reset(&mut self) {
        self.seq += 1; // what a save took before is not what comes from now on
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
                from: stored.and_then(|values| values.get(&entry.key)).cloned(),
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

    fn position(&self, key: &str) -> Result<usize, usize> {
        self.entries.binary_search_by(|entry| (*entry.key).cmp(key))
    }
}

impl Replay {
    /// Runs the closures; not under a lock, since they are the application's code.
    pub(crate) fn run(&self, codec: Codec, arena: &mut Arena) -> Result<Option<Value>, Error> {
        self.then.iter().try_fold(self.from.clone(), |value, update| {
            update(&self.key, value.as_ref(), codec, arena).map(Some)
        })
    }
}

#[cfg(test)]
mod tests;

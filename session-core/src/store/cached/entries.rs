//! A part of what a process holds: records under one lock, bounded by bytes.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Place;
use std::sync::Arc;

use super::lease::{Lease, Term};
use crate::record::{Record, SessionId, Tag};

/// What an entry takes besides its record's [`Record::size`]: the structures of the record and of
/// the cache, and the allocator's share. A test measures what it comes to.
const ENTRY: usize = 800;
/// The same for each value.
const VALUE: usize = 192;
/// What an entry takes that is a stub: its places in both structures where these have just grown.
const STUB: usize = 288;

/// What is known of one session.
struct Entry {
    known: Known,
    /// The term in which it was read, if the store reported changes.
    term: Option<Term>,
    /// The change that it came with, or that ended its lease.
    seq: u64,
    bytes: usize,
    /// It was found since the hand has passed.
    used: bool,
}

/// How much is known of its content.
#[derive(Clone)]
pub(super) enum Known {
    /// All. Others had not changed it when the store was last asked.
    Record(Arc<Record>),
    /// All. Others had changed it, and may do so again. A lease lets it be served until then.
    Contested(Arc<Record>),
    /// Which one it is. Others had changed it, and without a lease the next load reads it whole. A
    /// record would be of no use.
    Stub(Identity),
}

/// What tells a content from all others.
#[derive(Clone, Copy)]
pub(super) struct Identity {
    version: u64,
    tag: Option<Tag>,
}

impl Identity {
    pub(super) const fn of(record: &Record) -> Self {
        Self {
            version: record.version,
            tag: record.tag,
        }
    }

    /// Whether a record has this content. Without tags nobody knows.
    pub(super) fn is_of(self, record: &Record) -> bool {
        self.tag.is_some() && (self.version, self.tag) == (record.version, record.tag)
    }
}

impl Known {
    pub(super) const fn record(&self) -> Option<&Arc<Record>> {
        match self {
            Self::Record(record) | Self::Contested(record) => Some(record),
            Self::Stub(_) => None,
        }
    }

    pub(super) const fn is_contested(&self) -> bool {
        matches!(self, Self::Contested(_) | Self::Stub(_))
    }

    pub(super) fn identity(&self) -> Identity {
        match self {
            Self::Record(record) | Self::Contested(record) => Identity::of(record),
            Self::Stub(identity) => *identity,
        }
    }

    fn bytes(&self) -> usize {
        self.record().map_or(STUB, |record| {
            let values = record.values();
            let kept = VALUE * values.len() + record.size() + record.hidden;
            // What a manager opens of sealed values is kept with them, and is no longer than they.
            let opened = match values.any_sealed() {
                true => VALUE * values.len() + values.size() + record.hidden,
                false => 0,
            };
            ENTRY + kept + opened
        })
    }
}

/// The records of one part. Those that nobody uses leave first: a hand goes round, and takes what
/// was not found since it last came by (CLOCK, Corbató 1969).
#[derive(Default)]
pub(super) struct Entries {
    places: HashMap<SessionId, usize>,
    ring: Vec<(SessionId, Entry)>,
    hand: usize,
    bytes: usize,
    /// How many entries have records.
    records: usize,
    /// The number of the last change.
    seq: u64,
    /// That of the last change of what is not here.
    seq_of_others: u64,
    pub(super) lease: Lease,
}

impl Entries {
    pub(super) const fn records(&self) -> usize {
        self.records
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// What a load notes before it asks.
    pub(super) const fn seq(&self) -> u64 {
        self.seq
    }

    /// What is known of a session, and the term in which it was read, if the store reported
    /// changes.
    pub(super) fn find(&mut self, id: SessionId) -> Option<(Known, Option<Term>)> {
        let (_, entry) = &mut self.ring[*self.places.get(&id)?];
        entry.used = true;
        Some((entry.known.clone(), entry.term))
    }

    /// What is known of a session. That does not count as a use.
    pub(super) fn look(&self, id: SessionId) -> Option<&Known> {
        let at = *self.places.get(&id)?;
        Some(&self.ring[at].1.known)
    }

    /// Whether a record is here that is newer than what a load brings that noted `seq`.
    pub(super) fn is_newer(&self, id: SessionId, seq: u64) -> bool {
        self.places
            .get(&id)
            .is_some_and(|&at| self.ring[at].1.seq > seq)
    }

    /// Whether nothing was said of the session since a load noted `seq`.
    fn is_as_of(&self, id: SessionId, seq: u64) -> bool {
        let last = match self.places.get(&id) {
            Some(&at) => self.ring[at].1.seq,
            None => self.seq_of_others,
        };
        last <= seq
    }

    /// The term in which an answer may be served without asking. `asked_in` is the term in which
    /// the store was asked, when the counter was at `seq`.
    pub(super) fn term_for(&self, id: SessionId, seq: u64, asked_in: Option<Term>) -> Option<Term> {
        self.lease
            .still(asked_in)
            .filter(|_| self.is_as_of(id, seq))
    }

    /// The store has confirmed this content. It was asked in the term `asked_in`, when the counter
    /// was at `seq`. Returns what a record has replaced: the caller drops it when nothing is
    /// locked.
    pub(super) fn confirm(
        &mut self,
        record: &Arc<Record>,
        seq: u64,
        asked_in: Option<Term>,
        capacity: usize,
    ) -> Option<Known> {
        let (_, entry) = &mut self.ring[*self.places.get(&record.id)?];
        if entry.seq > seq || !entry.known.identity().is_of(record) {
            return None;
        }
        let term = self.lease.still(asked_in);
        if let Known::Record(_) = entry.known {
            entry.term = term;
            return None;
        }
        self.put(record.id, Known::Record(Arc::clone(record)), term, capacity)
    }

    /// Somebody wrote the session, or ended it: this process or another. Its lease ends, and
    /// whatever is under way is older. Returns what was known, unless it stays: the caller drops it
    /// when nothing is locked.
    pub(super) fn changed(&mut self, id: SessionId) -> Option<Known> {
        self.seq += 1;
        let Some(&at) = self.places.get(&id) else {
            self.seq_of_others = self.seq;
            return None;
        };
        let (_, entry) = &mut self.ring[at];
        (entry.term, entry.seq) = (None, self.seq);
        let stub = Known::Stub(entry.known.identity());
        let is_contested = entry.known.is_contested();
        is_contested.then(|| self.replace(at, stub))
    }

    /// Ends the leases of those that `concerns`, and of what is under way.
    pub(super) fn changed_where(&mut self, concerns: impl Fn(&Record) -> bool) {
        self.seq += 1;
        self.seq_of_others = self.seq;
        for (_, entry) in &mut self.ring {
            if entry.known.record().is_none_or(|record| concerns(record)) {
                (entry.term, entry.seq) = (None, self.seq);
            }
        }
    }

    /// Keeps what is known of a session, and makes room for it. `term` is set if the store reports
    /// its changes. Returns what was known of it before: the caller drops it when nothing is
    /// locked.
    pub(super) fn put(
        &mut self,
        id: SessionId,
        known: Known,
        term: Option<Term>,
        capacity: usize,
    ) -> Option<Known> {
        if known.bytes() > capacity {
            return self.remove(id);
        }
        let mut before = None;
        match self.places.entry(id) {
            Place::Occupied(place) => {
                let at = *place.get();
                let (_, entry) = &mut self.ring[at];
                (entry.term, entry.used) = (term, true);
                before = Some(self.replace(at, known));
            }
            Place::Vacant(place) => {
                place.insert(self.ring.len());
                let entry = Entry {
                    bytes: known.bytes(),
                    known,
                    term,
                    seq: self.seq_of_others,
                    used: false,
                };
                self.bytes += entry.bytes;
                self.records += usize::from(entry.known.record().is_some());
                self.ring.push((id, entry));
            }
        }
        while self.bytes > capacity {
            self.evict(id);
        }
        before
    }

    fn replace(&mut self, at: usize, known: Known) -> Known {
        let (_, entry) = &mut self.ring[at];
        let bytes = known.bytes();
        self.bytes = self.bytes - entry.bytes + bytes;
        self.records += usize::from(known.record().is_some());
        self.records -= usize::from(entry.known.record().is_some());
        entry.bytes = bytes;
        std::mem::replace(&mut entry.known, known)
    }

    /// Forgets a session, and returns what was known of it.
    pub(super) fn remove(&mut self, id: SessionId) -> Option<Known> {
        let at = *self.places.get(&id)?;
        Some(self.remove_at(at))
    }

    /// Removes one that was not used, and not the one that has just come.
    fn evict(&mut self, newest: SessionId) {
        loop {
            if self.hand >= self.ring.len() {
                self.hand = 0;
            }
            match self.ring.get_mut(self.hand) {
                None => return,
                Some((id, entry)) if entry.used || *id == newest => {
                    entry.used = false;
                    self.hand += 1;
                }
                Some(_) => {
                    self.remove_at(self.hand);
                    // The newest one is in its place now, and has a whole round.
                    self.hand += 1;
                    return;
                }
            }
        }
    }

    fn remove_at(&mut self, at: usize) -> Known {
        let (id, entry) = self.ring.swap_remove(at);
        self.places.remove(&id);
        self.bytes -= entry.bytes;
        self.records -= usize::from(entry.known.record().is_some());
        // Whoever asked before it was changed must not take it for unchanged now.
        self.seq_of_others = self.seq_of_others.max(entry.seq);
        if let Some((moved, _)) = self.ring.get(at) {
            self.places.insert(*moved, at);
        }
        // Many stubs may have left room that a few records do not need.
        if self.ring.len() < self.ring.capacity() / 2 {
            let room = self.ring.len() * 3 / 2;
            self.ring.shrink_to(room);
            self.places.shrink_to(room);
        }
        entry.known
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Lifetime;
    use crate::time::Timestamp;

    const CAPACITY: usize = 20 * STUB;

    fn id(n: u8) -> SessionId {
        SessionId::from_bytes([n; 16])
    }

    fn put(entries: &mut Entries, n: u8) {
        let record = Record::new(id(n), "id", Lifetime::default(), Timestamp::default());
        let stub = Known::Stub(Identity::of(&record));
        entries.put(id(n), stub, None, CAPACITY);
    }

    fn held(entries: &Entries) -> Vec<u8> {
        let all = (0..=u8::MAX).filter(|n| entries.look(id(*n)).is_some());
        all.collect()
    }

    #[test]
    fn what_nobody_uses_any_more_makes_room_for_what_comes() {
        let mut entries = Entries::default();
        for n in 0..20 {
            put(&mut entries, n);
            assert!(entries.find(id(n)).is_some());
        }
        // One is in use.
        for n in 20..100 {
            put(&mut entries, n);
            assert!(entries.find(id(7)).is_some());
        }
        let held = held(&entries);
        assert!(held.contains(&7), "{held:?}");
        let old = held.iter().filter(|n| **n < 60).count();
        assert_eq!((held.len(), old), (20, 1), "{held:?}");
    }

    #[test]
    fn sizes_and_numbers_are_those_of_what_is_held() {
        let mut entries = Entries::default();
        let record = |n: u8| {
            let record = Record::new(id(n), "id", Lifetime::default(), Timestamp::default());
            match n % 2 {
                0 => Known::Record(Arc::new(record)),
                _ => Known::Contested(Arc::new(record)),
            }
        };
        for n in 0..200_u8 {
            let id_of = id(n % 31);
            match n % 5 {
                0 | 1 => drop(entries.put(id_of, record(n % 31), None, CAPACITY)),
                2 => put(&mut entries, n % 31),
                3 => drop(entries.changed(id_of)),
                _ => drop(entries.remove(id_of)),
            }
            let all = || entries.ring.iter().map(|(_, entry)| entry);
            let bytes: usize = all().map(|entry| entry.known.bytes()).sum();
            let records = all().filter(|entry| entry.known.record().is_some()).count();
            assert_eq!((entries.bytes(), entries.records()), (bytes, records));
            assert_eq!(entries.places.len(), entries.ring.len());
            assert!(bytes <= CAPACITY);
        }
    }
}

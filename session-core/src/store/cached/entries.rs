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
/// What an entry takes that has no record.
const NAMED: usize = 192;

/// What is held of one session.
struct Entry {
    content: Content,
    /// The term in which it was read, if the store reported changes.
    term: Option<Term>,
    /// The change that it came with, or that ended its lease.
    seq: u64,
    bytes: usize,
    /// It was found since the hand has passed.
    used: bool,
}

/// What is known of the content of a session.
#[derive(Clone)]
pub(super) enum Content {
    Held(Arc<Record>),
    /// Others had changed it when the store was last asked, and may do so again. So it is read
    /// whole next time, and a record would be of no use until then.
    Changing(Named),
}

/// By what a content is told from others.
#[derive(Clone, Copy)]
pub(super) struct Named {
    version: u64,
    tag: Option<Tag>,
}

impl Named {
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

impl Content {
    fn bytes(&self) -> usize {
        match self {
            Self::Held(record) => {
                ENTRY + VALUE * record.values().len() + record.size() + record.hidden
            }
            Self::Changing(_) => NAMED,
        }
    }

    const fn is_record(&self) -> bool {
        matches!(self, Self::Held(_))
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
    pub(super) fn find(&mut self, id: SessionId) -> Option<(Content, Option<Term>)> {
        let (_, entry) = &mut self.ring[*self.places.get(&id)?];
        entry.used = true;
        Some((entry.content.clone(), entry.term))
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
        asked_in.filter(|_| asked_in == self.lease.term() && self.is_as_of(id, seq))
    }

    /// Somebody wrote the session, or ended it. Its lease ends, and whatever is under way is older.
    pub(super) fn changed(&mut self, id: SessionId) {
        self.seq += 1;
        match self.places.get(&id) {
            Some(&at) => {
                let (_, entry) = &mut self.ring[at];
                (entry.term, entry.seq) = (None, self.seq);
            }
            None => self.seq_of_others = self.seq,
        }
    }

    /// Ends the leases of those that `concerns`, and of what is under way.
    pub(super) fn changed_where(&mut self, concerns: impl Fn(&Record) -> bool) {
        self.seq += 1;
        self.seq_of_others = self.seq;
        for (_, entry) in &mut self.ring {
            if let Content::Held(record) = &entry.content
                && !concerns(record)
            {
                continue;
            }
            (entry.term, entry.seq) = (None, self.seq);
        }
    }

    /// Keeps what is known of a session, and makes room for it. `term` is set if the store reports
    /// its changes. Returns what was known before: the caller drops it when nothing is locked.
    pub(super) fn put(
        &mut self,
        id: SessionId,
        content: Content,
        term: Option<Term>,
        capacity: usize,
    ) -> Option<Content> {
        let bytes = content.bytes();
        if bytes > capacity {
            return self.remove(id);
        }
        let mut before = None;
        self.bytes += bytes;
        self.records += usize::from(content.is_record());
        match self.places.entry(id) {
            Place::Occupied(place) => {
                let (_, entry) = &mut self.ring[*place.get()];
                self.bytes -= entry.bytes;
                self.records -= usize::from(entry.content.is_record());
                before = Some(std::mem::replace(&mut entry.content, content));
                (entry.term, entry.bytes, entry.used) = (term, bytes, true);
            }
            Place::Vacant(place) => {
                place.insert(self.ring.len());
                let entry = Entry {
                    content,
                    term,
                    seq: self.seq_of_others,
                    bytes,
                    used: false,
                };
                self.ring.push((id, entry));
            }
        }
        while self.bytes > capacity {
            self.evict(id);
        }
        before
    }

    /// The store has confirmed this record, and reports its changes.
    pub(super) fn lease(&mut self, id: SessionId, record: &Arc<Record>, term: Term) {
        if let Some(&at) = self.places.get(&id) {
            let (_, entry) = &mut self.ring[at];
            if let Content::Held(held) = &entry.content
                && Arc::ptr_eq(held, record)
            {
                entry.term = Some(term);
            }
        }
    }

    /// Forgets a session, and returns what was known of it.
    pub(super) fn remove(&mut self, id: SessionId) -> Option<Content> {
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
                    return;
                }
            }
        }
    }

    fn remove_at(&mut self, at: usize) -> Content {
        let (id, entry) = self.ring.swap_remove(at);
        self.places.remove(&id);
        self.bytes -= entry.bytes;
        self.records -= usize::from(entry.content.is_record());
        // Whoever asked before it was changed must not take it for unchanged now.
        self.seq_of_others = self.seq_of_others.max(entry.seq);
        if let Some((moved, _)) = self.ring.get(at) {
            self.places.insert(*moved, at);
        }
        entry.content
    }
}

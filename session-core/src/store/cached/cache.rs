//! What is found, kept and forgotten.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::entries::Entries;
use super::lease::Term;
use super::stats::CacheStats;
use crate::record::{Record, SessionId};
use crate::store::lock::lock;
use crate::time::{Clock, Timestamp};

const PARTS: usize = 16;

/// The records that a process holds, in parts with a lock each.
pub(super) struct Cache {
    parts: Vec<Mutex<Part>>,
    capacity: usize,
    lease: Option<Duration>,
    terms: AtomicU64,
}

#[derive(Default)]
struct Part {
    entries: Entries,
    stats: CacheStats,
}

/// What a load has to do.
pub(super) enum Found {
    /// This may be served.
    Leased(Arc<Record>),
    /// This may have changed.
    Known(Arc<Record>, Ticket),
    /// This has probably changed, since it had when the store was last asked.
    Changing(Arc<Record>, Ticket),
    Absent(Ticket),
}

/// When a load asked the store.
#[derive(Clone, Copy)]
pub(super) struct Ticket {
    seq: u64,
    term: Option<Term>,
}

impl Cache {
    pub(super) fn new(capacity: usize, lease: Option<Duration>) -> Self {
        Self {
            parts: (0..PARTS).map(|_| Mutex::default()).collect(),
            capacity,
            lease,
            terms: AtomicU64::new(0),
        }
    }

    pub(super) const fn capacity(&self) -> usize {
        self.capacity
    }

    /// How long a lease is; none where there are no leases.
    pub(super) const fn lease(&self) -> Option<Duration> {
        self.lease
    }

    pub(super) fn find(&self, id: SessionId, now: Timestamp, clock: &dyn Clock) -> Found {
        let mut part = self.part(id);
        let Part { entries, stats } = &mut *part;
        let ticket = Ticket {
            seq: entries.seq(),
            term: entries.lease.term(),
        };
        let Some(held) = entries.find(id) else {
            return Found::Absent(ticket);
        };
        let record = held.record;
        let leased = match (self.lease, held.term) {
            (Some(_), Some(term)) => {
                record.is_live(now) && entries.lease.covers(term, clock.monotonic())
            }
            _ => false,
        };
        match leased {
            true => {
                stats.leased += 1;
                Found::Leased(record)
            }
            false if held.changing => Found::Changing(record, ticket),
            false => Found::Known(record, ticket),
        }
    }

    /// The record is still the same. If nothing was said of it since the store was asked, whatever
    /// changes it from now on will be told.
    pub(super) fn unchanged(&self, record: &Arc<Record>, asked: Ticket) {
        let mut part = self.part(record.id);
        part.stats.unchanged += 1;
        part.entries.note(record.id, false);
        if let Some(term) = part.entries.term_for(record.id, asked.seq, asked.term) {
            part.entries.lease(record.id, record, term);
        }
    }

    /// The store has answered with this record, or with none. `known`: the cache held another.
    pub(super) fn loaded(
        &self,
        id: SessionId,
        record: Option<&Arc<Record>>,
        asked: Ticket,
        known: bool,
    ) {
        let mut part = self.part(id);
        match known {
            true => part.stats.changed += 1,
            false => part.stats.absent += 1,
        }
        let entries = &mut part.entries;
        if entries.is_newer(id, asked.seq) {
            return;
        }
        match record.filter(|record| record.id == id && record.ended().is_none()) {
            Some(record) => {
                let term = entries.term_for(id, asked.seq, asked.term);
                entries.put(id, Arc::clone(record), term, self.capacity / PARTS);
                entries.note(id, known);
            }
            None => entries.remove(id),
        }
    }

    /// This process has written the session, and it has this content now, if that is known.
    pub(super) fn wrote(&self, id: SessionId, record: Option<&Arc<Record>>) {
        let mut part = self.part(id);
        let entries = &mut part.entries;
        entries.changed(id);
        match record.filter(|record| record.id == id && record.ended().is_none()) {
            Some(record) => entries.put(id, Arc::clone(record), None, self.capacity / PARTS),
            None => entries.remove(id),
        }
    }

    /// Somebody has changed or ended the session, or may have.
    pub(super) fn changed(&self, id: SessionId) {
        self.part(id).entries.changed(id);
    }

    /// Somebody has ended the sessions of a principal. Another process may have signed one in that
    /// is anonymous here.
    pub(super) fn changed_of(&self, principal: &str) {
        let may_be_theirs = |record: &Record| record.principal().is_none_or(|p| p == principal);
        for part in &self.parts {
            lock(part).entries.changed_where(may_be_theirs);
        }
    }

    pub(super) fn begin(&self) -> Term {
        let term = Term(self.terms.fetch_add(1, Ordering::Relaxed) + 1);
        self.parts
            .iter()
            .for_each(|part| lock(part).entries.lease.begin(term));
        term
    }

    pub(super) fn end(&self, term: Term) {
        self.parts
            .iter()
            .for_each(|part| lock(part).entries.lease.end(term));
    }

    pub(super) fn renew(&self, term: Term, asked: Duration) {
        let until = asked.saturating_add(self.lease.unwrap_or_default());
        self.parts
            .iter()
            .for_each(|part| lock(part).entries.lease.renew(term, until));
    }

    pub(super) fn stats(&self) -> CacheStats {
        let mut all = CacheStats::default();
        for part in &self.parts {
            let part = lock(part);
            all.leased += part.stats.leased;
            all.unchanged += part.stats.unchanged;
            all.changed += part.stats.changed;
            all.absent += part.stats.absent;
            all.records += part.entries.len();
            all.bytes += part.entries.bytes();
        }
        all
    }

    fn part(&self, id: SessionId) -> MutexGuard<'_, Part> {
        lock(&self.parts[usize::from(id.as_bytes()[0]) % PARTS])
    }
}

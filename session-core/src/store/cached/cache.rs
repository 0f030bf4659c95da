//! What is found, kept and forgotten.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::entries::{Entries, Identity, Known};
use super::lease::Term;
use super::stats::{CacheStats, Had, Meters};
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
    meters: Meters,
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
    /// The store has to be asked whether this is still the same.
    Unconfirmed(Arc<Record>, Ticket),
    /// There is no record. If there is a stub, a plain load costs the server less than the question
    /// whether the session has changed once more.
    Unknown(Ticket),
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
            meters: Meters::default(),
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
        let (record, term) = match entries.find(id) {
            Some((Known::Record(record) | Known::Contested(record), term)) => (record, term),
            Some((Known::Stub(_), _)) | None => return Found::Unknown(ticket),
        };
        let leased = match (self.lease, term) {
            (Some(_), Some(term)) => {
                record.is_live(now) && entries.lease.covers(term, clock.monotonic())
            }
            _ => false,
        };
        match leased {
            true => {
                stats.count(Had::Leased);
                drop(part);
                self.meters.count(Had::Leased);
                Found::Leased(record)
            }
            false => Found::Unconfirmed(record, ticket),
        }
    }

    /// The record is still the same. If nothing was said of it since the store was asked, whatever
    /// changes it from now on will be told.
    pub(super) fn unchanged(&self, record: &Arc<Record>, asked: Ticket) {
        let mut part = self.part(record.id);
        part.stats.count(Had::Unchanged);
        let capacity = self.capacity / PARTS;
        let before = part
            .entries
            .confirm(record, asked.seq, asked.term, capacity);
        drop(part);
        drop(before);
        self.meters.count(Had::Unchanged);
    }

    /// The store has answered with this record, or with none.
    pub(super) fn loaded(&self, id: SessionId, record: Option<&Arc<Record>>, asked: Ticket) {
        let record = cacheable(id, record);
        let mut part = self.part(id);
        let Part { entries, stats } = &mut *part;
        let known = entries.look(id).map(Known::identity);
        let is_same = match (known, record) {
            (Some(known), Some(record)) => known.is_of(record),
            _ => false,
        };
        let had = match known {
            None => Had::Nothing,
            Some(_) if is_same => Had::Unchanged,
            Some(_) => Had::Changed,
        };
        stats.count(had);
        if entries.is_newer(id, asked.seq) {
            drop(part);
            self.meters.count(had);
            return;
        }
        let before = match record {
            None => entries.remove(id),
            Some(record) => {
                let term = entries.term_for(id, asked.seq, asked.term);
                let known = match term {
                    _ if is_same || known.is_none() => Known::Record(Arc::clone(record)),
                    Some(_) => Known::Contested(Arc::clone(record)),
                    None => Known::Stub(Identity::of(record)),
                };
                entries.put(id, known, term, self.capacity / PARTS)
            }
        };
        drop(part);
        drop(before);
        self.meters.count(had);
    }

    /// This process has written the session, and it has this content now, if that is known.
    pub(super) fn wrote(&self, id: SessionId, record: Option<&Arc<Record>>) {
        let record = cacheable(id, record).map(without_garbage);
        let mut part = self.part(id);
        let entries = &mut part.entries;
        let is_contested = entries.look(id).is_some_and(Known::is_contested);
        let changed = entries.changed(id);
        let before = match record {
            None => entries.remove(id),
            Some(record) => {
                // Others write it too, so it is read whole next time.
                let known = match is_contested {
                    true => Known::Stub(Identity::of(&record)),
                    false => Known::Record(record),
                };
                entries.put(id, known, None, self.capacity / PARTS)
            }
        };
        drop(part);
        drop((changed, before));
    }

    /// Somebody has changed or ended the session, or may have.
    pub(super) fn changed(&self, id: SessionId) {
        let before = self.part(id).entries.changed(id);
        drop(before);
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
            all.records += part.entries.records();
            all.bytes += part.entries.bytes();
        }
        all
    }

    fn part(&self, id: SessionId) -> MutexGuard<'_, Part> {
        lock(&self.parts[usize::from(id.as_bytes()[0]) % PARTS])
    }
}

/// What may be held: no marks of sessions that have ended.
fn cacheable(id: SessionId, record: Option<&Arc<Record>>) -> Option<&Arc<Record>> {
    record.filter(|record| record.id == id && record.ended().is_none())
}

/// A record of own writes may keep values alive that it no longer has. If these may be most of it,
/// this is a copy without them.
fn without_garbage(record: &Arc<Record>) -> Arc<Record> {
    if record.hidden <= record.size() {
        return Arc::clone(record);
    }
    match Record::decode(record.encode()) {
        Ok(copy) => Arc::new(copy.with_tag(record.tag)),
        Err(_) => Arc::clone(record),
    }
}

//! A part of the records, behind one lock.

use std::collections::HashMap;
use std::sync::Arc;

use crate::record::{Ended, Record, SessionId};
use crate::time::Timestamp;

/// A shard is swept after this many creations, or as many as survived the last sweep if that is
/// more: so it is never twice as large as it has to be for long, and a creation costs little.
pub(super) const SWEEP_AFTER: usize = 64;

#[derive(Default)]
pub(super) struct Shard {
    pub(super) records: HashMap<SessionId, Arc<Record>>,
    /// When and why sessions ended that are remembered.
    pub(super) marks: HashMap<SessionId, Ended>,
    /// The number of marks from which on those that are over are dropped.
    sweep_marks: usize,
    /// Creations since the last sweep.
    pub(super) created: usize,
    /// What the last sweep left.
    pub(super) survivors: usize,
}

impl Shard {
    /// Remembers the end of a session, unless there are too many to remember.
    pub(super) fn mark(&mut self, id: SessionId, ended: Ended, most: usize) {
        if self.marks.len() >= self.sweep_marks.max(SWEEP_AFTER) {
            self.marks.retain(|_, other| other.is_kept(ended.at));
            self.sweep_marks = 2 * self.marks.len();
        }
        if self.marks.len() < most && ended.is_kept(ended.at) {
            self.marks.insert(id, ended);
        }
    }

    pub(super) fn ended(&self, id: SessionId, now: Timestamp) -> Option<&Ended> {
        self.marks.get(&id).filter(|ended| ended.is_kept(now))
    }
}

//! A part of the records, which one lock protects.

use std::collections::HashMap;
use std::sync::Arc;

use crate::record::{Ended, Record, SessionId};
use crate::time::Timestamp;

/// A shard is swept after this many creations, or after as many as survived the last sweep if that
/// is more. So it does not stay at twice the necessary size, and a creation costs little.
pub(super) const SWEEP_AFTER: usize = 64;

#[derive(Default)]
pub(super) struct Shard {
    pub(super) records: HashMap<SessionId, Arc<Record>>,
    /// The marks: when and why sessions ended.
    pub(super) marks: HashMap<SessionId, Ended>,
    /// From this number of marks on, those that are over are dropped.
    sweep_marks: usize,
    /// Creations since the last sweep.
    pub(super) created: usize,
    /// How many records the last sweep left.
    pub(super) survivors: usize,
}

impl Shard {
    /// Keeps the mark of a session, unless there are `most` already.
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

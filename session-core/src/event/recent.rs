//! The ids that were seen last, each once.

use std::collections::HashSet;
use std::fmt;

use crate::record::SessionId;

/// At least this many ids are remembered, and at most twice as many.
const REMEMBERED: usize = 4096;

/// A set of the ids that were inserted last.
#[derive(Default)]
pub(crate) struct RecentIds {
    newer: HashSet<SessionId>,
    older: HashSet<SessionId>,
}

impl RecentIds {
    /// Whether it was not among them.
    pub(crate) fn insert(&mut self, id: SessionId) -> bool {
        if self.older.contains(&id) || !self.newer.insert(id) {
            return false;
        }
        if self.newer.len() >= REMEMBERED {
            self.older = std::mem::take(&mut self.newer);
        }
        true
    }
}

impl fmt::Debug for RecentIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.newer.len() + self.older.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_new_once_among_the_last() {
        let id = |n: usize| {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&(n as u64).to_le_bytes());
            SessionId::from_bytes(bytes)
        };
        let mut recent = RecentIds::default();
        for n in 0..10 * REMEMBERED {
            assert!(recent.insert(id(n)));
            for before in [n, n.saturating_sub(1), n.saturating_sub(REMEMBERED - 1)] {
                assert!(!recent.insert(id(before)), "{n} {before}");
            }
        }
        assert!(recent.newer.len() + recent.older.len() <= 2 * REMEMBERED);
    }
}

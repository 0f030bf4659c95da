//! Which sessions were found expired lately.

use std::fmt;

use crate::record::SessionId;

/// At least this many sessions that were found expired are remembered, to tell of each once.
const EXPIRIES: usize = 4096;

/// The last ids, each once.
#[derive(Default)]
pub(crate) struct Recent {
    newer: std::collections::HashSet<SessionId>,
    older: std::collections::HashSet<SessionId>,
}

impl Recent {
    /// Whether it is new.
    pub(crate) fn add(&mut self, id: SessionId) -> bool {
        if self.older.contains(&id) || !self.newer.insert(id) {
            return false;
        }
        if self.newer.len() >= EXPIRIES {
            self.older = std::mem::take(&mut self.newer);
        }
        true
    }
}

impl fmt::Debug for Recent {
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
        let mut recent = Recent::default();
        for n in 0..10 * EXPIRIES {
            assert!(recent.add(id(n)));
            for before in [n, n.saturating_sub(1), n.saturating_sub(EXPIRIES - 1)] {
                assert!(!recent.add(id(before)), "{n} {before}");
            }
        }
        assert!(recent.newer.len() + recent.older.len() <= 2 * EXPIRIES);
    }
}

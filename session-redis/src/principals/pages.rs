//! An index, page by page: no answer of the server is long, whatever a principal has.

use redis::{FromRedisValue, Value as Reply, cmd};
use session_core::{SessionId, StoreError};
use tokio::time::Instant;

use crate::link::Twice;
use crate::store::Inner;

/// How many entries a page has.
pub(super) const PAGE: usize = 500;

/// Where a reader of an index is. Entries are in the order of their scores, then of their names.
#[derive(Debug, Default)]
pub(super) struct Pages {
    /// How many entries before the next page were read and are still there, as far as is known.
    first: usize,
    /// The last entry that was read.
    last: Option<(f64, Vec<u8>)>,
    done: bool,
}

impl Pages {
    /// The next page: what in it is the name of a session, with its score; `None` after the last
    /// page.
    ///
    /// Others take entries out meanwhile, so what comes next may have moved forward. A page that
    /// does not begin where the one before ended is read again from further ahead. So an entry may
    /// be read twice, and none that stays where it is is passed over.
    pub(super) async fn next(
        &mut self,
        inner: &Inner,
        principal: &str,
        until: Instant,
    ) -> Result<Option<Vec<(SessionId, f64)>>, StoreError> {
        if self.done {
            return Ok(None);
        }
        let mut back = 1;
        loop {
            let from = self.first.saturating_sub(back);
            let entries = inner.entries(principal, from, until).await?;
            let gap = match (&self.last, entries.first()) {
                (Some(last), Some((name, score))) => from > 0 && is_before(last, (*score, name)),
                (Some(_), None) => from > 0,
                (None, _) => false,
            };
            if gap {
                back *= 8;
                continue;
            }
            self.done = entries.len() < PAGE;
            self.first = from + entries.len();
            if let Some((name, score)) = entries.last() {
                self.last = Some((*score, name.clone()));
            }
            return Ok(Some(sessions(entries)));
        }
    }

    /// So many of the entries that were read are not there any more.
    pub(super) fn taken_out(&mut self, number: usize) {
        self.first = self.first.saturating_sub(number);
    }
}

fn is_before((score, name): &(f64, Vec<u8>), other: (f64, &Vec<u8>)) -> bool {
    (*score, name) < other
}

/// Entries that name a session. What is no id, another program has put there.
pub(super) fn sessions(entries: Vec<(Vec<u8>, f64)>) -> Vec<(SessionId, f64)> {
    let id = |name: &[u8]| std::str::from_utf8(name).ok()?.parse().ok();
    let entries = entries.into_iter();
    entries
        .filter_map(|(name, score)| Some((id(&name)?, score)))
        .collect()
}

/// Names and scores in a reply.
pub(super) fn pairs(reply: Reply) -> Result<Vec<(Vec<u8>, f64)>, StoreError> {
    FromRedisValue::from_redis_value(reply).map_err(|_| crate::layout::unexpected())
}

impl Inner {
    /// A page of entries, from this rank on.
    async fn entries(
        &self,
        principal: &str,
        first: usize,
        until: Instant,
    ) -> Result<Vec<(Vec<u8>, f64)>, StoreError> {
        let mut command = cmd("ZRANGE");
        command.arg(self.names.index(principal));
        command.arg(first).arg(first + PAGE - 1).arg("WITHSCORES");
        let reply = self.link.call(&command, Twice::Harmless, until).await;
        pairs(reply.map_err(|fault| fault.of_read())?)
    }
}

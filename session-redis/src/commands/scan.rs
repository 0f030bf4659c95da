//! The commands that read all of a server. They are for the tools of operators.

use std::ops::RangeInclusive;

use redis::{FromRedisValue, Value as Reply};
use session_core::SessionId;
use session_core::store::StoreError;
use tokio::time::Instant;

use super::commands::Commands;
use super::entries::{RawEntry, session_entries};
use super::script::{SCAN, SLOTS};
use crate::connection::Fault;
use crate::layout::{name_in, unexpected};

/// Which names a scan looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    Sessions,
    Indexes,
}

/// A page of names.
pub(crate) struct NamesPage {
    /// Which server it is, until its next restart.
    pub(crate) server: String,
    /// The cursor of the next page, or 0.
    pub(crate) next: u64,
    /// Without the prefix. They may be of other programs.
    pub(crate) names: Vec<Vec<u8>>,
}

/// Some slots of a Cluster, and the node that has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) slots: RangeInclusive<u16>,
    pub(crate) node: String,
}

impl Commands {
    /// A page of the names on the server that has these slots.
    pub(crate) async fn scan_names(
        &self,
        names: Names,
        slots: &RangeInclusive<u16>,
        cursor: u64,
        count: usize,
        until: Instant,
    ) -> Result<NamesPage, StoreError> {
        let prefix = &self.names.prefix;
        let place = name_in(prefix, slots);
        let mut call = SCAN.at(&self.names.with(&place), 3, 64 + prefix.len());
        call.arg(cursor).arg(names.pattern(prefix)).arg(count);
        let reply = SCAN.run(&self.link, &call, until).await;
        let reply = reply.map_err(Fault::into_read_error)?;
        let (server, next, found): (String, u64, Vec<Vec<u8>>) =
            FromRedisValue::from_redis_value(reply).map_err(|_| unexpected())?;
        Ok(NamesPage {
            server,
            next,
            names: found,
        })
    }

    /// The slots of a Cluster and their nodes, in order; none if one server has everything.
    pub(crate) async fn ranges(&self, until: Instant) -> Result<Vec<Range>, StoreError> {
        if self.link.leads_to_one_server() {
            return Ok(Vec::new());
        }
        let call = SLOTS.at(&self.names.with(""), 0, 0);
        let reply = SLOTS.run(&self.link, &call, until).await;
        let Reply::Array(ranges) = reply.map_err(Fault::into_read_error)? else {
            return Err(unexpected());
        };
        match (ranges.is_empty(), self.link.finds_nodes()) {
            // It would take one node for all there is.
            (true, true) => return Err(unexpected()),
            (false, false) => {
                return Err(StoreError::Unsupported(
                    "reading a Cluster by an application's own connection; connect by a URL",
                ));
            }
            _ => {}
        }
        let ranges: Option<Vec<_>> = ranges.into_iter().map(range).collect();
        let mut ranges = ranges.ok_or_else(unexpected)?;
        ranges.sort_by_key(|range| *range.slots.start());
        Ok(ranges)
    }

    /// A page of the entries of an index, and the cursor of the next one, or 0. The ids of other
    /// programs are left out, and what is no index has no entries.
    pub(crate) async fn scan_entries(
        &self,
        principal: &str,
        cursor: u64,
        count: usize,
        until: Instant,
    ) -> Result<(Vec<SessionId>, u64), StoreError> {
        let mut command = self.on_index("ZSCAN", principal);
        command.arg(cursor).arg("COUNT").arg(count);
        let reply = match self.send(&command, until).await {
            Err(Fault::WrongType) => {
                tracing::warn!(
                    target: "session::redis",
                    "a key with the name of an index is none; rename or delete it"
                );
                return Ok((Vec::new(), 0));
            }
            reply => reply.map_err(Fault::into_read_error)?,
        };
        let (next, entries): (u64, Vec<RawEntry>) =
            FromRedisValue::from_redis_value(reply).map_err(|_| unexpected())?;
        let entries = session_entries(entries).into_iter();
        Ok((entries.map(|entry| entry.id).collect(), next))
    }
}

impl Names {
    /// The pattern of all names that may be meant.
    fn pattern(self, prefix: &str) -> String {
        let mut pattern = String::with_capacity(prefix.len() + 32);
        for letter in prefix.chars() {
            if matches!(letter, '*' | '?' | '[' | ']' | '\\') {
                pattern.push('\\');
            }
            pattern.push(letter);
        }
        pattern.push_str(match self {
            // The letters of an id.
            Self::Sessions => "??????????????????????",
            Self::Indexes => "principal:*",
        });
        pattern
    }
}

/// First and last slot, and the primary before its replicas: host, port and id.
fn range(reply: Reply) -> Option<Range> {
    let Reply::Array(parts) = reply else {
        return None;
    };
    let mut parts = parts.into_iter();
    let mut slot = || u16::from_redis_value(parts.next()?).ok();
    let slots = slot()?..=slot()?;
    let Reply::Array(primary) = parts.next()? else {
        return None;
    };
    let id = primary.into_iter().nth(2)?;
    let node = String::from_redis_value(id).ok()?;
    Some(Range { slots, node })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_taken_literally() {
        assert_eq!(
            Names::Indexes.pattern("a*[b]?\\:"),
            "a\\*\\[b\\]\\?\\\\:principal:*"
        );
        assert_eq!(Names::Sessions.pattern("s:").len(), 2 + 22);
    }
}

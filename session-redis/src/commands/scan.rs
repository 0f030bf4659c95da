//! The commands that read all of a server. They are for the tools of operators.

use redis::FromRedisValue;
use session_core::SessionId;
use session_core::store::StoreError;
use tokio::time::Instant;

use super::commands::Commands;
use super::entries::{RawEntry, session_entries};
use super::script::SCAN;
use crate::connection::Fault;
use crate::layout::{Slots, range_of, unexpected};

/// It would return what one node has, and nobody would know that the rest is missing.
const ONE_NODE: StoreError = StoreError::Unsupported(
    "reading all sessions of a Redis Cluster by a connection to one of its nodes; connect by a \
     redis-cluster:// URL",
);
const MOVING: &str = "a node of the Redis Cluster is moving slots to another node, and a scan \
                      could pass over their sessions; wait until that is over (`redis-cli \
                      --cluster check` says so), and continue the scan, or begin it again";

/// The error while slots are moving.
pub(crate) fn moving() -> StoreError {
    StoreError::unavailable(MOVING)
}

/// Which names a scan looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    Sessions,
    Indexes,
}

/// A server, as it was at a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    /// Which one it is, until its next restart.
    pub(crate) run: String,
    /// Changes whenever a node of a Cluster takes over a slot that it did not have.
    pub(crate) epoch: u64,
    /// None if it is no node of a Cluster.
    pub(crate) slots: Slots,
}

/// A page of names.
pub(crate) struct NamesPage {
    pub(crate) server: Server,
    /// The cursor of the next page, or 0.
    pub(crate) next: u64,
    /// They may be of other programs.
    pub(crate) names: Vec<Vec<u8>>,
}

impl Commands {
    /// A page of the names on the server that has this name of the store.
    pub(crate) async fn scan_names(
        &self,
        names: Names,
        place: &str,
        cursor: u64,
        count: usize,
        until: Instant,
    ) -> Result<NamesPage, StoreError> {
        let prefix = &self.names.prefix;
        let is_alone = self.link.leads_to_one_server();
        let mut call = match is_alone {
            true => SCAN.without_key(64 + prefix.len()),
            false => SCAN.on(&self.names.with(place), 3, 64 + prefix.len()),
        };
        call.arg(cursor).arg(names.pattern(prefix)).arg(count);
        let reply = SCAN.run(&self.link, &call, until).await;
        let reply = reply.map_err(Fault::into_read_error)?;
        let (run, next, found, own): (String, u64, Vec<Vec<u8>>, String) =
            FromRedisValue::from_redis_value(reply).map_err(|_| unexpected())?;
        let (epoch, slots) = match own.as_str() {
            "" => (0, Slots::default()),
            _ if is_alone => return Err(ONE_NODE),
            own => own_slots(own)?,
        };
        Ok(NamesPage {
            server: Server { run, epoch, slots },
            next,
            names: found,
        })
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

/// The epoch of a node and its slots, by the line of `CLUSTER NODES` that is its own: id, address,
/// flags, primary, two times, epoch, state, and slots.
fn own_slots(line: &str) -> Result<(u64, Slots), StoreError> {
    let mut words = line.split_whitespace().skip(6);
    let epoch = words.next().and_then(|epoch| epoch.parse().ok());
    let epoch = epoch.ok_or_else(unexpected)?;
    let mut ranges = Vec::new();
    for word in words.skip(1) {
        match word.strip_prefix('[') {
            // A slot that goes to another node. One that comes from there is not its own yet.
            Some(slot) if slot.contains("->-") => return Err(moving()),
            Some(_) => {}
            None => ranges.push(range_of(word).ok_or_else(unexpected)?),
        }
    }
    match ranges.is_empty() {
        // It answers for a slot, so it has one.
        true => Err(unexpected()),
        false => Ok((epoch, ranges.into_iter().collect())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "these are tests")]

    use super::*;

    #[test]
    fn a_node_says_which_slots_it_has() {
        let line = |slots| format!("7f a:1@2,,x=y myself,master - 0 0 17 connected{slots}");
        let (epoch, slots) = own_slots(&line(" 0-5460 7000 [5-<-9c]")).unwrap();
        assert_eq!(
            (epoch, slots.to_string()),
            (17, "0-5460,7000-7000".to_owned())
        );
        let moving = own_slots(&line(" 0-5460 [5->-9c]")).unwrap_err();
        assert!(
            format!("{moving:?}").contains("continue the scan, or begin it again"),
            "{moving:?}"
        );
        for line in [
            &*line(""),
            &*line(" x"),
            "?",
            "7f a:1@2 myself,slave 9c 0 0 x connected",
        ] {
            assert!(own_slots(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_prefix_is_taken_literally() {
        assert_eq!(
            Names::Indexes.pattern("a*[b]?\\:"),
            "a\\*\\[b\\]\\?\\\\:principal:*"
        );
        assert_eq!(Names::Sessions.pattern("s:").len(), 2 + 22);
    }
}

//! Where a scan is, and its bytes.

use std::ops::RangeInclusive;

use session_core::store::{ScanCursor, StoreError};

use crate::commands::Names;
use crate::layout::SLOTS;

/// Where a node or a server is not known, or there is no need to know it.
const NONE: &str = "-";

/// Where a scan is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) names: Names,
    /// What is read now.
    pub(super) slots: RangeInclusive<u16>,
    /// Which node of a Cluster had these slots when this began.
    pub(super) node: String,
    /// Which server has returned the cursor, if there is one.
    pub(super) server: String,
    /// The server's cursor, or `None` after its last page.
    pub(super) at: Option<u64>,
    /// Indexes that are to be read, and the server's cursor in each.
    pub(super) pending: Vec<(u64, String)>,
}

impl Cursor {
    /// At the begin of some slots.
    pub(super) fn new(names: Names, slots: RangeInclusive<u16>, node: Option<&str>) -> Self {
        Self {
            names,
            slots,
            node: node.unwrap_or(NONE).to_owned(),
            server: NONE.to_owned(),
            at: Some(0),
            pending: Vec::new(),
        }
    }

    pub(super) fn is_of_cluster(&self) -> bool {
        self.node != NONE
    }

    /// Whether the server of an answer is the one that has returned the cursor.
    pub(super) fn is_of(&self, server: &str) -> bool {
        self.server == NONE || self.server == server
    }

    pub(super) fn to_public(&self) -> ScanCursor {
        let names = match self.names {
            Names::Sessions => "sessions",
            Names::Indexes => "indexes",
        };
        let (first, last) = (self.slots.start(), self.slots.end());
        let at = self.at.map_or_else(|| NONE.to_owned(), |at| at.to_string());
        let (node, server) = (&self.node, &self.server);
        let mut text = format!("{names} {first} {last} {node} {server} {at}");
        for (at, principal) in &self.pending {
            text.push_str(&format!(" {at} {} {principal}", principal.len()));
        }
        ScanCursor::new(text.into_bytes())
    }

    pub(super) fn read(names: Names, cursor: &ScanCursor) -> Result<Self, StoreError> {
        let text = std::str::from_utf8(cursor.as_bytes()).ok();
        let read = text.and_then(Self::parse);
        read.filter(|read| read.names == names)
            .ok_or_else(ScanCursor::not_of_this_store)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut rest = Some(text);
        let names = match word(&mut rest)? {
            "sessions" => Names::Sessions,
            "indexes" => Names::Indexes,
            _ => return None,
        };
        let slots = word(&mut rest)?.parse().ok()?..=word(&mut rest)?.parse().ok()?;
        if slots.is_empty() || *slots.end() >= SLOTS {
            return None;
        }
        let (node, server) = (word(&mut rest)?.to_owned(), word(&mut rest)?.to_owned());
        let at = match word(&mut rest)? {
            NONE => None,
            at => Some(at.parse().ok()?),
        };
        let mut pending = Vec::new();
        while rest.is_some() {
            let at = word(&mut rest)?.parse().ok()?;
            let length = word(&mut rest)?.parse().ok()?;
            let (principal, after) = rest?.split_at_checked(length)?;
            pending.push((at, principal.to_owned()));
            rest = match after {
                "" => None,
                after => Some(after.strip_prefix(' ')?),
            };
        }
        Some(Self {
            names,
            slots,
            node,
            server,
            at,
            pending,
        })
    }
}

/// Takes what is before the next space, or all that is left.
fn word<'a>(rest: &mut Option<&'a str>) -> Option<&'a str> {
    let text = rest.take()?;
    let (word, after) = match text.split_once(' ') {
        Some((word, after)) => (word, Some(after)),
        None => (text, None),
    };
    *rest = after;
    Some(word)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "these are tests")]

    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let mut cursor = Cursor::new(Names::Indexes, 5461..=10922, Some("5ce7a5"));
        for pending in [
            vec![],
            vec![(0, "ann".to_owned())],
            vec![
                (7, " é 1 2 ".to_owned()),
                (0, String::new()),
                (1, "x".to_owned()),
            ],
        ] {
            cursor.pending = pending;
            for at in [None, Some(0), Some(u64::MAX)] {
                cursor.at = at;
                let public = cursor.to_public();
                assert_eq!(Cursor::read(Names::Indexes, &public).unwrap(), cursor);
                assert!(Cursor::read(Names::Sessions, &public).is_err());
            }
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "sessions",
            "sessions 0 16383 - -",
            "sessions 0 16384 - - 0",
            "sessions 7 6 - - 0",
            "sessions 0 16383 - - -1",
            "sessions 0 16383 - - 0 ",
            "sessions 0 16383 - - 0 0 4 ann",
            "sessions 0 16383 - - 0 0 1 \u{e9}",
            "sessions 0 16383 - - 0 0 3 annx",
        ] {
            let cursor = ScanCursor::new(text.as_bytes().to_vec());
            assert!(Cursor::read(Names::Sessions, &cursor).is_err(), "{text}");
        }
    }
}

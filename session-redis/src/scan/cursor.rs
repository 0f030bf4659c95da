//! Where a scan is, and its bytes.

use session_core::store::{ScanCursor, StoreError};

use crate::commands::{Names, Server};
use crate::layout::Slots;

/// Where nothing is known yet, or there is nothing more.
const NONE: &str = "-";

/// Where a scan is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) names: Names,
    /// The slots of a Cluster that were read.
    pub(super) done: Slots,
    /// What is read now, as it was when that began.
    pub(super) server: Option<Server>,
    /// The server's cursor, or `None` after its last page.
    pub(super) at: Option<u64>,
    /// Indexes that are to be read, and the server's cursor in each.
    pub(super) pending: Vec<(u64, String)>,
}

impl Cursor {
    pub(super) fn new(names: Names) -> Self {
        Self {
            names,
            done: Slots::default(),
            server: None,
            at: Some(0),
            pending: Vec::new(),
        }
    }

    /// At the first page of a server that is not known yet. What was read of the last one counts
    /// for nothing.
    pub(super) fn begin_server(&mut self) {
        self.server = None;
        self.at = Some(0);
        self.pending.clear();
    }

    pub(super) fn to_public(&self) -> ScanCursor {
        let names = match self.names {
            Names::Sessions => "sessions",
            Names::Indexes => "indexes",
        };
        let at = self.at.map_or_else(|| NONE.to_owned(), |at| at.to_string());
        let server = match &self.server {
            Some(server) => format!("{} {} {}", server.run, server.epoch, server.slots),
            None => format!("{NONE} 0 {NONE}"),
        };
        let mut text = format!("{names} {} {server} {at}", self.done);
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
        let done = word(&mut rest)?.parse().ok()?;
        let server = Server {
            run: word(&mut rest)?.to_owned(),
            epoch: word(&mut rest)?.parse().ok()?,
            slots: word(&mut rest)?.parse().ok()?,
        };
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
            done,
            server: (server.run != NONE).then_some(server),
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
        let mut cursor = Cursor::new(Names::Indexes);
        let server = Server {
            run: "5ce7a5".to_owned(),
            epoch: 7,
            slots: "0-5460,6000".parse().unwrap(),
        };
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
                for server in [None, Some(server.clone())] {
                    cursor.server = server;
                    let public = cursor.to_public();
                    assert_eq!(Cursor::read(Names::Indexes, &public).unwrap(), cursor);
                    assert!(Cursor::read(Names::Sessions, &public).is_err());
                }
                cursor.done.add(&"10923-16383".parse().unwrap());
            }
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "sessions",
            "sessions - - 0 -",
            "sessions 0-16384 - 0 - 0",
            "sessions 7-6 - 0 - 0",
            "sessions - - 0 - -1",
            "sessions - - x - 0",
            "sessions - - 0 - 0 ",
            "sessions - - 0 - 0 0 4 ann",
            "sessions - - 0 - 0 0 1 \u{e9}",
            "sessions - - 0 - 0 0 3 annx",
        ] {
            let cursor = ScanCursor::new(text.as_bytes().to_vec());
            assert!(Cursor::read(Names::Sessions, &cursor).is_err(), "{text}");
        }
    }
}

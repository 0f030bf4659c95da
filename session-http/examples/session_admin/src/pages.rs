//! Reading a whole store, page by page.

use std::time::SystemTime;

use session_core::store::{ByteString, Listed, RecordScan, ScanCursor, StoreError};
use session_core::{SessionId, Timestamp};

use crate::output::Output;

/// How many sessions or entries a page should have.
const PAGE: usize = 500;

pub(crate) fn now() -> Timestamp {
    SystemTime::now().into()
}

/// The sessions of a store, a page at a time. Some may be in two pages.
pub(crate) struct Sessions<'a> {
    scan: &'a dyn RecordScan,
    next: Next,
    count: u64,
}

/// The entries of its index, likewise.
pub(crate) struct Entries<'a> {
    scan: &'a dyn RecordScan,
    next: Next,
    count: u64,
}

enum Next {
    First,
    At(ScanCursor),
    Over,
}

impl Next {
    fn cursor(&self) -> Option<Option<&ScanCursor>> {
        match self {
            Self::First => Some(None),
            Self::At(cursor) => Some(Some(cursor)),
            Self::Over => None,
        }
    }

    fn after(next: Option<ScanCursor>) -> Self {
        next.map_or(Self::Over, Self::At)
    }
}

impl<'a> Sessions<'a> {
    pub(crate) fn of(scan: &'a dyn RecordScan) -> Self {
        Self {
            scan,
            next: Next::First,
            count: 0,
        }
    }

    pub(crate) async fn next(
        &mut self,
        output: &Output,
    ) -> Result<Option<Vec<Listed>>, StoreError> {
        let Some(from) = self.next.cursor() else {
            output.clear();
            return Ok(None);
        };
        let page = self.scan.scan_records(from, PAGE).await?;
        self.count += page.sessions.len() as u64;
        output.progress("sessions read", self.count);
        self.next = Next::after(page.next);
        Ok(Some(page.sessions))
    }
}

impl<'a> Entries<'a> {
    pub(crate) fn of(scan: &'a dyn RecordScan) -> Self {
        Self {
            scan,
            next: Next::First,
            count: 0,
        }
    }

    pub(crate) async fn next(
        &mut self,
        output: &Output,
    ) -> Result<Option<Vec<(ByteString, SessionId)>>, StoreError> {
        let Some(from) = self.next.cursor() else {
            output.clear();
            return Ok(None);
        };
        let page = self.scan.scan_index(from, PAGE).await?;
        self.count += page.entries.len() as u64;
        output.progress("entries of the index read", self.count);
        self.next = Next::after(page.next);
        Ok(Some(page.entries))
    }
}

//! Reading a whole store, page by page.

use std::marker::PhantomData;
use std::time::SystemTime;

use session_core::Timestamp;
use session_core::store::{IndexPage, RecordScan, ScanCursor, ScanPage, StoreError};

use crate::output::Output;

/// How many sessions or entries a page should have.
const PAGE: usize = 500;

pub(crate) fn now() -> Timestamp {
    SystemTime::now().into()
}

/// What a scan reads: sessions, or entries of the index.
pub(crate) trait Page: Sized {
    /// What the progress counts.
    const WHAT: &'static str;

    async fn read(scan: &dyn RecordScan, from: Option<&ScanCursor>) -> Result<Self, StoreError>;

    /// How much it has, and where the next one begins.
    fn count_and_next(&mut self) -> (usize, Option<ScanCursor>);
}

impl Page for ScanPage {
    const WHAT: &'static str = "sessions read";

    async fn read(scan: &dyn RecordScan, from: Option<&ScanCursor>) -> Result<Self, StoreError> {
        scan.scan_records(from, PAGE).await
    }

    fn count_and_next(&mut self) -> (usize, Option<ScanCursor>) {
        (self.sessions.len(), self.next.take())
    }
}

impl Page for IndexPage {
    const WHAT: &'static str = "entries of the index read";

    async fn read(scan: &dyn RecordScan, from: Option<&ScanCursor>) -> Result<Self, StoreError> {
        scan.scan_index(from, PAGE).await
    }

    fn count_and_next(&mut self) -> (usize, Option<ScanCursor>) {
        (self.entries.len(), self.next.take())
    }
}

/// The pages of a store. A session or an entry may be in two of them.
pub(crate) struct Pages<'a, P> {
    scan: &'a dyn RecordScan,
    next: Next,
    count: u64,
    page: PhantomData<P>,
}

enum Next {
    First,
    At(ScanCursor),
    Over,
}

impl<'a, P: Page> Pages<'a, P> {
    pub(crate) fn of(scan: &'a dyn RecordScan) -> Self {
        Self {
            scan,
            next: Next::First,
            count: 0,
            page: PhantomData,
        }
    }

    pub(crate) async fn next(&mut self, output: &Output) -> Result<Option<P>, StoreError> {
        let from = match &self.next {
            Next::First => None,
            Next::At(cursor) => Some(cursor),
            Next::Over => {
                output.clear();
                return Ok(None);
            }
        };
        let mut page = P::read(self.scan, from).await?;
        let (count, next) = page.count_and_next();
        self.count += count as u64;
        output.progress(P::WHAT, self.count);
        self.next = next.map_or(Next::Over, Next::At);
        Ok(Some(page))
    }
}

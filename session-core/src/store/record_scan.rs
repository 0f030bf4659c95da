//! Reading a whole store, and mending its index: an optional trait for the tools of operators.

use async_trait::async_trait;
use bytestring::ByteString;

use crate::error::StoreError;
use crate::record::{Ended, SessionId};
use crate::store::{Listed, ScanCursor};
use crate::time::Timestamp;

/// Reads every session of a store in pages, and mends the index of principals.
///
/// It is for the tools of operators: to count sessions, to find damaged ones, to copy them to
/// another store. No manager calls it, and no request does. A store that can do it returns itself
/// from [`SessionStore::scan`](crate::store::SessionStore::scan). The contract is on that trait.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # use session_core::{Lifetime, MemoryStore, SessionId, Timestamp};
/// use session_core::store::{IndexMend, Record, SessionStore};
/// use std::sync::Arc;
///
/// # let now = Timestamp::from_millis(0);
/// # let id = |n| SessionId::from_bytes([n; 16]);
/// let store = MemoryStore::new();
/// for n in 0..5 {
///     let record = Record::new(id(n), "id", Lifetime::default(), now).with_principal("ann");
///     store.create(&Arc::new(record), now).await?;
/// }
///
/// let scan = store.scan().unwrap();
/// let (mut found, mut from) = (Vec::new(), None);
/// loop {
///     let page = scan.scan_records(from.as_ref(), 2).await?;
///     found.extend(page.sessions.iter().map(|listed| listed.id()));
///     let Some(next) = page.next else { break };
///     from = Some(next.to_string().parse().unwrap()); // it may be kept meanwhile
/// }
/// found.sort();
/// assert_eq!(found, [0, 1, 2, 3, 4].map(id));
///
/// assert_eq!(scan.scan_index(None, 10).await?.entries.len(), 5);
/// assert_eq!(scan.mend_index("ann", id(1), now).await?, IndexMend::Nothing);
/// # Ok::<_, session_core::SessionError>(()) }).unwrap();
/// ```
///
/// # Pages
///
/// The number that a caller asks for is a hint, and 0 is as good as 1. A page may have more, where
/// the server returns what it keeps together. It may have fewer, or nothing at all, and still be
/// followed by others. The scan is over when [`next`](ScanPage::next) is `None`.
///
/// A page makes a bounded number of steps on the server, however many sessions there are, and other
/// requests are served between them.
///
/// # A store around another
///
/// A store that wraps another passes the scan of the inner store on, as it does with its
/// [index](crate::store::PrincipalIndex). [`forward_store!`](crate::store::forward_store) writes
/// all methods.
#[async_trait]
pub trait RecordScan: Send + Sync {
    /// The next page of what is stored: records, also expired ones, marks, and those that cannot be
    /// read. Without a cursor it is the first page.
    ///
    /// A session may be returned twice.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unsupported`] if this store cannot have made the cursor; another error if the
    /// store failed. Then the same cursor can be used again.
    async fn scan_records(
        &self,
        from: Option<&ScanCursor>,
        most: usize,
    ) -> Result<ScanPage, StoreError>;

    /// The next page of the entries of the index: which principal's index names which session.
    /// Without a cursor it is the first page.
    ///
    /// It also returns the entries of sessions that are gone, or that belong to another principal
    /// by now. An entry may be returned twice.
    ///
    /// By default it returns none. That is for a store whose engine keeps the index, so that it
    /// cannot differ from the records.
    ///
    /// # Errors
    ///
    /// The same as [`scan_records`](Self::scan_records).
    async fn scan_index(
        &self,
        from: Option<&ScanCursor>,
        most: usize,
    ) -> Result<IndexPage, StoreError> {
        let _ = most;
        match from {
            None => Ok(IndexPage::new(Vec::new(), None)),
            Some(_) => Err(ScanCursor::not_of_this_store()),
        }
    }

    /// Makes the index of a principal agree with one session, and returns what had to be done.
    ///
    /// It adds the entry of a live session of this principal, and removes the entry of a session
    /// that is gone or belongs to somebody else. It is safe alongside running requests, and it
    /// never ends a session. The index of any other principal stays as it is.
    ///
    /// By default there is nothing to do, as in [`scan_index`](Self::scan_index).
    ///
    /// # Errors
    ///
    /// If the store failed.
    async fn mend_index(
        &self,
        principal: &str,
        id: SessionId,
        now: Timestamp,
    ) -> Result<IndexMend, StoreError> {
        let _ = (principal, id, now);
        Ok(IndexMend::Nothing)
    }

    /// Deletes what is stored under this id if it cannot be read, and leaves a mark that says when
    /// and why. Returns whether there was such a thing.
    ///
    /// A record that can be read stays, also one that takes the place of the damaged one at the
    /// same moment. That is what [`delete`](crate::store::SessionStore::delete) after a look cannot
    /// promise. The entry of an index that named it may stay: [`mend_index`](Self::mend_index)
    /// removes it.
    ///
    /// By default it is not supported.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unsupported`] if this store has no such operation; [`StoreError::Corrupt`] if
    /// it cannot compare what is there, which then stays; another error if the store failed.
    async fn delete_unreadable(&self, id: SessionId, ended: Ended) -> Result<bool, StoreError> {
        let _ = (id, ended);
        Err(StoreError::Unsupported(
            "deleting a record only if it cannot be read; delete it by its id",
        ))
    }
}

/// A page of what is stored.
///
/// ```
/// use session_core::store::ScanPage;
///
/// let last = ScanPage::new(Vec::new(), None).with_foreign(2);
/// assert!(last.next.is_none());
/// assert_eq!(last.foreign, 2);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ScanPage {
    /// The sessions of this page.
    pub sessions: Vec<Listed>,
    /// Where the next page begins, or `None` at the end.
    pub next: Option<ScanCursor>,
    /// How many things this page has passed over because no session can have their name: another
    /// program has put them among the sessions. There are at least so many. A store in Redis counts
    /// only names that are as long as those of sessions.
    pub foreign: u64,
}

impl ScanPage {
    /// A page, and where the next one begins.
    ///
    /// [`ScanPage`] has an example.
    pub fn new(sessions: Vec<Listed>, next: Option<ScanCursor>) -> Self {
        Self {
            sessions,
            next,
            foreign: 0,
        }
    }

    /// The same page, which has passed over so many things of other programs.
    ///
    /// [`ScanPage`] has an example.
    #[must_use]
    pub fn with_foreign(self, foreign: u64) -> Self {
        Self { foreign, ..self }
    }
}

/// A page of the entries of the index.
///
/// ```
/// use session_core::SessionId;
/// use session_core::store::IndexPage;
///
/// let page = IndexPage::new(vec![("ann".into(), SessionId::from_bytes([7; 16]))], None);
/// assert_eq!(page.entries[0].0, "ann");
/// assert!(page.next.is_none());
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct IndexPage {
    /// Each entry: the principal whose index has it, and the id that it names.
    pub entries: Vec<(ByteString, SessionId)>,
    /// Where the next page begins, or `None` at the end.
    pub next: Option<ScanCursor>,
}

impl IndexPage {
    /// A page, and where the next one begins.
    ///
    /// [`IndexPage`] has an example.
    pub fn new(entries: Vec<(ByteString, SessionId)>, next: Option<ScanCursor>) -> Self {
        Self { entries, next }
    }
}

impl std::fmt::Debug for IndexPage {
    /// Shows how many entries there are, and no principal.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IndexPage")
            .field("entries", &self.entries.len())
            .field("next", &self.next)
            .finish()
    }
}

/// What [`mend_index`](RecordScan::mend_index) had to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IndexMend {
    /// The index agrees with the session.
    Nothing,
    /// The entry was missing, and was added.
    EntryAdded,
    /// The entry named a session that is gone or belongs to somebody else, and was removed.
    EntryRemoved,
    /// The entry names no session of this principal. A sign-in that is about to create the session
    /// may have written it, so it stays for now. A call more than a minute later removes it, if
    /// there is still no session.
    EntryWaits,
}

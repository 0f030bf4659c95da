//! One case at work: the store, the time, and a log of what was called.

use std::error::Error as _;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::edit::Edit;
use super::rng::Rng;
use crate::error::StoreError;
use crate::record::{EndReason, Ended, Record, SessionId};
use crate::store::{
    IndexMend, IndexPage, Listed, RecordKey, RecordLocation, Revalidated, ScanCursor, ScanPage,
    SessionStore, Updated, index_of, scan_of,
};
use crate::time::Timestamp;

/// Why a case did not pass.
pub(super) enum Stop {
    Failed(String),
    LeftOut(String),
}

pub(super) type Check<T = ()> = Result<T, Stop>;

/// Ends a case as failed, with a reason, unless something holds.
macro_rules! ensure {
    ($holds:expr, $($reason:tt)+) => {
        if !$holds {
            return Err($crate::store::conformance::trial::Stop::Failed(format!($($reason)+)));
        }
    };
}
pub(super) use ensure;

/// Ends a case as failed, with a reason.
pub(super) fn failed<T>(reason: impl Into<String>) -> Check<T> {
    Err(Stop::Failed(reason.into()))
}

/// The answer of a call that has to succeed.
pub(super) fn succeeded<T>(call: &str, answer: Result<T, StoreError>) -> Check<T> {
    answer.or_else(|error| failed(format!("`{call}` failed: {}", describe(&error))))
}

pub(super) struct Trial {
    store: Box<dyn SessionStore>,
    case: &'static str,
    seed: u64,
    rounds: u32,
    round: AtomicU32,
    now: Timestamp,
    log: Mutex<Vec<String>>,
}

impl Trial {
    pub(super) fn new(
        store: Box<dyn SessionStore>,
        case: &'static str,
        seed: u64,
        rounds: u32,
        now: Timestamp,
    ) -> Self {
        Self {
            store,
            case,
            seed,
            rounds,
            round: AtomicU32::new(0),
            now,
            log: Mutex::default(),
        }
    }

    /// The time at which the case happens.
    pub(super) const fn now(&self) -> Timestamp {
        self.now
    }

    pub(super) fn is_sealed(&self) -> bool {
        matches!((*self.store).location(), RecordLocation::Client { .. })
    }

    pub(super) fn has_index(&self) -> bool {
        self.store.principals().is_some()
    }

    pub(super) fn has_scan(&self) -> bool {
        self.store.scan().is_some()
    }

    /// The random choices of a case that has one round.
    pub(super) fn rng(&self) -> Rng {
        Rng::new(self.seed, self.case, 0)
    }

    /// Each round's random choices; the log starts anew with each.
    pub(super) fn rounds(&self) -> impl Iterator<Item = Rng> + use<'_> {
        (1..=self.rounds).map(|round| {
            self.round.store(round, Ordering::Relaxed);
            self.log().clear();
            Rng::new(self.seed, self.case, round)
        })
    }

    pub(super) async fn load(&self, key: &RecordKey) -> Check<Option<Arc<Record>>> {
        self.load_at(key, self.now).await
    }

    /// What somebody could be let in by: an expired record is as good as none, and so is a mark.
    pub(super) async fn load_at(
        &self,
        key: &RecordKey,
        now: Timestamp,
    ) -> Check<Option<Arc<Record>>> {
        let found = self.load_raw(key, now).await?;
        Ok(found.filter(|record| record.is_live(now) && record.ended().is_none()))
    }

    /// What a session that ended has left, if that still counts.
    pub(super) async fn mark_at(&self, key: &RecordKey, now: Timestamp) -> Check<Option<Ended>> {
        let found = self.load_raw(key, now).await?;
        Ok(found
            .filter(|record| record.is_live(now))
            .and_then(|record| record.ended()))
    }

    /// The end of a session that ends now.
    pub(super) const fn ended(&self) -> Ended {
        Ended::new(EndReason::Revoked, self.now)
    }

    /// What the store answers, which may be an expired record.
    pub(super) async fn load_raw(
        &self,
        key: &RecordKey,
        now: Timestamp,
    ) -> Check<Option<Arc<Record>>> {
        let answer = |found: &Option<Arc<Record>>| match found {
            Some(record) => in_words(record, now),
            None => "none".into(),
        };
        let call = format!("load {key:?}");
        succeeded(
            "load",
            self.logged(call, now, self.store.load(key, now), answer)
                .await,
        )
    }

    /// What the store answers to somebody who has this record.
    pub(super) async fn revalidate_at(
        &self,
        key: &RecordKey,
        known: &Arc<Record>,
        now: Timestamp,
    ) -> Check<Revalidated> {
        let answer = |answer: &Revalidated| match answer {
            Revalidated::Unchanged => "unchanged".into(),
            Revalidated::Changed(record) => in_words(record, now),
            Revalidated::Gone => "gone".into(),
        };
        let call = format!("revalidate {key:?} {{known {}}}", known.version());
        let revalidated = self.store.revalidate(key, known, now);
        let revalidated = self.logged(call, now, revalidated, answer).await;
        succeeded("revalidate", revalidated)
    }

    /// A load that has to find something.
    pub(super) async fn find(&self, key: &RecordKey) -> Check<Arc<Record>> {
        match self.load(key).await? {
            Some(record) => Ok(record),
            None => failed("`load` found nothing where a live record has to be"),
        }
    }

    /// Creates a record that is not there yet.
    pub(super) async fn create(&self, record: &Arc<Record>) -> Check<RecordKey> {
        succeeded("create", self.try_create(record).await)
    }

    pub(super) async fn try_create(&self, record: &Arc<Record>) -> Result<RecordKey, StoreError> {
        let call = format!("create {:?}", record.id());
        let created = self.store.create(record, self.now);
        self.logged(call, self.now, created, |_| "created".into())
            .await
    }

    pub(super) async fn update(&self, key: &RecordKey, edit: &Edit) -> Check<Updated> {
        self.update_at(key, edit, self.now).await
    }

    pub(super) async fn update_at(
        &self,
        key: &RecordKey,
        edit: &Edit,
        now: Timestamp,
    ) -> Check<Updated> {
        succeeded("update", self.try_update_at(key, edit, now).await)
    }

    pub(super) async fn try_update(
        &self,
        key: &RecordKey,
        edit: &Edit,
    ) -> Result<Updated, StoreError> {
        self.try_update_at(key, edit, self.now).await
    }

    async fn try_update_at(
        &self,
        key: &RecordKey,
        edit: &Edit,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        let call = format!("update {key:?} {edit:?}");
        let update = edit.update();
        let updated = self.store.update(key, &update, now);
        self.logged(call, now, updated, name_of).await
    }

    /// An update that the store has to apply; hands back the key and checks the version.
    pub(super) async fn save(&self, key: &RecordKey, edit: &Edit) -> Check<RecordKey> {
        match self.update(key, edit).await? {
            Updated::Saved { key, version, .. } => {
                let next = edit.record.version();
                ensure!(
                    version == next,
                    "`update` says version {version} where it has to be {next}"
                );
                Ok(key)
            }
            other => failed(format!(
                "`update` on the loaded version has to be saved, but the store says {}",
                name_of(&other)
            )),
        }
    }

    pub(super) async fn delete(&self, key: &RecordKey) -> Check {
        self.delete_as(key, self.ended()).await
    }

    pub(super) async fn delete_as(&self, key: &RecordKey, ended: Ended) -> Check {
        let deleted = self.store.delete(key, ended);
        let call = format!("delete {key:?}");
        succeeded(
            "delete",
            self.logged(call, self.now, deleted, |()| "deleted".into())
                .await,
        )
    }

    pub(super) async fn try_list_of(
        &self,
        principal: &str,
        now: Timestamp,
    ) -> Result<Vec<Listed>, StoreError> {
        let listed = index_of(&*self.store)?.list_of(principal, now);
        let answer = |listed: &Vec<Listed>| format!("{} records", listed.len());
        self.logged(format!("list_of {principal:?}"), now, listed, answer)
            .await
    }

    pub(super) async fn delete_one_of(&self, principal: &str, id: SessionId) -> Check<bool> {
        succeeded("delete_one_of", self.try_delete_one_of(principal, id).await)
    }

    pub(super) async fn try_delete_one_of(
        &self,
        principal: &str,
        id: SessionId,
    ) -> Result<bool, StoreError> {
        let call = format!("delete_one_of {principal:?} {id:?}");
        let deleted = index_of(&*self.store)?.delete_one_of(principal, id, self.ended());
        let answer = |theirs: &bool| if *theirs { "ended" } else { "not theirs" }.into();
        self.logged(call, self.now, deleted, answer).await
    }

    pub(super) async fn delete_all_of(
        &self,
        principal: &str,
        except: Option<SessionId>,
    ) -> Check<u64> {
        succeeded(
            "delete_all_of",
            self.try_delete_all_of(principal, except).await,
        )
    }

    pub(super) async fn try_delete_all_of(
        &self,
        principal: &str,
        except: Option<SessionId>,
    ) -> Result<u64, StoreError> {
        let call = format!("delete_all_of {principal:?} except {except:?}");
        let deleted = index_of(&*self.store)?.delete_all_of(principal, except, self.ended());
        self.logged(call, self.now, deleted, |count| format!("{count} ended"))
            .await
    }

    pub(super) async fn scan_records(
        &self,
        from: Option<&ScanCursor>,
        most: usize,
    ) -> Check<ScanPage> {
        succeeded("scan_records", self.try_scan_records(from, most).await)
    }

    pub(super) async fn try_scan_records(
        &self,
        from: Option<&ScanCursor>,
        most: usize,
    ) -> Result<ScanPage, StoreError> {
        let call = format!(
            "scan_records {most}{}",
            from.map_or("", |_| " from a cursor")
        );
        let page = scan_of(&*self.store)?.scan_records(from, most);
        let answer = |page: &ScanPage| in_page(page.sessions.len(), page.next.as_ref());
        self.logged(call, self.now, page, answer).await
    }

    pub(super) async fn scan_index(
        &self,
        from: Option<&ScanCursor>,
        most: usize,
    ) -> Check<IndexPage> {
        succeeded("scan_index", self.try_scan_index(from, most).await)
    }

    pub(super) async fn try_scan_index(
        &self,
        from: Option<&ScanCursor>,
        most: usize,
    ) -> Result<IndexPage, StoreError> {
        let call = format!("scan_index {most}{}", from.map_or("", |_| " from a cursor"));
        let page = scan_of(&*self.store)?.scan_index(from, most);
        let answer = |page: &IndexPage| in_page(page.entries.len(), page.next.as_ref());
        self.logged(call, self.now, page, answer).await
    }

    pub(super) async fn mend_index(
        &self,
        principal: &str,
        id: SessionId,
        now: Timestamp,
    ) -> Check<IndexMend> {
        let call = format!("mend_index {principal:?} {id:?}");
        let mended = match scan_of(&*self.store) {
            Ok(scan) => scan.mend_index(principal, id, now),
            Err(error) => return succeeded("mend_index", Err(error)),
        };
        let mended = self
            .logged(call, now, mended, |mended| format!("{mended:?}"))
            .await;
        succeeded("mend_index", mended)
    }

    pub(super) async fn delete_unreadable(&self, id: SessionId) -> Result<bool, StoreError> {
        let ended = Ended::new(EndReason::Revoked, self.now);
        let deleted = scan_of(&*self.store)?.delete_unreadable(id, ended);
        let answer = |deleted: &bool| format!("{deleted}");
        let call = format!("delete_unreadable {id:?}");
        self.logged(call, self.now, deleted, answer).await
    }

    pub(super) async fn delete_expired(&self, now: Timestamp) -> Check<u64> {
        let call = "delete_expired".into();
        let removed = self.store.delete_expired(now);
        let removed = self
            .logged(call, now, removed, |count| format!("{count} removed"))
            .await;
        succeeded("delete_expired", removed)
    }

    /// The answer of the store to a call, which the log has then.
    async fn logged<T: Send>(
        &self,
        mut line: String,
        now: Timestamp,
        call: impl Future<Output = Result<T, StoreError>> + Send,
        in_words: impl FnOnce(&T) -> String + Send,
    ) -> Result<T, StoreError> {
        let answer = call.await;
        let ahead = now.duration_since(self.now);
        if !ahead.is_zero() {
            let _ = write!(line, ", {} ms later", ahead.as_millis());
        }
        let _ = write!(
            line,
            " -> {}",
            answer.as_ref().map_or_else(describe, in_words)
        );
        self.remark(line);
        answer
    }

    /// Adds a line to the log.
    pub(super) fn remark(&self, line: impl Into<String>) {
        self.log().push(line.into());
    }

    /// The reason with all that helps to find the fault.
    pub(super) fn explain(&self, reason: &str) -> String {
        const LINES: usize = 48;
        let mut text = match self.round.load(Ordering::Relaxed) {
            0 => reason.to_owned(),
            round => format!("{reason} (round {round})"),
        };
        let log = self.log();
        if !log.is_empty() {
            text.push_str("\ncalls, in the order of their answers:");
        }
        if log.len() > LINES {
            let _ = write!(text, "\n  .. {} before", log.len() - LINES);
        }
        for line in log.iter().skip(log.len().saturating_sub(LINES)) {
            let _ = write!(text, "\n  {line}");
        }
        text
    }

    fn log(&self) -> MutexGuard<'_, Vec<String>> {
        lock(&self.log)
    }
}

/// Nothing here panics while it holds a lock, so poison means nothing.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A page of a scan, in words.
fn in_page(count: usize, next: Option<&ScanCursor>) -> String {
    format!("{count}{}", next.map_or(", the last page", |_| ""))
}

/// A record that a store returned, in words.
fn in_words(record: &Record, now: Timestamp) -> String {
    match record {
        _ if record.ended().is_some() => "a mark".into(),
        _ if record.is_live(now) => format!("version {}", record.version()),
        _ => format!("version {}, expired", record.version()),
    }
}

/// What a store answered to an update, in words.
pub(super) fn name_of(updated: &Updated) -> String {
    match updated {
        Updated::Saved { version, .. } => format!("saved as version {version}"),
        Updated::Conflict {
            current: Some(record),
            ..
        } => format!("conflict with version {}", record.version()),
        Updated::Conflict { current: None, .. } => "conflict".into(),
        Updated::Gone => "gone".into(),
    }
}

/// An error with all its causes.
pub(super) fn describe(error: &StoreError) -> String {
    let mut text = format!("error \"{error}\"");
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(text, ", because \"{error}\"");
        cause = error.source();
    }
    text
}

//! One case at work: the store, the time, and a log of what was called.

use std::error::Error as _;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::edit::Edit;
use super::rng::Rng;
use crate::error::StoreError;
use crate::record::{EndReason, Ended, Record, SessionId};
use crate::store::{Capability, Key, Listed, SessionStore, Updated};
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
            return Err($crate::conformance::trial::Stop::Failed(format!($($reason)+)));
        }
    };
}
pub(super) use ensure;

/// Ends a case as failed, with a reason.
pub(super) fn failed<T>(reason: impl Into<String>) -> Check<T> {
    Err(Stop::Failed(reason.into()))
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
        matches!((*self.store).capability(), Capability::Client { .. })
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

    pub(super) async fn load(&self, key: &Key) -> Check<Option<Arc<Record>>> {
        self.load_at(key, self.now).await
    }

    /// What somebody could be let in by: an expired record is as good as none, and so is a mark.
    pub(super) async fn load_at(&self, key: &Key, now: Timestamp) -> Check<Option<Arc<Record>>> {
        let found = self.load_raw(key, now).await?;
        Ok(found.filter(|record| record.is_live(now) && record.ended().is_none()))
    }

    /// What a session that ended has left, if that still counts.
    pub(super) async fn mark_at(&self, key: &Key, now: Timestamp) -> Check<Option<Ended>> {
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
    pub(super) async fn load_raw(&self, key: &Key, now: Timestamp) -> Check<Option<Arc<Record>>> {
        let answer = (*self.store).load(key, now).await;
        self.note(format_args!("load {key:?}"), now, || match &answer {
            Ok(Some(record)) if record.ended().is_some() => "a mark".into(),
            Ok(Some(record)) if record.is_live(now) => format!("version {}", record.version()),
            Ok(Some(record)) => format!("version {}, expired", record.version()),
            Ok(None) => "none".into(),
            Err(error) => describe(error),
        });
        answer.or_else(|error| failed(format!("`load` failed: {}", describe(&error))))
    }

    /// A load that has to find something.
    pub(super) async fn find(&self, key: &Key) -> Check<Arc<Record>> {
        match self.load(key).await? {
            Some(record) => Ok(record),
            None => failed("`load` found nothing where a live record has to be"),
        }
    }

    /// Creates a record that is not there yet.
    pub(super) async fn create(&self, record: &Arc<Record>) -> Check<Key> {
        match self.try_create(record).await {
            Ok(key) => Ok(key),
            Err(error) => failed(format!("`create` failed: {}", describe(&error))),
        }
    }

    pub(super) async fn try_create(&self, record: &Arc<Record>) -> Result<Key, StoreError> {
        let answer = (*self.store).create(record, self.now).await;
        self.note(
            format_args!("create {:?}", record.id()),
            self.now,
            || match &answer {
                Ok(_) => "created".into(),
                Err(error) => describe(error),
            },
        );
        answer
    }

    pub(super) async fn update(&self, key: &Key, edit: &Edit) -> Check<Updated> {
        self.update_at(key, edit, self.now).await
    }

    pub(super) async fn update_at(&self, key: &Key, edit: &Edit, now: Timestamp) -> Check<Updated> {
        match self.try_update_at(key, edit, now).await {
            Ok(updated) => Ok(updated),
            Err(error) => failed(format!("`update` failed: {}", describe(&error))),
        }
    }

    pub(super) async fn try_update(&self, key: &Key, edit: &Edit) -> Result<Updated, StoreError> {
        self.try_update_at(key, edit, self.now).await
    }

    async fn try_update_at(
        &self,
        key: &Key,
        edit: &Edit,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        let answer = (*self.store).update(key, edit.update(), now).await;
        self.note(
            format_args!("update {key:?} {edit:?}"),
            now,
            || match &answer {
                Ok(updated) => name_of(updated),
                Err(error) => describe(error),
            },
        );
        answer
    }

    /// An update that the store has to apply; hands back the key and checks the version.
    pub(super) async fn save(&self, key: &Key, edit: &Edit) -> Check<Key> {
        match self.update(key, edit).await? {
            Updated::Saved { key, version } => {
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

    pub(super) async fn delete(&self, key: &Key) -> Check {
        self.delete_as(key, self.ended()).await
    }

    pub(super) async fn delete_as(&self, key: &Key, ended: Ended) -> Check {
        let answer = (*self.store).delete(key, ended).await;
        self.note(format_args!("delete {key:?}"), self.now, || match &answer {
            Ok(()) => "deleted".into(),
            Err(error) => describe(error),
        });
        answer.or_else(|error| failed(format!("`delete` failed: {}", describe(&error))))
    }

    pub(super) async fn try_list(
        &self,
        principal: &str,
        now: Timestamp,
    ) -> Result<Vec<Listed>, StoreError> {
        let answer = (*self.store).list(principal, now).await;
        self.note(format_args!("list {principal:?}"), now, || match &answer {
            Ok(listed) => format!("{} records", listed.len()),
            Err(error) => describe(error),
        });
        answer
    }

    pub(super) async fn try_delete_one(
        &self,
        principal: &str,
        id: SessionId,
    ) -> Result<bool, StoreError> {
        let answer = (*self.store).delete_one(principal, id, self.ended()).await;
        self.note(
            format_args!("delete_one {principal:?} {id:?}"),
            self.now,
            || match &answer {
                Ok(true) => "ended".into(),
                Ok(false) => "not theirs".into(),
                Err(error) => describe(error),
            },
        );
        answer
    }

    pub(super) async fn try_delete_all(
        &self,
        principal: &str,
        except: Option<SessionId>,
    ) -> Result<u64, StoreError> {
        let answer = (*self.store)
            .delete_all(principal, except, self.ended())
            .await;
        self.note(
            format_args!("delete_all {principal:?} except {except:?}"),
            self.now,
            || match &answer {
                Ok(ended) => format!("{ended} ended"),
                Err(error) => describe(error),
            },
        );
        answer
    }

    pub(super) async fn delete_expired(&self, now: Timestamp) -> Check<u64> {
        let answer = (*self.store).delete_expired(now).await;
        self.note(format_args!("delete_expired"), now, || match &answer {
            Ok(removed) => format!("{removed} removed"),
            Err(error) => describe(error),
        });
        answer.or_else(|error| failed(format!("`delete_expired` failed: {}", describe(&error))))
    }

    /// Adds a line to the log.
    pub(super) fn remark(&self, line: impl Into<String>) {
        self.log().push(line.into());
    }

    fn note(&self, call: std::fmt::Arguments<'_>, now: Timestamp, answer: impl FnOnce() -> String) {
        let mut line = call.to_string();
        let ahead = now.since(self.now);
        if !ahead.is_zero() {
            let _ = write!(line, ", {} ms later", ahead.as_millis());
        }
        let _ = write!(line, " -> {}", answer());
        self.remark(line);
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

/// What a store answered to an update, in words.
pub(super) fn name_of(updated: &Updated) -> String {
    match updated {
        Updated::Saved { version, .. } => format!("saved as version {version}"),
        Updated::Conflict(Some(record)) => format!("conflict with version {}", record.version()),
        Updated::Conflict(None) => "conflict".into(),
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

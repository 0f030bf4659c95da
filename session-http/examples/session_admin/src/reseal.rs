//! Sealing the values of all sessions again, with the newest key.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::json;
use session_core::store::{Record, RecordKey, ScanPage, SessionStore, StoreError, scan_of};
use session_core::{
    Codec, KeyRing, Resealed, SessionError, SessionId, SessionManager, ValueSealing,
};

use crate::interrupt::Interrupt;
use crate::output::{Failure, Output, with_causes};
use crate::pages::{Pages, now};

/// Which sessions are sealed.
pub(crate) struct Chosen {
    /// All scopes if there is none.
    pub(crate) scope: Option<String>,
    pub(crate) plain: Plain,
}

/// What happens to values that are not sealed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plain {
    /// A session without a sealed value is left alone: its site may have no keys for it. One with
    /// some of both is reported: somebody else may have added the plain ones.
    Left,
    Sealed,
}

/// What it has done, which it also says if it fails.
#[derive(Default)]
struct Counts {
    resealed: u64,
    current: u64,
    unopened: u64,
    unreadable: u64,
    gone: u64,
    plain: u64,
    other_scope: u64,
    /// Nobody knows whether they were sealed again.
    left: u64,
}

pub(crate) async fn reseal(
    store: Arc<dyn SessionStore>,
    keys: &KeyRing,
    chosen: &Chosen,
    output: &Output,
) -> Result<(), Failure> {
    let mut work = Work {
        store,
        keys,
        chosen,
        output,
        managers: HashMap::new(),
        counts: Counts::default(),
    };
    let done = work.all().await;
    let Counts {
        resealed,
        current,
        unopened,
        unreadable,
        gone,
        plain,
        other_scope,
        left,
    } = work.counts;
    output.result(
        &format!(
            "sealed {resealed} sessions again; {current} were of the newest key already, \
             {unopened} have values that do not open, {unreadable} cannot be read, {gone} have \
             ended or expired, {plain} have no sealed value, {other_scope} are of other scopes, \
             {left} are left"
        ),
        &json!({
            "resealed": resealed, "current": current, "unopened": unopened,
            "unreadable": unreadable, "gone": gone, "plain": plain,
            "other_scope": other_scope, "left": left,
        }),
    );
    done?;
    match (left, unopened + unreadable) {
        (1.., _) => Err(Failure::failed(
            "requests or the store were in the way at some sessions; run it again",
        )),
        (0, 0) => Ok(()),
        (0, _) => Err(Failure::Damage(
            "some sessions have values that do not open with any of the keys or are not sealed, \
             or cannot be read; they were left as they are: add the key that is missing, or keep \
             the old keys until they have expired"
                .to_owned(),
        )),
    }
}

/// Sealing all sessions of a store again.
struct Work<'a> {
    store: Arc<dyn SessionStore>,
    keys: &'a KeyRing,
    chosen: &'a Chosen,
    output: &'a Output,
    /// By scope.
    managers: HashMap<String, SessionManager>,
    counts: Counts,
}

impl Work<'_> {
    async fn all(&mut self) -> Result<(), Failure> {
        let (interrupt, store) = (Interrupt::listen(), Arc::clone(&self.store));
        let (mut seen, mut later) = (HashSet::new(), Vec::new());
        let mut pages = Pages::<ScanPage>::of(scan_of(&store)?);
        while let Some(page) = pages.next(self.output).await? {
            for listed in page.sessions {
                interrupt.check().inspect_err(|_| self.leave(&later))?;
                if !seen.insert(listed.id()) {
                    continue;
                }
                let Some(record) = listed.record() else {
                    self.counts.unreadable += 1;
                    continue;
                };
                match self.one(record).await {
                    Ok(None) => {}
                    Ok(Some(why)) => later.push((record.id(), why)),
                    Err(failure) => {
                        self.leave(&later);
                        return Err(failure);
                    }
                }
            }
        }
        let mut left = Vec::new();
        for (id, _) in later {
            let why = match store.load(&RecordKey::Id(id), now()).await {
                Ok(Some(record)) => self.one(&record).await?,
                Ok(None) => {
                    self.counts.gone += 1;
                    None
                }
                Err(error) => Some(with_causes(&error)),
            };
            left.extend(why.map(|why| (id, why)));
        }
        self.leave(&left);
        Ok(())
    }

    /// Counts and reports sessions of which nobody knows whether they were sealed again.
    fn leave(&mut self, left: &[(SessionId, String)]) {
        self.counts.left += left.len() as u64;
        for (id, why) in left {
            self.report("left", *id, why);
        }
    }

    /// One session. If requests or the store were in the way: why, and it can be tried again.
    async fn one(&mut self, record: &Arc<Record>) -> Result<Option<String>, Failure> {
        if record.ended().is_some() {
            self.counts.gone += 1;
            return Ok(None);
        }
        let scope = self.chosen.scope.as_deref();
        if scope.is_some_and(|scope| scope != record.scope()) {
            self.counts.other_scope += 1;
            return Ok(None);
        }
        if self.chosen.plain == Plain::Left && !has_sealed(record) {
            match record.is_live(now()) {
                true => self.counts.plain += 1,
                false => self.counts.gone += 1,
            }
            return Ok(None);
        }
        // What has expired since it was read may have been used meanwhile: the manager looks.
        let resealed = self.manager(record.scope())?.reseal(record).await;
        match resealed {
            Ok(Resealed::Done) => self.counts.resealed += 1,
            Ok(Resealed::Current) => self.counts.current += 1,
            Ok(Resealed::Unopened(error)) => {
                self.counts.unopened += 1;
                self.report("unopened", record.id(), &with_causes(&error));
            }
            Ok(Resealed::OtherScope) => self.counts.other_scope += 1,
            Ok(_) => self.counts.gone += 1,
            Err(SessionError::Store(StoreError::Corrupt(_))) => self.counts.unreadable += 1,
            Err(
                error @ (SessionError::Contended
                | SessionError::Store(StoreError::OutcomeUnknown(_))),
            ) => return Ok(Some(with_causes(&error))),
            Err(error) => return Err(Failure::failed(with_causes(&error))),
        }
        Ok(None)
    }

    fn manager(&mut self, scope: &str) -> Result<&SessionManager, Failure> {
        match self.managers.entry(scope.to_owned()) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let sealing = ValueSealing::new(self.keys.clone());
                let sealing = match self.chosen.plain {
                    Plain::Left => sealing.sealed_only(),
                    Plain::Sealed => sealing,
                };
                let builder = SessionManager::builder(Arc::clone(&self.store));
                let manager = builder.scope(scope).seal_values(sealing).build();
                let manager = manager
                    .map_err(|error| Failure::failed(format!("scope {scope:?}: {error}")))?;
                Ok(entry.insert(manager))
            }
        }
    }

    fn report(&self, what: &str, id: SessionId, why: &str) {
        let id = id.encode();
        self.output.result(
            &format!("{what}  {id}  {why}"),
            &json!({ what: id, "why": why }),
        );
    }
}

fn has_sealed(record: &Record) -> bool {
    let mut values = record.values().iter();
    values.any(|(_, value)| value.codec() == Codec::Sealed)
}

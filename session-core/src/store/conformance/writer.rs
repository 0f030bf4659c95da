//! A request that writes, as the session manager would.

use std::sync::Arc;

use super::edit::Edit;
use super::rng::Rng;
use super::trial::{Check, Trial, failed};
use crate::record::Record;
use crate::store::{RecordKey, Updated};

/// Far more than a writer needs where each conflict means that another one has written.
const ATTEMPTS: usize = 64;

pub(super) struct Writer<'a> {
    trial: &'a Trial,
    key: &'a RecordKey,
    /// A record that was stored once, the latest that this writer knows of.
    base: Arc<Record>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(trial: &'a Trial, key: &'a RecordKey, base: &Arc<Record>) -> Self {
        Self {
            trial,
            key,
            base: Arc::clone(base),
        }
    }

    /// Loads the record anew; whether it is still there.
    pub(super) async fn reload(&mut self) -> Check<bool> {
        let found = self.trial.load(self.key).await?;
        let there = found.is_some();
        if let Some(record) = found {
            self.base = record;
        }
        Ok(there)
    }

    /// Writes what `edit` makes of the record, anew after each conflict: the version that
    /// the store says was saved, or `None` once the record is gone.
    pub(super) async fn write(
        &mut self,
        rng: &mut Rng,
        mut edit: impl FnMut(&Record) -> Edit + Send,
    ) -> Check<Option<u64>> {
        for _ in 0..ATTEMPTS {
            let edit = edit(&self.base);
            match self.trial.update(self.key, &edit).await? {
                Updated::Saved { version, .. } => {
                    // Any other version is a merge, whose result this writer has not seen.
                    if version == edit.record.version() {
                        self.base = edit.record;
                    }
                    return Ok(Some(version));
                }
                Updated::Conflict {
                    current: Some(fresh),
                } if rng.coin() => self.base = fresh,
                Updated::Conflict { .. } => {
                    if !self.reload().await? {
                        return Ok(None);
                    }
                }
                Updated::Gone => return Ok(None),
            }
        }
        failed(format!(
            "`update` says conflict {ATTEMPTS} times in a row, each time with what was loaded just \
             before"
        ))
    }
}

//! What a case expects of the store, and what it reports when the store does otherwise.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::edit::Edit;
use super::sample::same;
use super::trial::{Check, Trial, describe, ensure, failed, name_of, succeeded};
use crate::record::Record;
use crate::store::{Listed, RecordKey, Updated};
use crate::time::Timestamp;

impl Trial {
    /// A new record that the store has, and its key.
    pub(super) async fn created(&self) -> Check<(RecordKey, Arc<Record>)> {
        let record = Arc::new(self.record()?);
        Ok((self.create(&record).await?, record))
    }

    /// `load` has to return this record.
    pub(super) async fn expect(&self, key: &RecordKey, expected: &Record, when: &str) -> Check {
        same(expected, self.load(key).await?, when)
    }

    /// [`save`](Self::save), after which `load` has to return the record of the edit.
    pub(super) async fn save_and_expect(
        &self,
        key: &RecordKey,
        edit: &Edit,
        when: &str,
    ) -> Check<RecordKey> {
        let key = self.save(key, edit).await?;
        self.expect(&key, &edit.record, when).await?;
        Ok(key)
    }

    /// `load` has to return nothing; `fault` is what it has done otherwise.
    pub(super) async fn expect_none(&self, key: &RecordKey, fault: &str) -> Check {
        ensure!(self.load(key).await?.is_none(), "{fault}");
        Ok(())
    }

    pub(super) async fn expect_deleted(&self, key: &RecordKey, when: &str) -> Check {
        let fault = format!("`load` finds a deleted record after {when}");
        self.expect_none(key, &fault).await
    }

    /// `update` has to say `Gone`.
    pub(super) async fn expect_gone(&self, key: &RecordKey, edit: &Edit, of: &str) -> Check {
        self.expect_gone_at(key, edit, self.now(), of).await
    }

    pub(super) async fn expect_gone_at(
        &self,
        key: &RecordKey,
        edit: &Edit,
        now: Timestamp,
        of: &str,
    ) -> Check {
        match self.update_at(key, edit, now).await? {
            Updated::Gone => Ok(()),
            other => failed(format!(
                "`update` {of} has to be gone, but the store says {}",
                name_of(&other)
            )),
        }
    }

    /// `list_of` has to name these records, in any order.
    pub(super) async fn expect_listed(
        &self,
        name: &str,
        now: Timestamp,
        expected: &[Arc<Record>],
    ) -> Check {
        let listed = self.try_list_of(name, now).await;
        let listed = succeeded("list_of", listed)?;
        if let Some(Listed::Unreadable { error, .. }) =
            listed.iter().find(|listed| listed.record().is_none())
        {
            return failed(format!(
                "`list_of` cannot read a record that the store has written: {}",
                describe(error)
            ));
        }
        let ids: BTreeSet<_> = listed.iter().map(Listed::id).collect();
        let right: BTreeSet<_> = expected.iter().map(|record| record.id()).collect();
        ensure!(
            ids == right && listed.len() == right.len(),
            "`list_of` of {name:?} returns {} records, {} of them right; it has to be {}",
            listed.len(),
            ids.intersection(&right).count(),
            right.len()
        );
        for record in expected {
            let found = listed.iter().find(|found| found.id() == record.id());
            let found = found.and_then(Listed::record).cloned();
            same(record, found, "as `list_of` returns it")?;
        }
        Ok(())
    }
}

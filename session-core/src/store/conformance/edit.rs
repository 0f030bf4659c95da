//! Updates to try a store with, and the records that they should lead to.

use std::fmt;
use std::sync::Arc;

use crate::record::{Limits, Record, Tag};
use crate::store::{Changes, Metadata, Update};
use crate::time::Timestamp;

/// What makes an [`Update`].
#[derive(Clone)]
pub(super) struct Edit {
    pub(super) record: Arc<Record>,
    pub(super) changes: Changes,
    epoch: u64,
    base_tag: Option<Tag>,
    expected: Option<u64>,
    limits: Limits,
}

impl Edit {
    /// These changes to `base`, a record as the store holds or held it.
    pub(super) fn of(base: &Record, changes: Changes) -> Self {
        Self {
            record: Arc::new(changes.apply(base)),
            changes,
            epoch: base.epoch,
            base_tag: None,
            expected: None,
            limits: Limits::default(),
        }
    }

    /// `base` was seen at this time, and nothing else.
    pub(super) fn touching(base: &Record, seen: Timestamp) -> Self {
        Self::of(base, Changes::new().with_metadata(Metadata::Touched(seen)))
    }

    /// These changes to the values of `base`, and any others to its metadata.
    pub(super) fn replacing(
        base: &Record,
        changes: Changes,
        replace: impl FnOnce(&mut Record),
    ) -> Self {
        let edit = Self::of(base, changes.with_metadata(Metadata::Replaced));
        let mut record = (*edit.record).clone();
        replace(&mut record);
        Self {
            record: Arc::new(record),
            ..edit
        }
        .meeting(base.version)
    }

    /// The same, if the record still has this version.
    pub(super) fn meeting(self, version: u64) -> Self {
        Self {
            expected: Some(version),
            ..self
        }
    }

    /// The same by a request that loaded the record with its tag. A store that moves records to
    /// another one may say `Conflict` then, though nobody has written.
    pub(super) fn of_tag(self, base: &Record) -> Self {
        Self {
            base_tag: base.tag,
            ..self
        }
    }

    /// The same by a request that loaded this epoch.
    pub(super) fn of_epoch(self, epoch: u64) -> Self {
        Self { epoch, ..self }
    }

    /// The same within these limits.
    pub(super) fn within(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    pub(super) fn update(&self) -> Update {
        Update::new(Arc::clone(&self.record), self.changes.clone(), self.epoch)
            .with_base_tag(self.base_tag)
            .with_expected_version(self.expected)
            .with_limits(self.limits)
    }
}

impl fmt::Debug for Edit {
    /// One line for the log of calls.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: usize = 8;
        write!(f, "{{base {}", self.update().base_version())?;
        if let Some(version) = self.expected {
            write!(f, ", meets {version}")?;
        }
        if self.epoch > 0 {
            write!(f, ", epoch {}", self.epoch)?;
        }
        if self.changes.is_clear() {
            f.write_str(", clear")?;
        }
        for (name, _) in self.changes.sets().take(NAMES) {
            write!(f, ", set {name:.40?}")?;
        }
        for name in self.changes.removes().take(NAMES) {
            write!(f, ", remove {name:.40?}")?;
        }
        match self.changes.metadata() {
            Metadata::Unchanged => {}
            Metadata::Touched(_) => f.write_str(", touch")?,
            Metadata::Replaced => f.write_str(", replace metadata")?,
        }
        f.write_str("}")
    }
}

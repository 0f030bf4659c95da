//! One write, as it was planned.

use std::sync::Arc;

use crate::intent::Intent;
use crate::pending::Taken;
use crate::token::Secret;
use crate::{Changes, Key, Metadata, Record};

/// One write.
pub(crate) struct Job {
    pub(crate) record: Arc<Record>,
    pub(crate) secret: Option<Secret>,
    /// What names the record that is updated.
    pub(crate) key: Key,
    pub(crate) changes: Changes,
    pub(crate) expected: Option<u64>,
    /// The epoch that was loaded.
    pub(crate) epoch: u64,
    /// The record is to be loaded again before it can be relied on.
    pub(crate) reload: bool,
    /// The handler's session that this is for: a destroyed one has another number.
    pub(crate) generation: u32,
    /// The response cannot carry a token, so an unchanged one is not sent again.
    pub(crate) quiet: bool,
    pub(crate) taken: Taken,
    /// The intents that it carries out.
    pub(crate) intent: Intent,
}

impl Job {
    /// Whether it records activity and nothing else.
    pub(crate) fn only_touches(&self) -> bool {
        self.changes.keeps_values() && matches!(self.changes.metadata(), Metadata::Touched(_))
    }

    /// Whether it renews, and whether that is a sign-in.
    pub(crate) fn renews(&self) -> Option<bool> {
        let signs_in = self.intent.sign_in.is_some();
        (self.intent.renew || signs_in).then_some(signs_in)
    }
}

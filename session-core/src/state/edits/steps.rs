//! What is applied to a key's value, and again where another request wrote meanwhile.

use std::sync::Arc;

use bytestring::ByteString;

use crate::error::SessionError;
use crate::record::{Arena, Codec, Value};
use crate::state::edits::{Mark, Removal};

/// One application of a closure that [`Session::update`](crate::Session::update), `modify` or
/// `try_modify` was given: from the value that is there to the one that is to be there.
pub(crate) type UpdateFn = Arc<
    dyn Fn(&str, Option<&Value>, Codec, &mut Arena) -> Result<Option<Value>, SessionError>
        + Send
        + Sync,
>;

/// One change of a key that depends on the value before it.
#[derive(Clone)]
pub(super) enum Step {
    Update(UpdateFn),
    Remove(Arc<Removal>),
}

impl Step {
    pub(super) fn removal(&self) -> Option<Arc<Removal>> {
        match self {
            Self::Update(_) => None,
            Self::Remove(removal) => Some(Arc::clone(removal)),
        }
    }

    pub(super) fn is(&self, removal: &Arc<Removal>) -> bool {
        matches!(self, Self::Remove(mine) if Arc::ptr_eq(mine, removal))
    }
}

/// A key's steps with what they start from, to be computed outside of any lock.
pub(crate) struct Replay {
    pub(super) key: ByteString,
    pub(super) changed: Mark,
    pub(super) from: Option<Value>,
    pub(super) then: Vec<Step>,
}

impl Replay {
    /// Runs the steps; not under a lock, since they run the application's code.
    pub(crate) fn run(
        &self,
        codec: Codec,
        arena: &mut Arena,
    ) -> Result<Option<Value>, SessionError> {
        let mut value = self.from.clone();
        for step in &self.then {
            value = match step {
                Step::Update(update) => update(&self.key, value.as_ref(), codec, arena)?,
                Step::Remove(removal) => {
                    removal.apply(&self.key, value)?;
                    None
                }
            };
        }
        Ok(value)
    }
}

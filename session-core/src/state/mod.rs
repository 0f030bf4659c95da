//! One session in one request: no I/O, no lock, no await.
//!
//! [`Cell`] has the lock around the [`State`]. A handler changes [`Edits`] (values) and
//! [`MetadataEdits`]; `State::plan` decides what a save writes; `outcome` takes in what the store
//! answered and says what the client is told.
//!
//! - **Changes by key instead of one log.** A closure of `update` sees the value of its own key
//!   only, so logs of different keys commute, and one short log for each key says as much as one of
//!   all. To replay means to run the closures of the keys that started from a stored value. An
//!   insert ends what came before it for its key; `clear` starts all keys from nothing.
//! - **A session that is destroyed stays on a list until it is deleted.** A save that fails or is
//!   cancelled leaves the deletion to the commit, and the commit leaves it to the abort. To delete
//!   twice is fine.
//! - **A sign-in as another principal keeps the old session until the new one is stored.** Only
//!   then the old one is deleted; a request that fails leaves it as it was. An explicit `destroy`
//!   is carried out in any case.
//! - **Only a stored principal makes a switch.** Of several sign-ins in one request the last one
//!   wins and keeps the guest's session: what was set since the first one is put back as it was.
//!   Once any of that was stored, the session is left instead.
//! - **What is stored already is remembered too.** An insert, a label or a lifetime equal to what
//!   is stored writes nothing, and is not defended against others. But if the session turns out to
//!   be gone and somebody signs in, the new session has it. Otherwise a shorter lifetime that the
//!   handler asked for would be lost. So what the request asked for is kept until the request is
//!   over.
//! - **A write states what it is for.** A clone of the handle may destroy the session while a save
//!   of another is under way. So each write carries the [`Mark`] of the changes that it took, and
//!   the state knows the one at which the handler turned to the current session. What comes back
//!   for an earlier session is deleted or ignored, and never taken for the next.
//! - **A save whose outcome is unknown is final for its session** in that request, also if it was
//!   cancelled. To send absolute values again would do no harm, but closures would be applied
//!   twice. One rule is easier to trust.

mod binding;
mod cell;
mod deletion;
mod edits;
mod flashes;
mod former;
mod guest;
mod metadata_edits;
mod outcome;
mod plan;
mod planned_write;
mod save_kind;
mod sign_in;
mod size;
mod state;
mod stored;
mod values;
mod watched;

pub(crate) use binding::OTHER_DEVICE;
pub(crate) use cell::{Cell, SaveTurn};
pub(crate) use deletion::{DeletedBy, PendingDeletion};
pub(crate) use edits::{Edits, Mark, OwnValues, Removal, Savepoint, UpdateFn};
pub(crate) use flashes::{FLASH_PREFIX, Flashes};
use flashes::{is_list, with_message, without_shown};
use former::{ANY_EPOCH, Former};
pub(crate) use guest::Guest;
pub(crate) use metadata_edits::{MetadataEdits, Requested};
pub(crate) use plan::Plan;
pub(crate) use planned_write::{PlannedCreate, PlannedReload, PlannedUpdate, TokenChange};
pub(crate) use save_kind::SaveKind;
pub(crate) use size::Size;
pub(crate) use state::{Basis, Phase, State};
pub(crate) use stored::{Announce, Current, Due, Stored, TokenState};
pub(crate) use watched::{Holding, Watched};

#[cfg(test)]
mod tests;

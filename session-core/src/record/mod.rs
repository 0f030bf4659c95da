//! What is kept of a session, and how it is written.

mod ahead;
mod arena;
mod codec;
mod ended;
mod faithful;
mod format;
mod id;
mod lifetime;
mod limits;
mod record;
mod remembered;
mod round_trips;
mod same;
mod token_history;
mod values;

pub(crate) use arena::Arena;
pub use codec::{Codec, CodecFault, Value};
pub use ended::{EndReason, Ended};
pub(crate) use faithful::Refusal;
pub use format::FormatError;
pub use id::{MalformedId, SessionId, ShortId};
pub use lifetime::Lifetime;
pub use limits::{LimitExceeded, Limits};
pub use record::Record;
pub(crate) use remembered::{LATE, REMEMBERED};
pub use round_trips::{RoundTripError, round_trips};
pub(crate) use same::same_json;
pub use token_history::TokenHash;
pub(crate) use token_history::{EpochBits, TokenHistory, TokenMaintenance, TokenRules, Verdict};
pub use values::Values;
pub(crate) use values::{Change, entry_size};

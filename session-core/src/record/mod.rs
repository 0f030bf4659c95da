//! What is kept of a session, and how it is written.
//!
//! - **The expiry is derived**: the earlier of last seen + idle timeout, and the deadline. It is not
//!   stored beside them, because two truths could differ.
//! - **A mark is a record of an epoch that no session has.** What ends a session leaves a mark in its
//!   place for a minute: a record without principal, values and tokens, whose epoch is 2^46 and the
//!   place of its reason in a list. So every store keeps, refuses, expires and removes marks by the
//!   rules that it has for records: an update of a mark is gone by its epoch, and no format, field or
//!   command is new. A version from before marks takes one for a session of another scope, which it
//!   refuses. Every engine keeps these epochs exactly, as floating-point numbers too.
//! - **What the client is owed is stored.** A write may change what a client is to be told of its
//!   token, and be unable to tell it: on a 304, in a `save` (the request may fail or be cancelled
//!   later), after the response. Such a write sets `Record::owed`, once, as replaced metadata; the
//!   writes after it merge as touches. The next commit that may tell the client takes the flag away, in
//!   one versioned write that gives way as a rotation does. The flag is the record's format byte, so a
//!   record without it is written as before.
//! - **Limits are about what grows.** Lowered limits lock nobody out. Token hashes do not count, so a
//!   full session can still renew.
//! - **A codec refuses what it would not give back** while the value is written, by a serializer
//!   around its own. To decode each value again would cost more than to encode it, and an insert need
//!   not know how its type is decoded. What no serializer sees is documented at `Codec`.
//! - **Equal values are found by parsing only where bytes differ and could be the same in another
//!   order**: a sum over the bytes tells almost all others apart. Numbers are compared as text. `1` and
//!   `1.0` decode to other types, and as floats large integers would be equal that are not.

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

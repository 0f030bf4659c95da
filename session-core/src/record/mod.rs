//! What a store keeps of a session: its record, and the bytes of that.
//!
//! A record is plain data. This folder knows no store, no request and no error of a session. Above
//! it stand the error texts, which name its types, and everything that moves records around.
//!
//! - `record`, `lifetime`, `id`: the metadata, when a session expires, its name
//! - `token_history`: which tokens of a session are valid
//! - `values`, `value`, `arena`: the dictionary, one encoded value, the memory of new values
//! - `codec`, `lossless`, `same_json`, `round_trips`: how values are encoded, and what must not be
//!   lost by it
//! - `plain_text`: the short way of long texts
//! - `sealed`, `sealed_form`: one value that the store cannot read, and what the store has of a
//!   record that a manager has opened
//! - `format`, `limits`: the bytes of a record, and how large it may become
//! - `tag`: what tells two contents of a record apart
//! - `device`: the device that a session is bound to
//! - `ended`, `remembered`, `clock_skew`: the mark of a session that has ended, what a late request
//!   is judged by, and times from a clock that was ahead
//!
//! # Decisions
//!
//! - **The expiry is derived**: it is the earlier of the deadline and the time last seen plus the
//!   idle timeout. A field for it could contradict those.
//! - **A mark is a record whose epoch no session has** (`ended`). So every store keeps, refuses,
//!   expires and removes marks by the rules that it has for records. An update of a mark is `Gone`
//!   because of its epoch, and there is no new format, field or command. A version from before
//!   marks takes one for a session of another scope, which it refuses.
//! - **The version and the time last seen are kept alongside the metadata** in a store that keeps
//!   fields ([`Record::from_parts`]). Every update moves the one and every touch the other, and a
//!   merge must not write the rest of the metadata.
//! - **A tag tells contents apart, and no version does**: versions repeat after a fail-over that
//!   has lost writes. It is drawn where a record is planned, so the writer knows it without an
//!   answer. It is kept alongside the record, as the version is in a store of fields, because a
//!   sealed record has no use for it.
//! - **What the client is owed is stored.** A write can change what a client has to be sent about
//!   its token when no response can carry it: on a 304, in a `save`, after the response. Such a
//!   write sets `Record::owed`. The next commit that can send the token clears it, in one versioned
//!   write that gives way as a rotation does. The format byte is the flag, so a record without it
//!   has the bytes that older versions read. The same is true of the device.
//! - **Limits bound what grows.** A session that was larger before the limits were lowered may stay
//!   and shrink. Token hashes do not count, so a full session can still renew its token.

mod arena;
mod clock_skew;
mod codec;
mod device;
mod ended;
mod format;
mod id;
mod lifetime;
mod limits;
mod lossless;
mod opened_form;
mod plain_text;
mod record;
mod remembered;
mod round_trips;
mod same_json;
#[cfg(feature = "sealed-values")]
mod sealed;
mod sealed_form;
mod tag;
mod token_history;
mod value;
mod values;

pub(crate) use arena::Arena;
pub(crate) use clock_skew::SKEW;
pub use codec::{Codec, CodecFault};
pub(crate) use device::Device;
pub use device::DeviceKey;
pub use ended::{EndReason, Ended};
pub use format::FormatError;
pub use id::{MalformedId, SessionId, ShortId};
pub use lifetime::Lifetime;
pub use limits::{Limit, LimitExceeded, Limits};
pub(crate) use lossless::{LossReason, lossless};
pub(crate) use opened_form::OpenedForm;
#[cfg(feature = "sealed-values")]
pub(crate) use opened_form::SealerId;
pub(crate) use plain_text::BytesAsText;
pub use record::Record;
pub(crate) use remembered::{LATE, REMEMBERED};
pub use round_trips::{RoundTripError, round_trips};
pub(crate) use same_json::is_same_json;
#[cfg(feature = "sealed-values")]
pub(crate) use sealed::{SEALING_OVERHEAD, SealFault, ValueKeys};
pub(crate) use sealed_form::SealedForm;
pub use tag::{MalformedTag, Tag};
pub(crate) use token_history::{
    EpochBits, TokenHash, TokenHistory, TokenMaintenance, TokenRules, Verdict,
};
pub use value::Value;
pub(crate) use values::Change;
pub use values::Values;

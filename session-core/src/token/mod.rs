//! What a client holds: the text of a token, how tokens rotate, and what a response sends of them.
//!
//! Which tokens are valid is decided a floor below, by the history that a record keeps of them.
//!
//! - **No token is sent twice where tokens rotate.** An answer that repeats a token could reach the
//!   client after one that replaces it. So where a `Max-Age` has to move, or an older key signed,
//!   the token is rotated.
//! - **65 characters with keys**: the 43 without, and 22 of MAC. Each part has spare bits of its
//!   own, which are zero.
//! - **Nothing is stored about proofs of a device.** They and the challenges that it signs are MACs
//!   with a time in them (`proof`), so a refresh costs one load and no write. The price is that a
//!   challenge is good for its time, and not once.
//! - **A rotation alone gives way.** If another request wrote first, the rotation is dropped
//!   instead of tried again: that request has rotated, or the next one will.

mod binding;
mod directive;
mod proof;
mod rotation;
mod text;

pub use binding::DeviceBinding;
pub use directive::{ClientToken, Directive};
pub(crate) use proof::DeviceProofs;
pub use rotation::Rotation;
pub(crate) use text::{Presented, Secret, Tokens};

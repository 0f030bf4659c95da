//! What a client holds.

mod directive;
mod rotation;
mod text;

pub use directive::{ClientToken, Directive};
pub use rotation::Rotation;
pub(crate) use text::{Presented, Secret, Tokens};

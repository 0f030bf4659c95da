//! What a client holds: the text of a token, how tokens rotate, and what a response sends of them.
//!
//! Which tokens are valid is decided a floor below, by the history that a record keeps of them.

mod directive;
mod rotation;
mod text;

pub use directive::{ClientToken, Directive};
pub use rotation::Rotation;
pub(crate) use text::{Presented, Secret, Tokens};

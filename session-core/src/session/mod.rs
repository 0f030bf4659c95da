//! The handle of a handler.

mod csrf;
mod flash;
mod lifecycle;
mod session;
mod taking;

pub(crate) use csrf::seed_of;
pub use session::Session;
pub(crate) use session::decode;

//! What a transport does with one request.

mod commit;
mod open;
mod principals;

pub use principals::SessionInfo;

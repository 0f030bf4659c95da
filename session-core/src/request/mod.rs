//! What a transport does with one request: it opens the session, and commits or aborts it.

mod commit;
mod judge;
mod open;
mod principals;

pub use principals::SessionInfo;

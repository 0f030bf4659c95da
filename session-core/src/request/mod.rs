//! What a transport does with one request: it begins it with its tokens, and finishes it.
//!
//! - **A request whose session ended is mute.** If its session was renewed or ended since it
//!   arrived, or up to a minute before, it stores nothing and sends nothing, whatever it inserts. A
//!   sign-in lifts that. A request that presents two live sessions is mute too; a sign-in or a
//!   sign-out then ends both.
//! - **A late request of an unknown token is mute.** A mark lasts a minute, by clocks that may
//!   differ; a store without room keeps none; and nothing says how long a body takes. So a request
//!   that is opened 10 s or more after it arrived (`LATE`) is mute if nothing is known of its
//!   token: it may have been valid when the request arrived. A client without a token is not
//!   concerned.
//! - **A token that an earlier save would send is confirmed**, at the cost of one load. Somebody
//!   may have ended the session between the save and the commit, and no token is sent of a dead
//!   session.
//! - **What few requests need is boxed where it is needed**: several tokens, reuse, conflicts,
//!   deletions, the limit of sessions. Every handler's future holds that of `session()`, and is
//!   moved a few times; a commit is boxed whole, and more than 1,024 bytes are dear to allocate.
//!   `session-http/tests/futures.rs` keeps both small.

mod commit;
mod device;
mod guard;
mod judge;
mod open;
mod principals;

pub use guard::{FinishError, Outcome, SessionGuard};
pub use principals::SessionInfo;

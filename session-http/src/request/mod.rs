//! One layer's session in one request: where it is kept, how a handler gets it, and its one load.
//!
//! | file | one idea |
//! |---|---|
//! | `ext.rs` | what a handler calls: `request.session()` |
//! | `slot.rs` | the place in the request's extensions, until the handler has answered |
//! | `load.rs` | a load that belongs to the request, not to one of the futures that wait |
//!
//! **The load belongs to its request.** A handler may leave a future of `session()` unpolled, as
//! `select!` over `&mut future` does, or drop it. So the slot keeps the load: whoever waits for it
//! polls it, and what wakes it wakes all who wait. It is one store command in any case.
//!
//! **A slot whose handler has answered counts for nothing.** The layer takes the session's guard
//! out of it, to finish the request with it or to drop it. A load ends under the same lock. So the
//! guard is either there for the layer, or the load drops it. A handler that kept the request keeps
//! its session, detached. The same request, sent again, gets a slot of its own.
//!
//! **A response may take the place of another**, when the commit of an outer layer failed. What
//! inner layers have announced to the client is kept in the extensions of the response that
//! announced it, and is repeated in the new one. Nothing else of the dropped response survives.

mod ext;
mod load;
mod slot;

pub use self::ext::SessionExt;
#[cfg(feature = "device-binding")]
pub(crate) use self::slot::Lookup;
pub(crate) use self::slot::{Announced, CommitPolicy, Install, RequestGuard, Shared, Slot};

//! A cache of records in front of a store.
//!
//! - `entries`: what a process holds, bounded by bytes
//! - `lease`: whether what it holds may be served without asking
//! - `cache`: both together: what is found, kept and forgotten
//! - `near`, `stats`: the settings of leases, and what a cache has done
//! - `feed`: the handles by which a store reports changes
//! - `cached_store`, `operations`: the store, and the contract in terms of these
//!
//! # Decisions
//!
//! - **It is a store around a store**, and not a part of the manager. So the suite of the contract
//!   runs over it, wrappers need not know of it, and all clones of a store share one.
//! - **It never holds what is absent.** A session that is created by another process is found at
//!   once, and an attacker who guesses ids fills nothing.
//! - **An own write ends the lease of its entry**, although it knows the content: a server that
//!   reports changes forgets a reader once it has reported to him. The next read asks, and gets a
//!   short answer.
//! - **An entry counts its last change** (`seq`), and each part of the cache counts the last change
//!   of what it does not hold. A load notes the counter before it asks. So what was under way while
//!   somebody wrote is neither leased nor put over what is newer, and no lock is held meanwhile.
//! - **Of what others change a stub is kept: version and tag.** If the store was asked and another
//!   content came back, there may be one more by the next time. Then the session is read whole.
//!   Until it is found unchanged once, a record would take memory and serve nobody. Under a lease
//!   it would, so there it is kept.
//! - **Marks are not kept.** They are few, short-lived, and nobody reads them twice.

mod cache;
mod cached_store;
mod entries;
mod feed;
mod lease;
mod near;
mod operations;
mod stats;

pub use self::cached_store::CachedStore;
pub use self::feed::{ChangeFeed, Invalidations};
pub use self::near::NearCache;
pub use self::stats::CacheStats;

//! Shows whether a [`SessionStore`] keeps its contract (feature `conformance`).
//!
//! Every store of this project passes this suite, and a store of your own should. It is one call in
//! one test, under any async runtime. Each case shows one sentence of the contract:
//!
//! ```
//! # type MyStore = session_core::MemoryStore;
//! #[tokio::test]
//! # async fn in_real() {}
//! async fn keeps_the_contract() {
//!     session_core::store::conformance::check(|| async { MyStore::new() }).await;
//! }
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(keeps_the_contract());
//! ```
//!
//! with, in `Cargo.toml`,
//!
//! ```toml
//! [dev-dependencies]
//! session-core = { path = "../sessions/session-core", features = ["conformance"] }
//! ```
//!
//! [`check`] panics with the report unless every case passes. [`Suite`] does the same with
//! settings, and returns the [`Report`].
//!
//! # The cases
//!
//! [`cases`] lists them, each with the sentence that it shows. The contract of [`SessionStore`]
//! names the case of each of its sentences.
//!
//! # The store under test
//!
//! The closure makes a handle for each case. All handles may share the same data: ids and
//! principals are random, and no case expects a store to be empty or cleans up after itself. There
//! is one exception: `delete_expired` and `sweep_race` sweep, at a time one minute ahead. So two
//! runs at the same time should not share data; a prefix or a database for each run keeps them
//! apart.
//!
//! The suite passes the system's time to the store, or a time hours ahead where something has to
//! expire, so no case has to wait. [`Suite::starting_at`] sets another time. An engine that expires
//! records by its own clock keeps what the suite needs, unless that clock is off by hours.
//!
//! If a store has no [index of principals](crate::store::SessionStore::principals), the cases about
//! it are left out, and the report says so. The same holds for a store without a
//! [scan](crate::store::SessionStore::scan). A store that merges and a store that only replaces
//! ([`Update::base_version`](crate::store::Update::base_version), else `Conflict`) both pass. A
//! sealed store ([`RecordLocation::Client`](crate::store::RecordLocation::Client)) cannot remember
//! what was written or deleted. For such a store, all cases that need this are left out, and
//! `malformed_key` tries forgeries instead.
//!
//! # How to read a failure
//!
//! ```text
//! FAILED clear: A clear removes every key that the same update does not set.
//!     after a clear: the record is not the one expected: the key "a" is lost (round 3)
//!     calls, in the order of their answers:
//!       create SessionId(5f0c21b7) -> created
//!       update RecordKey(5f0c21b7) {base 1, clear, set "a"} -> saved as version 2
//!       load RecordKey(5f0c21b7) -> version 2
//!     again: .seed(9341).rounds(64).only("clear")
//! ```
//!
//! For each update, the log names the version that it was made from (`base`), the version that it
//! must meet (`meets`), and what it changes. Later cases often fail for the same reason as an
//! earlier one, so begin at the top.
//!
//! # Seeds
//!
//! Cases whose name ends in `_race`, and `no_lost_update`, `no_torn_read`, `no_resurrection` and
//! `cancelled`, run tasks interleaved at random, 64 rounds each. Each run draws a seed and reports
//! it; [`Suite::seed`] makes the same choices again. If the store waits for a real network, the
//! network makes choices too. Then a seed repeats the operations, but not always their order.
//! [`Suite::rounds`] tries more, for a nightly run.
//!
//! # What it cannot show
//!
//! The suite knows a store by its trait alone. Some sentences of the contract need your own tests:
//!
//! - **Unreadable**: with the engine's own client, write bytes under an id that are no record: half
//!   of a record, none at all, or a format byte of 255. `load` is
//!   [`Corrupt`](crate::store::StoreError::Corrupt), `delete` succeeds, and nothing panics. If the
//!   record belonged to a principal, `list_of` returns it as
//!   [`Listed::Unreadable`](crate::store::Listed::Unreadable) alongside the others, and
//!   `delete_one_of` and `delete_all_of` end it.
//! - **Mending**: if the store keeps an index apart from its records, remove an entry, and add one
//!   that names no session. `mend_index` mends both, and removes no entry of a sign-in under way.
//! - **Ending what cannot be read**: `delete_unreadable` deletes damaged bytes, unless somebody
//!   puts a record in their place at the same moment.
//! - **Timeouts**: connect the store to a [`HangingServer`]. Each call ends within the store's own
//!   timeout. A read fails as [`Unavailable`](crate::store::StoreError::Unavailable), and so does a
//!   write that could not be sent.
//! - **Unknown outcome**: put a [`LossyProxy`] between the store and the engine, and let it lose
//!   the answer of a write. The store returns
//!   [`OutcomeUnknown`](crate::store::StoreError::OutcomeUnknown). The engine has carried the write
//!   out, and only once.
//!
//! The suite does not wait for an engine to expire a record by itself, and does not test replicas
//! or fail-over.

mod cancelled;
mod case;
mod contested;
mod ending;
mod faults;
mod keeping;
mod principals;
mod racing;
mod reading;
mod report;
mod revalidating;
mod scanning;
mod vanishing;
mod writing;

mod edit;
mod expect;
mod rng;
mod sample;
mod schedule;
mod suite;
mod trial;
mod watchdog;
mod writer;

use std::future::Future;

pub use case::{Case, cases};
pub use faults::{HangingServer, LossyProxy};
pub use report::{CaseOutcome, Report};
pub use suite::Suite;

use crate::store::SessionStore;

/// Runs all cases over the stores that `factory` makes, one for each case.
///
/// # Panics
///
/// With the [`Report`], if a case fails.
#[allow(clippy::panic, reason = "it is the assertion of a test")]
pub async fn check<F, Fut, S>(factory: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = S>,
    S: SessionStore,
{
    let report = Suite::new(factory).run().await;
    if !report.is_success() {
        panic!("{report}");
    }
}

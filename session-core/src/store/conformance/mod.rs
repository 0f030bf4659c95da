//! Shows whether a [`SessionStore`] keeps its contract (feature `conformance`).
//!
//! Every store of this project passes this suite, and a store of your own should. It is one call in
//! one test, under any async runtime; a case is a sentence of the contract and has its name:
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
//! session-core = { version = "0.1", features = ["conformance"] }
//! ```
//!
//! [`check`] panics with the report unless every case passes. [`Suite`] is the same with settings,
//! and hands back the [`Report`].
//!
//! # The cases
//!
//! [`cases`] lists them, each with the sentence that it shows. The contract of [`SessionStore`]
//! names the case of each of its sentences.
//!
//! # The store under test
//!
//! The closure makes a handle for each case. All of them may lead to the same data: ids and
//! principals are random, and no case expects a store to be empty or cleans up behind itself. One
//! exception: `delete_expired` and `sweep_race` sweep, at a time one minute ahead, so two runs at
//! the same time should not share data; a prefix or a database for each run keeps them apart.
//!
//! The time that a store is handed is the system's time, or hours ahead where something
//! has to expire; nothing has to be waited for. [`Suite::starting_at`] sets another. An engine that
//! expires records by its own clock keeps what the suite needs, unless that clock is off by hours.
//!
//! If a store has no [index of principals](crate::store::SessionStore::principals), the cases about
//! it are left out, and reported so. A store that merges and a store that only replaces
//! ([`Update::base_version`](crate::store::Update::base_version), else `Conflict`) both pass. For a
//! sealed store ([`RecordLocation::Client`](crate::store::RecordLocation::Client)) all cases are
//! left out that need somebody to remember what was written or deleted, and `malformed_key` tries
//! forgeries instead.
//!
//! # How to read a failure
//!
//! ```text
//! FAILED clear: A clear removes every key that is not set beside it.
//!     after a clear: the record is not the one expected: the key "a" is lost (round 3)
//!     calls, in the order of their answers:
//!       create SessionId(5f0c21b7) -> created
//!       update RecordKey(5f0c21b7) {base 1, clear, set "a"} -> saved as version 2
//!       load RecordKey(5f0c21b7) -> version 2
//!     again: .seed(9341).rounds(64).only("clear")
//! ```
//!
//! Of each update the log names the version it was made from (`base`), the one it must
//! meet (`meets`), and what it changes. Later cases often fail for the reason of an earlier one:
//! begin at the top.
//!
//! # Seeds
//!
//! Cases whose name ends in `_race`, and `no_lost_update`, `no_torn_read`, `no_resurrection` and
//! `cancelled`, run tasks interleaved at random, 64 rounds each. Each run draws a seed and reports
//! it; [`Suite::seed`] makes the same choices again. Where the store waits for a real network, the
//! network makes choices too, so there a seed repeats the operations and not always their order.
//! [`Suite::rounds`] tries more, for a nightly run.
//!
//! # What it cannot show
//!
//! The suite knows a store by its trait alone. Three sentences of the contract need your own tests:
//!
//! - **Unreadable**: write bytes that are no record under an id, by the engine's own client: half
//!   of a record, none at all, a format byte of 255. `load` is
//!   [`Corrupt`](crate::store::StoreError::Corrupt), `delete` succeeds, nothing panics. If the
//!   record was a principal's, `list_of` names it as
//!   [`Listed::Unreadable`](crate::store::Listed::Unreadable) beside the others, and
//!   `delete_one_of` and `delete_all_of` end it.
//! - **Timeouts**: put a listener that accepts and never answers in the place of the engine. Each
//!   operation ends by the store's deadline: reads as
//!   [`Unavailable`](crate::store::StoreError::Unavailable).
//! - **Unknown outcome**: put a proxy before the engine that cuts the connection after a write has
//!   passed. The answer is [`OutcomeUnknown`](crate::store::StoreError::OutcomeUnknown), and the
//!   engine has seen the write once. Where nothing could be sent it is `Unavailable`.
//!
//! Nor does it wait for an engine to expire a record by itself, or look at replicas and fail-over.

mod cancelled;
mod case;
mod contested;
mod ending;
mod keeping;
mod principals;
mod racing;
mod reading;
mod report;
mod revalidating;
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

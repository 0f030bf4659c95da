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
//!     session_core::conformance::check(|| async { MyStore::new() }).await;
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
//! | case | what it shows |
//! |---|---|
//! | `load_absent` | To load what is not there is `None`. |
//! | `update_absent` | To update what is not there is `Gone`, and creates nothing. |
//! | `delete_absent` | To delete what is not there is `Ok`. |
//! | `key` | `create` and `update` hand back the key of the very record: on the server, its id. |
//! | `round_trip` | `load` returns the very record that was written, all metadata and every value. |
//! | `any_key_name` | Keys of any name and values of any bytes are kept. |
//! | `large_record` | A record within the default limits is kept whole, or refused as too large. |
//! | `malformed_key` | A key that this store could not have handed out is as good as absent. |
//! | `load_expired` | From the instant on at which a record expires `load` says `None`, or hands it back as it was. |
//! | `update_expired` | From the instant on at which a record expires `update` says `Gone`. |
//! | `create_taken` | `create` never overwrites: a live record of the same id stays as it was. |
//! | `neighbours` | What is done to one record touches no other, however alike their ids are. |
//! | `version_met` | An update of the loaded version is applied, and the version is one more. |
//! | `version_not_met` | An update that must meet another version says `Conflict` and writes nothing. |
//! | `conflict_record` | A record that comes with `Conflict` is the stored one. |
//! | `stale_base` | Changes of a stale base are merged or refused; what others wrote is never lost. |
//! | `set_remove` | Keys that are set or removed are so afterwards, and no others. |
//! | `clear` | A clear removes every key that is not set beside it. |
//! | `touch` | A touch moves the time last seen, and with it the expiry, never back. |
//! | `replace_metadata` | Metadata that is replaced is so afterwards, beside changes of values. |
//! | `replaced_lifetime` | A lifetime that is replaced counts at once, be it shorter or longer. |
//! | `other_epoch` | An update by who loaded another epoch is `Gone`, whatever version it must meet. |
//! | `merged_limits` | A merged record that passes the limits is refused as too large. |
//! | `delete` | After `delete` there is nothing to load, and no update creates it. |
//! | `delete_twice` | To delete twice is fine. |
//! | `ended` | `delete` leaves the mark that says when and why a session ended, and no update writes to it. |
//! | `ended_expires` | A mark is over after a minute, and an end that is long over leaves none. |
//! | `ended_of_principal` | `delete_one` and `delete_all` leave marks, and leave them alone. |
//! | `large_version` | Versions and epochs above 2^32 are kept and counted on. |
//! | `list` | `list` returns the live records of a principal and no others. |
//! | `delete_all` | `delete_all` ends the records of a principal but one, and says how many. |
//! | `delete_one` | `delete_one` ends the record of this id if it is the principal's, and says whether it was. |
//! | `principal_changes` | `list`, `delete_all` and `delete_one` follow a record whose principal changes. |
//! | `delete_expired` | `delete_expired` removes expired records only, and says how many. |
//! | `create_race` | Of many creations of one id at once exactly one succeeds. |
//! | `no_lost_update` | Updates of one record at once all survive. |
//! | `no_torn_read` | Who reads sees each update entirely or not at all, and never an older version again. |
//! | `no_resurrection` | Once `delete` has returned, no update that was under way brings the record back. |
//! | `delete_race` | What is deleted among writers stays deleted, and what is not keeps their writes. |
//! | `delete_all_race` | Once `delete_all` has returned, no update that was under way brings a record back. |
//! | `delete_one_race` | What `delete_one` says that it ended stays so; what it says was not theirs is another's. |
//! | `sweep_race` | A record that a touch has kept alive is not swept. |
//! | `cancelled` | What is dropped half-way has happened entirely or not at all, and the store goes on. |
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
//! A store without an index of principals says [`Unsupported`](crate::StoreError::Unsupported) to
//! `list`, `delete_all` and `delete_one` alike; the cases about them are then left out, and
//! reported so. A store that merges and a store that only replaces
//! ([`Update::base_version`](crate::Update::base_version), else `Conflict`) both pass. For a sealed
//! store ([`Capability::Client`](crate::Capability::Client)) all cases are left out that need
//! somebody to remember what was written or deleted, and `malformed_key` tries forgeries instead.
//!
//! # How to read a failure
//!
//! ```text
//! FAILED set_remove: Keys that are set or removed are so afterwards, and no others.
//!     after keys were set and removed: the record is not the one expected: the key "a" is lost (round 3)
//!     calls, in the order of their answers:
//!       create SessionId(5f0c21b7) -> created
//!       update Key(5f0c21b7) {base 1, set "a", remove "b"} -> saved as version 2
//!       load Key(5f0c21b7) -> version 2
//!     again: .seed(9341).rounds(64).only("set_remove")
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
//!   [`Corrupt`](crate::StoreError::Corrupt), `delete` succeeds, nothing panics. If the record was
//!   a principal's, `list` names it as [`Listed::Unreadable`](crate::Listed::Unreadable) beside the
//!   others, and `delete_one` and `delete_all` end it.
//! - **Deadlines**: put a listener that accepts and never answers in the place of the engine. Each
//!   operation ends by the store's deadline: reads as
//!   [`Unavailable`](crate::StoreError::Unavailable).
//! - **Unknown outcome**: put a proxy before the engine that cuts the connection after a write has
//!   passed. The answer is [`OutcomeUnknown`](crate::StoreError::OutcomeUnknown), and the engine
//!   has seen the write once. Where nothing could be sent it is `Unavailable`.
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
mod vanishing;
mod writing;

mod edit;
mod rng;
mod sample;
mod schedule;
mod suite;
mod trial;
mod watchdog;
mod writer;

use std::future::Future;

pub use case::{Case, cases};
pub use report::{Outcome, Report};
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

//! The suite for stores over the sealed ones: what needs a server is left out, and said to be.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use session_cookie::CookieStore;
use session_core::KeyRing;
use session_core::store::conformance::{CaseOutcome, Suite};

async fn run(store: fn(KeyRing) -> CookieStore) {
    let ring = KeyRing::new([1; 32]).unwrap();
    let report = Suite::new(|| async { store(ring.clone()) }).run().await;
    assert!(report.is_success(), "{report}");
    let passed = |outcome: &CaseOutcome| matches!(outcome, CaseOutcome::Passed);
    let count = report
        .outcomes()
        .filter(|(_, outcome)| passed(outcome))
        .count();
    assert!(count >= 12, "only {count} cases were run: {report}");
}

#[tokio::test]
async fn signed() {
    run(CookieStore::signed).await;
}

#[tokio::test]
async fn encrypted() {
    run(CookieStore::encrypted).await;
}

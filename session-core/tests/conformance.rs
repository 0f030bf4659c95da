//! The suite itself: right stores pass it, and each case finds a store that breaks its sentence.
#![cfg(feature = "conformance")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod broken;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use broken::map::MapStore;
use broken::remote::{RemoteStore, block_on};
use broken::sealed::{SealFault, SealedStore};
use broken::{FOUND_BY, Fault};
use session_core::store::conformance::{CaseOutcome, Report, Suite, cases, check};
use session_core::store::{CachedStore, NearCache, SessionStore};
use session_core::{MemoryStore, Timestamp};

#[test]
fn a_memory_store_passes() {
    block_on(check(|| async { MemoryStore::new() }));
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_behind_pointers_pass_on_tokio() {
    let shared = tokio::spawn(check(|| async { Arc::new(MemoryStore::new()) }));
    shared.await.unwrap();
    check(|| async { Box::new(MemoryStore::new()) as Box<dyn SessionStore> }).await;
}

#[test]
fn a_store_with_points_to_yield_passes() {
    block_on(check(|| async { MapStore::right() }));
}

#[test]
fn a_store_that_only_replaces_passes() {
    block_on(check(|| async { MapStore::replacing() }));
}

#[test]
fn a_store_that_answers_from_another_thread_passes() {
    block_on(check(|| async { RemoteStore::new() }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_answers_from_another_thread_passes_on_tokio() {
    tokio::spawn(check(|| async { RemoteStore::new() }))
        .await
        .unwrap();
}

#[test]
fn a_cache_in_front_of_each_passes() {
    block_on(check(|| async { CachedStore::new(MemoryStore::new()) }));
    block_on(check(|| async { CachedStore::new(MapStore::right()) }));
    block_on(check(|| async { CachedStore::new(MapStore::replacing()) }));
    block_on(check(|| async { CachedStore::new(MapStore::unindexed()) }));
    block_on(check(|| async { CachedStore::new(RemoteStore::new()) }));
    block_on(check(|| async {
        CachedStore::new(CachedStore::new(MapStore::right()))
    }));
}

/// It holds a dozen records in each of its parts, or none.
#[test]
fn a_cache_that_is_too_small_passes() {
    for bytes in [0, 1, 64 << 10, 256 << 10] {
        let cached = || async move { CachedStore::new(MapStore::right()).with_capacity(bytes) };
        block_on(check(cached));
    }
}

/// Own writes are seen at once, and nobody else writes: so leases change nothing.
#[test]
fn a_near_cache_that_alone_writes_passes() {
    block_on(check(|| async { near(MemoryStore::new()) }));
    block_on(check(|| async { near(MapStore::right()) }));
    block_on(check(|| async { near(MapStore::replacing()) }));
}

/// A store with a near cache in front of it, whose lease does not run out.
fn near<S: SessionStore>(store: S) -> CachedStore<S> {
    let near = NearCache::new(Duration::from_secs(3600));
    let cached = CachedStore::new(store).with_near_cache(near);
    let invalidations = cached.invalidations();
    let feed = Box::leak(Box::new(invalidations.begin()));
    feed.renew(invalidations.now());
    cached
}

/// Two runs of one seed on the same data: ids are not drawn from the seed.
#[test]
fn data_may_be_shared_and_left_behind() {
    let store = Arc::new(MemoryStore::new());
    for _ in 0..2 {
        let report = block_on(
            Suite::new(|| async { Arc::clone(&store) })
                .seed(1)
                .rounds(8)
                .run(),
        );
        assert!(report.is_success(), "{report}");
    }
}

#[test]
fn any_time_will_do() {
    for millis in [0, 1_000_000_000_000, 4_000_000_000_000] {
        let suite = Suite::new(|| async { MapStore::right() }).rounds(8);
        let report = block_on(suite.starting_at(Timestamp::from_millis(millis)).run());
        assert!(report.is_success(), "{report}");
    }
}

#[test]
fn a_sealed_store_passes_what_needs_no_server() {
    let report = block_on(Suite::new(|| async { SealedStore::default() }).run());
    assert!(report.is_success(), "{report}");
    for (name, runs) in [
        ("round_trip", true),
        ("malformed_key", true),
        ("other_epoch", false),
        ("delete", false),
        ("list_of", false),
    ] {
        let outcome = report.outcome(name).unwrap();
        assert_eq!(matches!(outcome, CaseOutcome::Passed), runs, "{name}");
        assert_eq!(matches!(outcome, CaseOutcome::LeftOut(_)), !runs, "{name}");
    }
    assert!(
        report
            .to_string()
            .contains("left out delete: the client keeps the record"),
        "{report}"
    );
}

#[test]
fn a_store_without_an_index_passes_what_needs_none() {
    let report = block_on(Suite::new(|| async { MapStore::unindexed() }).run());
    assert!(report.is_success(), "{report}");
    let left_out: BTreeSet<_> = report
        .outcomes()
        .filter(|(_, outcome)| {
            let reason = "the store has no index of principals";
            matches!(outcome, CaseOutcome::LeftOut(text) if text == reason)
        })
        .map(|(case, _)| case.name())
        .collect();
    let all = [
        "ended_of_principal",
        "list_of",
        "delete_all_of",
        "delete_one_of",
        "principal_changes",
        "scan_index",
        "mend_index",
        "delete_all_of_race",
        "delete_one_of_race",
    ];
    assert_eq!(left_out, BTreeSet::from(all));
}

#[test]
fn a_store_without_a_scan_passes_what_needs_none() {
    let report = block_on(Suite::new(|| async { MapStore::unscanned() }).run());
    assert!(report.is_success(), "{report}");
    let left_out: BTreeSet<_> = report
        .outcomes()
        .filter(|(_, outcome)| {
            let reason = "the store has no scan";
            matches!(outcome, CaseOutcome::LeftOut(text) if text == reason)
        })
        .map(|(case, _)| case.name())
        .collect();
    let all = [
        "scan_records",
        "scan_cursor",
        "scan_index",
        "mend_index",
        "delete_unreadable",
        "scan_race",
    ];
    assert_eq!(left_out, BTreeSet::from(all));
}

#[test]
fn a_sealed_store_is_found_out() {
    for (fault, name) in [
        (SealFault::OpensAnything, "malformed_key"),
        (SealFault::OpensAnyScope, "malformed_key"),
        (SealFault::RevivesExpired, "load_expired"),
        (SealFault::HandsBackTheOldKey, "key"),
    ] {
        let report = block_on(
            Suite::new(|| async move { SealedStore::broken(fault) })
                .seed(1)
                .run(),
        );
        assert!(failed(&report).contains(name), "{fault:?}: {report}");
    }
}

/// The names of the cases that failed.
fn failed(report: &Report) -> BTreeSet<&'static str> {
    report
        .outcomes()
        .filter(|(_, outcome)| matches!(outcome, CaseOutcome::Failed(_)))
        .map(|(case, _)| case.name())
        .collect()
}

/// Runs the cases of these names, or all, over a broken store.
fn run_broken(fault: Fault, names: &[&str]) -> Report {
    let suite = Suite::new(|| async move { MapStore::broken(fault) })
        .seed(1)
        .rounds(64);
    let suite = names.iter().fold(suite, |suite, name| suite.only(*name));
    block_on(suite.time_limit(Duration::from_secs(2)).run())
}

#[test]
fn each_fault_is_found_and_each_case_finds_one() {
    let mut found = BTreeSet::new();
    for (fault, finders) in FOUND_BY {
        let report = run_broken(*fault, finders);
        let failed = failed(&report);
        for name in *finders {
            assert!(
                failed.contains(name),
                "`{name}` has not found {fault:?}: {report}"
            );
        }
        found.extend(*finders);
    }
    let all: BTreeSet<_> = cases().iter().map(|case| case.name()).collect();
    assert_eq!(found, all, "each case needs a store that fails it");
}

/// Faults that one case alone can see, so that a report names the sentence that is broken.
#[test]
fn a_narrow_fault_fails_one_case() {
    for (fault, name) in [
        (Fault::DropsTheThousandth, "large_record"),
        (Fault::PanicsOnMalformedKeys, "malformed_key"),
        (Fault::IgnoresCase, "neighbours"),
        (Fault::NeverShortens, "replaced_lifetime"),
        (Fault::IgnoresEpoch, "other_epoch"),
        (Fault::IgnoresLimits, "merged_limits"),
        (Fault::ListsExpired, "list_of"),
        (Fault::EmptiesExpired, "load_expired"),
        (Fault::EndsOfNamesakes, "delete_one_of"),
        (Fault::EndLooksThenActs, "delete_one_of_race"),
        (Fault::EndGivesWay, "delete_one_of_race"),
        (Fault::SweepsEarly, "delete_expired"),
        (Fault::CreateChecksThenActs, "create_race"),
        (Fault::SweepLooksThenActs, "sweep_race"),
        (Fault::UpdateTakesOut, "cancelled"),
    ] {
        let report = run_broken(fault, &[]);
        assert_eq!(
            failed(&report),
            BTreeSet::from([name]),
            "{fault:?}: {report}"
        );
    }
}

#[test]
fn a_lock_that_is_never_free_again_is_a_failure_and_no_hang() {
    let report = run_broken(Fault::LeaksItsLock, &["cancelled"]);
    let Some(CaseOutcome::Failed(reason)) = report.outcome("cancelled") else {
        panic!("{report}");
    };
    assert!(reason.contains("an operation never ends"), "{reason}");
    assert!(reason.contains("dropped after"), "{reason}");
    let is_first = reason.contains("(round 1)");
    assert_eq!(reason.contains("an earlier round"), !is_first, "{reason}");
}

#[test]
fn a_panic_is_a_failure_with_its_text() {
    let report = run_broken(Fault::PanicsOnMalformedKeys, &["malformed_key"]);
    let Some(CaseOutcome::Failed(reason)) = report.outcome("malformed_key") else {
        panic!("{report}");
    };
    assert!(
        reason.starts_with("the store panicked: not an id"),
        "{reason}"
    );
}

#[test]
fn a_report_says_what_broke_and_how_to_run_it_again() {
    let run = || {
        let suite = Suite::new(|| async { MapStore::broken(Fault::UpdateReadsThenWrites) });
        block_on(suite.seed(7).rounds(16).only("no_lost_update").run())
    };
    let report = run();
    let text = report.to_string();
    assert!(!report.is_success());
    assert_eq!(report.seed(), 7);
    assert!(
        text.contains("0 cases passed, 1 failed, 0 left out (seed 7, rounds 16)"),
        "{text}"
    );
    assert!(
        text.contains(
            "FAILED no_lost_update: If many updates change one record at once, all of them survive."
        ),
        "{text}"
    );
    assert!(
        text.contains("again: .seed(7).rounds(16).only(\"no_lost_update\")"),
        "{text}"
    );
    assert!(text.contains("saved as version 2"), "{text}");
    let steps = |report: &Report| {
        let text = report.to_string();
        let answers = text.lines().map(|line| {
            line.rsplit_once(" -> ")
                .map_or("", |(_, answer)| answer)
                .to_owned()
        });
        answers.collect::<Vec<_>>()
    };
    assert_eq!(
        steps(&report),
        steps(&run()),
        "a seed repeats the order of all steps"
    );
}

#[test]
#[should_panic(expected = "FAILED create_taken")]
fn check_panics_with_the_report() {
    block_on(check(|| async {
        MapStore::broken(Fault::CreateOverwrites)
    }));
}

#[test]
fn a_name_without_a_case_is_no_success() {
    let report = block_on(
        Suite::new(|| async { MemoryStore::new() })
            .only("no_such_case")
            .run(),
    );
    assert!(!report.is_success());
    assert!(
        report
            .to_string()
            .contains("there is no case \"no_such_case\"")
    );
}

/// The contract names every case in parentheses, and no other.
#[test]
fn the_contract_and_the_cases_agree() {
    let contract = include_str!("../src/store/contract.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("///"))
        .flat_map(str::split_whitespace);
    let contract = contract.collect::<Vec<_>>().join(" ");
    let named: BTreeSet<_> = contract
        .split("(`")
        .skip(1)
        .filter_map(|rest| rest.split_once("`)"))
        .flat_map(|(names, _)| names.split("`, `"))
        .collect();
    let all: BTreeSet<_> = cases().iter().map(|case| case.name()).collect();
    assert_eq!(named, all);
}

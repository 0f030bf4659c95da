//! A store that keeps each value by itself keeps the contract.

use std::sync::Arc;

use futures_util::FutureExt;
use session_core::store::conformance::check;
use session_core::store::{
    Changes, Metadata, Record, RecordKey, SessionStore, StoreError, Update, Updated, Value,
};
use session_core::{Codec, Lifetime, Limit, LimitExceeded, Limits, SessionId, Timestamp};
use session_tests::{FieldStore, Rng};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

#[tokio::test]
async fn it_keeps_the_contract() {
    check(|| async { FieldStore::new() }).await;
}

fn value(length: usize) -> Value {
    Value::new(Codec::Postcard, vec![7; length])
}

fn sample() -> Record {
    Record::new(
        SessionId::from_bytes([1; 16]),
        "id",
        Lifetime::default(),
        NOW,
    )
}

/// What an update makes of the fields alone is what it makes of the whole record, its size among
/// it.
#[test]
fn any_merge_comes_to_what_it_makes_of_the_whole_record() {
    for seed in 0..300 {
        let rng = Rng::new(seed);
        let store = FieldStore::new();
        let mut whole = sample();
        let run = async {
            let first = Arc::new(whole.clone());
            let key = store.create(&first, NOW).await.unwrap();
            for round in 0..30 {
                let mut changes = Changes::new();
                for _ in 0..rng.below(4) {
                    let name = ["a", "b", "cc", "", "é"][rng.below(5)];
                    changes = match rng.below(3) {
                        0 => changes.remove(name),
                        _ => changes.set(name, value(rng.below(60))),
                    };
                }
                if rng.below(6) == 0 {
                    changes = changes.clear();
                }
                if rng.below(3) == 0 {
                    let seen = NOW.as_millis() + rng.below(1_000) as u64;
                    changes =
                        changes.with_metadata(Metadata::Touched(Timestamp::from_millis(seen)));
                }
                let limits = Limits::default().with_record_bytes(230).with_keys(3);
                // Made from the record as it was created: stale, but for the first.
                let record = Arc::new(changes.apply(&first).with_version(1_000));
                let update = Update::new(record, changes, 0).with_limits(limits);
                let mut after = Arc::new(whole.clone());
                let right = update.replace_in(&mut after, NOW);
                let done = store.update(&key, &update, NOW).await;
                match (right, done) {
                    (Ok(Updated::Saved { .. }), Ok(Updated::Saved { version, .. })) => {
                        assert_eq!(version, after.version());
                        whole = Record::clone(&after);
                    }
                    (Err(StoreError::TooLarge(right)), Err(StoreError::TooLarge(error))) => {
                        assert_eq!(right, error, "seed {seed}, round {round}");
                    }
                    (right, done) => panic!("seed {seed}, round {round}: {right:?}, {done:?}"),
                }
                let found = store.load(&key, NOW).await.unwrap().unwrap();
                assert!(*found == whole, "seed {seed}, round {round}: {found:?}");
            }
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn what_is_larger_than_the_limits_may_stay_and_shrink() {
    let store = FieldStore::new();
    let limits = Limits::default().with_keys(1);
    let run = async {
        let record = ["a", "b", "c"]
            .iter()
            .fold(sample(), |record, key| record.with_value(*key, value(40)));
        let record = Arc::new(record);
        let key: RecordKey = store.create(&record, NOW).await.unwrap();
        let update = |changes: Changes| {
            let record = Arc::new(changes.apply(&record));
            let (store, key, limits) = (&store, &key, &limits);
            async move {
                let update = Update::new(record, changes, 0).with_limits(*limits);
                store.update(key, &update, NOW).await
            }
        };
        let too_many = LimitExceeded::new(Limit::Keys, 4, 1);
        let one_more = Changes::new().set("d", value(1));
        // The second one is smaller in bytes.
        for changes in [one_more.clone(), one_more.set("a", value(1))] {
            let done = update(changes).await;
            assert!(
                matches!(done, Err(StoreError::TooLarge(error)) if error == too_many),
                "{done:?}"
            );
        }
        for changes in [
            Changes::new().with_metadata(Metadata::Touched(NOW)),
            Changes::new().set("a", value(1)),
            Changes::new().remove("b").set("d", value(1)),
            Changes::new().remove("c"),
        ] {
            let done = update(changes).await;
            assert!(matches!(done, Ok(Updated::Saved { .. })), "{done:?}");
        }
    };
    run.now_or_never().unwrap();
}

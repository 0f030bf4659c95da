//! Random BSON in random fields.

use std::cell::RefCell;
use std::collections::BTreeMap;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, Decimal128, Document, Regex, doc};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_oneof};
use proptest::test_runner::TestRunner;
use session_tests::cases;

use super::bench::{Bench, Done, set};
use super::damages::bytes;

fn number() -> impl Strategy<Value = Bson> {
    prop_oneof![
        any::<i32>().prop_map(Bson::Int32),
        any::<i64>().prop_map(Bson::Int64),
        (-3..3_i64).prop_map(Bson::Int64),
        (-3..3_i32).prop_map(Bson::Int32),
        any::<f64>().prop_map(Bson::Double),
        (-2..3).prop_map(|n| Bson::Double(f64::from(n))),
        any::<[u8; 16]>().prop_map(|bytes| Bson::Decimal128(Decimal128::from_bytes(bytes))),
        any::<i64>().prop_map(|n| Bson::DateTime(DateTime::from_millis(n))),
        (0..5_000_000_000_000_i64).prop_map(|n| Bson::DateTime(DateTime::from_millis(n))),
    ]
}

fn leaf() -> impl Strategy<Value = Bson> {
    prop_oneof![
        4 => number(),
        2 => any::<String>().prop_map(Bson::String),
        2 => vec(any::<u8>(), 0..40).prop_map(|content| bytes(&content)),
        1 => prop_oneof![
            Just(Bson::Null),
            any::<bool>().prop_map(Bson::Boolean),
            Just(Bson::MinKey),
            Just(Bson::MaxKey),
            Just(Bson::Undefined),
            any::<[u8; 12]>().prop_map(|bytes| Bson::ObjectId(ObjectId::from_bytes(bytes))),
            Just(Bson::JavaScriptCode("1".to_owned())),
            Just(Bson::RegularExpression(Regex {
                pattern: "a".try_into().unwrap(),
                options: "i".try_into().unwrap(),
            })),
        ],
    ]
}

fn bson() -> impl Strategy<Value = Bson> {
    leaf().prop_recursive(3, 8, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Bson::Array),
            vec(("[a-c%.]{0,3}", inner), 0..4)
                .prop_map(|fields| Bson::Document(fields.into_iter().collect::<Document>())),
        ]
    })
}

fn field() -> impl Strategy<Value = String> {
    const KNOWN: [&str; 17] = [
        "v",
        "tag",
        "size",
        "keys",
        "seen",
        "ends",
        "expires",
        "epoch",
        "created",
        "deadline",
        "idle",
        "meta",
        "principal",
        "data",
        "data.a",
        "data.b",
        "other",
    ];
    prop_oneof![
        4 => (0..KNOWN.len()).prop_map(|at| KNOWN[at].to_owned()),
        1 => "[a-c%0-9E]{1,4}".prop_map(|name| format!("data.{name}")),
    ]
}

#[test]
fn random_bson_in_random_fields_does_no_harm() {
    let bench = Bench::new();
    let outcomes = RefCell::new(BTreeMap::new());
    let damage = (vec((field(), bson()), 1..4), any::<bool>(), any::<bool>());
    let ran = TestRunner::new(cases(1_000)).run(&damage, |(fields, exact, clear)| {
        let record = bench.create();
        let id = record.id();
        for (name, value) in &fields {
            // By a pipeline, which leaves names in documents as they are; one that the server does
            // not take is no damage.
            let value = doc! { "$literal": value.clone() };
            let change = bench.other.update_one(
                doc! { "_id": id.encode() },
                vec![doc! { "$set": { name: value } }],
            );
            let _ = bench.runtime.block_on(async { change.await });
        }
        let changes = if clear { set().clear() } else { set() };
        // What can be read can be written, as it was read: nobody else has written.
        let found = bench.find(id);
        let base = found.clone().ok().flatten().unwrap_or(record);
        let updated = bench.update(&base, &changes, exact);
        let loaded = found.map(|found| found.is_some());
        if loaded == Ok(true) {
            prop_assert!(updated == Done, "it can be read, and then: {updated:?}");
        }
        let outcome = format!("load {loaded:?}, update {updated:?}");
        *outcomes.borrow_mut().entry(outcome).or_insert(0) += 1;
        let _ = bench.list();
        bench.delete_all();
        bench.delete(id);
        Ok(())
    });
    ran.unwrap();
    let outcomes = outcomes.into_inner();
    println!("{outcomes:#?}");
    let count = |loaded: &str| -> u32 {
        let those = outcomes
            .iter()
            .filter(|(outcome, _)| outcome.starts_with(loaded));
        those.map(|(_, count)| count).sum()
    };
    assert!(
        count("load Ok(true)") > 50 && count("load Err(Corrupt)") > 200,
        "{outcomes:?}"
    );
}

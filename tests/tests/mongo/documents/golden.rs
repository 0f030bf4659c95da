//! What a person sees, and what other programs may rely on.

use std::time::{Duration, SystemTime};

use mongodb::bson::{DateTime, Document, doc};
use session_core::store::{Changes, Record, Tag};
use session_core::{Codec, Lifetime, Outcome, SessionId, SessionManager, Timestamp};
use session_tests::anonymous;

use super::bench::{Bench, Done, json};
use super::damages::bytes;

/// 2100-01-01, so that nothing removes it.
const NOW: u64 = 4_102_444_800_000;
/// The metadata, in the format of `session-core`.
const META: &[u8] = b"\x01\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\
    \x09__Host-id\
    \x03\x00\x80\xb0\x8f\xe6\xb2w\x80\xb0\x8f\xe6\xb2w\x80\xe8\xa8\x8f\xb3w\x01\
    \x80\xb0\x8f\xe6\xb2w\x01\x07\
    user:42\x00\x80\xdd\xdb\x01\x80\xb8\x99)\x00\x00\
    \x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";

#[test]
fn one_document() {
    let mut bench = Bench::new();
    bench.now = Timestamp::from_millis(NOW);
    let lifetime = Lifetime::new(Duration::from_secs(3600), Duration::from_secs(86_400)).unwrap();
    let record = Record::new(
        SessionId::from_bytes([7; 16]),
        "__Host-id",
        lifetime,
        bench.now,
    )
    .with_principal("user:42")
    .with_version(3)
    .with_tag(Some(Tag::from_bits(0xfedc_ba98_7654_3210)))
    .with_value("cart", json("[ {\"n\": 1.50} ]"))
    .with_value("a.b", json("\"é\""))
    .with_value("", json("null"))
    .with_value("$p", Codec::Postcard.encode(&300_u64).unwrap());
    let record = bench.keep(record);
    let at = |seconds: i64| DateTime::from_millis(NOW as i64 + seconds * 1_000);
    let expected: Document = doc! {
        "_id": "BwcHBwcHBwcHBwcHBwcHBw",
        "v": 3_i64,
        "tag": -0x0123_4567_89ab_cdf0_i64,
        "size": 246_i64,
        "keys": 4_i64,
        "seen": at(0),
        "ends": at(3_600),
        "expires": at(3_660),
        "epoch": 0_i64,
        "created": at(0),
        "deadline": at(86_400),
        "idle": 3_600_000_i64,
        "meta": bytes(META),
        "principal": "user:42",
        "data": {
            "%": "null",
            "%24p": bytes(&[Codec::Postcard.tag(), 0xac, 0x02]),
            "a%2Eb": "\"é\"",
            "cart": "[ {\"n\": 1.50} ]",
        },
    };
    let found = bench.document(record.id()).unwrap();
    println!("{found}");
    assert_eq!(found, expected);
    // In this order, too.
    assert_eq!(found.to_string(), expected.to_string());
    let read = bench.find(record.id()).unwrap().unwrap();
    assert_eq!((&read, read.tag()), (&record, record.tag()));
    // Without a principal there is no field of it, and the index does not hold it.
    let nobody = Record::new(SessionId::from_bytes([8; 16]), "id", lifetime, bench.now);
    let found = bench.document(bench.keep(nobody).id()).unwrap();
    assert!(!found.contains_key("principal"));
    assert_eq!(found.get_document("data").unwrap(), &doc! {});
}

/// The sample in the documentation of the crate has these fields, in this order.
#[test]
fn the_sample_in_the_documentation() {
    let bench = Bench::new();
    let manager = SessionManager::new(bench.store.clone());
    let found = bench.runtime.block_on(async {
        let session = anonymous(&manager).await;
        session.sign_in("user:42").unwrap();
        session.insert("visits", 2).unwrap();
        session.finish(Outcome::Success).await.unwrap();
        session.id().unwrap()
    });
    let now = Timestamp::from(SystemTime::now());
    let base = bench.find(found).unwrap().unwrap();
    assert!(base.is_live(now));
    let cart = json(r#"[{"item":"tea","count":2}]"#);
    let changes = Changes::new().set("cart", cart);
    assert_eq!(bench.update(&base, &changes, true), Done);
    let base = bench.find(found).unwrap().unwrap();
    let changes = Changes::new().set("visits", json("3"));
    assert_eq!(bench.update(&base, &changes, true), Done);
    let found = bench.document(found).unwrap();
    println!("{found}");
    let sample = include_str!("../../../../session-mongo/docs/manual.md");
    let sample = sample
        .split("findOne()\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let field = |line: &str| {
        let line = line.strip_prefix("  ")?;
        let (name, value) = line.split_once(": ")?;
        Some((name.to_owned(), value.trim_end_matches(',').to_owned()))
    };
    let sample: Vec<_> = sample.lines().filter_map(field).collect();
    let names: Vec<_> = sample.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, found.keys().collect::<Vec<_>>());
    // What does not differ from session to session.
    let shown = |name: &str| &*sample.iter().find(|(field, _)| field == name).unwrap().1;
    let number = |name: &str| format!("Long('{}')", found.get_i64(name).unwrap());
    for name in ["v", "size", "keys", "epoch", "idle"] {
        assert_eq!(shown(name), number(name), "{name}");
    }
    let data = found.get_document("data").unwrap();
    let data = data
        .iter()
        .map(|(key, value)| format!("{key}: '{}'", value.as_str().unwrap()));
    let data: Vec<_> = data.collect();
    assert_eq!(shown("data"), format!("{{ {} }}", data.join(", ")));
}

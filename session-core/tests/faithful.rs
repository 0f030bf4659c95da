//! Whatever a codec takes it gives back; the rest it refuses before anything is stored.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::ops::Not;

use proptest::num;
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::ser::SerializeSeq;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::json;
use session_core::{Codec, CodecFault};

const BOTH: [Codec; 2] = [Codec::Json, Codec::Postcard];

fn back<T: Serialize + DeserializeOwned>(codec: Codec, value: &T) -> T {
    codec.encode(value).unwrap().decode().unwrap()
}

fn refused<T: Serialize>(codec: Codec, value: &T) -> &'static str {
    codec.encode(value).unwrap_err().category()
}

/// What comes back encodes to the very same bytes, so an insert of it is no write.
fn comes_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(codec: Codec, value: &T) {
    let first = codec.encode(value).unwrap();
    let read: T = first.decode().unwrap();
    assert_eq!(&read, value, "{codec:?}");
    assert_eq!(codec.encode(&read).unwrap(), first, "{codec:?}");
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Floats {
    one: f64,
    short: f32,
    maybe: Option<f64>,
    list: Vec<f64>,
    map: BTreeMap<String, f64>,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Kind {
    Unit,
    New(f64),
    Tuple(f32, f64),
    Struct { x: f64 },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Price { amount: f64 },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    #[serde(flatten)]
    rest: BTreeMap<String, f64>,
}

fn floats(one: f64, short: f32) -> Floats {
    Floats {
        one,
        short,
        maybe: Some(one),
        list: vec![one, -one],
        map: [("x".to_owned(), one)].into(),
        kind: Kind::New(one),
    }
}

#[track_caller]
fn float_comes_back(one: f64, short: f32) {
    for codec in BOTH {
        assert_eq!(
            back(codec, &one).to_bits(),
            one.to_bits(),
            "{codec:?} {one:e}"
        );
        assert_eq!(
            back(codec, &short).to_bits(),
            short.to_bits(),
            "{codec:?} {short:e}"
        );
        comes_back(codec, &floats(one, short));
        for kind in [Kind::Unit, Kind::Tuple(short, one), Kind::Struct { x: one }] {
            comes_back(codec, &kind);
        }
    }
    comes_back(Codec::Json, &json!({ "list": [one, { "deep": one }] }));
    comes_back(Codec::Json, &Tagged::Price { amount: one });
    let rest = [("x".to_owned(), one)].into();
    comes_back(Codec::Json, &Flat { rest });
}

#[test]
fn a_sum_of_decimals_comes_back_bit_for_bit() {
    let products = (1..100).map(|n| 0.07 * f64::from(n));
    products.for_each(|product| float_comes_back(product, product as f32));
    assert_eq!(back(Codec::Json, &(0.07 * 3.0)), 0.07 * 3.0);
}

#[test]
fn the_ends_of_the_range_come_back() {
    let tiny = f64::from_bits(1);
    let ends = [
        0.0,
        -0.0,
        f64::MIN,
        f64::MAX,
        f64::MIN_POSITIVE,
        f64::EPSILON,
        tiny,
        -tiny,
    ];
    let odd = [
        1e16,
        1e21,
        9_007_199_254_740_993.0,
        1.8446744073709552e19,
        5e-324,
        2.225_073_858_507_201e-308,
    ];
    let short = [
        0.0,
        -0.0,
        f32::MIN,
        f32::MAX,
        f32::MIN_POSITIVE,
        f32::from_bits(1),
        16_777_217.0,
    ];
    for one in ends.into_iter().chain(odd) {
        short
            .into_iter()
            .for_each(|short| float_comes_back(one, short));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_finite_float_comes_back(
        one in num::f64::NORMAL | num::f64::SUBNORMAL | num::f64::ZERO,
        short in num::f32::NORMAL | num::f32::SUBNORMAL | num::f32::ZERO,
    ) {
        float_comes_back(one, short);
    }

    #[test]
    fn every_integer_comes_back(wide: u128, signed: i128, long: u64, negative: i64, letter: char) {
        for codec in BOTH {
            comes_back(codec, &(wide, signed, long, negative, letter));
            comes_back(codec, &BTreeMap::from([(wide, negative)]));
            comes_back(codec, &BTreeMap::from([(signed, letter)]));
            comes_back(codec, &BTreeMap::from([(letter, long)]));
        }
        comes_back(Codec::Json, &json!([long, negative]));
    }

    #[test]
    fn every_text_and_all_bytes_come_back(text: String, bytes: Vec<u8>) {
        for codec in BOTH {
            comes_back(codec, &(text.clone(), bytes.clone()));
            comes_back(codec, &BTreeMap::from([(text.clone(), bytes.clone())]));
        }
    }
}

const NOT_FINITE: &str = "a float that is not finite, which JSON cannot express";

#[test]
fn json_refuses_a_float_that_is_not_finite_wherever_it_is() {
    for odd in [f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let short = odd as f32;
        assert_eq!(refused(Codec::Json, &odd), NOT_FINITE);
        assert_eq!(refused(Codec::Json, &short), NOT_FINITE);
        assert_eq!(refused(Codec::Json, &Some(odd)), NOT_FINITE);
        assert_eq!(refused(Codec::Json, &[1.0, odd]), NOT_FINITE);
        assert_eq!(refused(Codec::Json, &("a", odd)), NOT_FINITE);
        assert_eq!(
            refused(Codec::Json, &HashMap::from([("x", odd)])),
            NOT_FINITE
        );
        assert_eq!(refused(Codec::Json, &floats(odd, 1.0)), NOT_FINITE);
        assert_eq!(refused(Codec::Json, &floats(1.0, short)), NOT_FINITE);
        assert_eq!(refused(Codec::Json, &Kind::New(odd)), NOT_FINITE);
        assert_eq!(refused(Codec::Json, &Kind::Tuple(short, 1.0)), NOT_FINITE);
        assert_eq!(refused(Codec::Json, &Kind::Struct { x: odd }), NOT_FINITE);
        assert_eq!(
            refused(Codec::Json, &Tagged::Price { amount: odd }),
            NOT_FINITE
        );
        assert_eq!(back(Codec::Postcard, &odd).to_bits(), odd.to_bits());
        assert_eq!(back(Codec::Postcard, &short).to_bits(), short.to_bits());
        let kind = back(Codec::Postcard, &Kind::New(odd));
        assert!(matches!(kind, Kind::New(kept) if kept.to_bits() == odd.to_bits()));
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Nothing;
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Wrapped(Option<u8>);
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Loose {
    Number(u8),
    Empty,
}
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Patch {
    name: Option<Option<String>>,
}

#[test]
fn json_refuses_a_some_that_holds_nothing() {
    const EMPTY: &str = "a `Some` that holds nothing, which JSON reads back as `None`";
    assert_eq!(refused(Codec::Json, &Some(None::<u8>)), EMPTY);
    assert_eq!(refused(Codec::Json, &Some(())), EMPTY);
    assert_eq!(refused(Codec::Json, &Some(Nothing)), EMPTY);
    assert_eq!(refused(Codec::Json, &Some(Some(Some(None::<u8>)))), EMPTY);
    assert_eq!(refused(Codec::Json, &Some(Box::new(None::<u8>))), EMPTY);
    assert_eq!(refused(Codec::Json, &Some(Wrapped(None))), EMPTY);
    assert_eq!(refused(Codec::Json, &Some(Loose::Empty)), EMPTY);
    assert_eq!(refused(Codec::Json, &Some(json!(null))), EMPTY);
    assert_eq!(refused(Codec::Json, &Patch { name: Some(None) }), EMPTY);
    assert_eq!(refused(Codec::Json, &vec![None, Some(None::<u8>)]), EMPTY);
    assert_eq!(
        refused(Codec::Json, &BTreeMap::from([(1, Some(()))])),
        EMPTY
    );
    for codec in BOTH {
        comes_back(codec, &None::<Option<u8>>);
        comes_back(codec, &Some(Some(1)));
        comes_back(
            codec,
            &(
                (),
                Nothing,
                None::<()>,
                Wrapped(None),
                Some(Wrapped(Some(1))),
            ),
        );
        comes_back(codec, &Some(vec![None, Some(1)]));
        comes_back(codec, &Some((None::<u8>, ())));
        comes_back(codec, &Some(BTreeMap::from([(1, None::<u8>)])));
        comes_back(codec, &Patch { name: None });
    }
    comes_back(Codec::Postcard, &Some(None::<u8>));
    comes_back(Codec::Postcard, &Some(Some(())));
    comes_back(Codec::Json, &json!({ "a": null, "b": [null] }));
    comes_back(Codec::Json, &Loose::Empty);
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Tree(Vec<Tree>);
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Chain {
    End,
    New(Box<Chain>),
    Tuple(Box<Chain>, u8),
    Struct { next: Box<Chain> },
}
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Node {
    next: Option<Box<Node>>,
}

fn repeat<T>(times: usize, end: T, next: impl Fn(T) -> T) -> T {
    (0..times).fold(end, |value, _| next(value))
}

#[test]
fn json_refuses_what_is_nested_too_deep_to_be_read() {
    fn deepest<T: Serialize + DeserializeOwned + PartialEq + Debug>(
        make: impl Fn(usize) -> T,
        times: usize,
    ) {
        comes_back(Codec::Json, &make(times));
        let category = refused(Codec::Json, &make(times + 1));
        assert_eq!(
            category,
            "values nested more than 127 deep, which JSON does not read back"
        );
        comes_back(Codec::Postcard, &make(times + 1));
    }
    deepest(
        |times| repeat(times, Tree(vec![]), |tree| Tree(vec![tree])),
        126,
    );
    deepest(
        |times| {
            repeat(times, Node { next: None }, |node| Node {
                next: Some(Box::new(node)),
            })
        },
        126,
    );
    let chain = |times| {
        move |link: fn(Box<Chain>) -> Chain| repeat(times, Chain::End, |end| link(Box::new(end)))
    };
    deepest(|times| chain(times)(Chain::New), 127);
    deepest(|times| chain(times)(|next| Chain::Tuple(next, 1)), 63);
    deepest(|times| chain(times)(|next| Chain::Struct { next }), 63);
    let deep = repeat(127, json!(1), |value| json!({ "a": value }));
    comes_back(Codec::Json, &deep);
    refused(Codec::Json, &json!([deep]));
}

fn is_false(flag: &bool) -> bool {
    flag.not()
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Rights {
    #[serde(default, skip_serializing_if = "is_false")]
    admin: bool,
    editor: bool,
    log: Vec<u8>,
}
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Change {
    Rights {
        #[serde(default, skip_serializing_if = "is_false")]
        admin: bool,
        editor: bool,
    },
}

#[test]
fn postcard_refuses_a_skipped_field_instead_of_shifting_the_others() {
    const SKIPPED: &str =
        "a field that is skipped (skip_serializing_if), which postcard does not read back";
    let rights = |admin| Rights {
        admin,
        editor: true,
        log: vec![0],
    };
    assert_eq!(refused(Codec::Postcard, &rights(false)), SKIPPED);
    assert_eq!(
        refused(Codec::Postcard, &vec![Some(rights(false))]),
        SKIPPED
    );
    let change = |admin| Change::Rights {
        admin,
        editor: true,
    };
    assert_eq!(refused(Codec::Postcard, &change(false)), SKIPPED);
    for codec in BOTH {
        comes_back(codec, &rights(true));
        comes_back(codec, &change(true));
    }
    comes_back(Codec::Json, &rights(false));
    comes_back(Codec::Json, &change(false));
}

/// Announces another number of elements than it has.
struct Announces(Option<usize>, usize);

impl Serialize for Announces {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(self.0)?;
        (0..self.1).try_for_each(|n| list.serialize_element(&n))?;
        list.end()
    }
}

#[test]
fn a_list_of_another_length_than_announced_is_refused_where_that_could_not_be_read() {
    const MISCOUNTED: &str = "a list or map of another length than it announces";
    assert_eq!(refused(Codec::Postcard, &Announces(Some(1), 2)), MISCOUNTED);
    assert_eq!(refused(Codec::Postcard, &Announces(Some(3), 2)), MISCOUNTED);
    assert_eq!(refused(Codec::Json, &Announces(Some(0), 2)), MISCOUNTED);
    for announced in [None, Some(1), Some(2), Some(3)] {
        let value = Codec::Json.encode(&Announces(announced, 2)).unwrap();
        assert_eq!(value.bytes(), b"[0,1]");
    }
    let value = Codec::Postcard.encode(&Announces(Some(2), 2)).unwrap();
    assert_eq!(value.decode::<Vec<usize>>().unwrap(), [0, 1]);
}

#[test]
fn a_refusal_says_what_it_is_and_nothing_of_the_value() {
    let fault: CodecFault = Codec::Json
        .encode(&HashMap::from([("hunter2", f64::NAN)]))
        .unwrap_err();
    assert_eq!(fault.codec(), Codec::Json);
    assert_eq!(fault.position(), None);
    assert_eq!(fault.to_string(), format!("Json: {NOT_FINITE}"));
}

/// A type may try one form and then another.
struct Tries;

impl Serialize for Tries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match f64::NAN.serialize(&mut serde_json::Serializer::new(Vec::new())) {
            Ok(()) => serializer.serialize_str("not a number"),
            Err(_) => serializer.serialize_unit(),
        }
    }
}

#[test]
fn what_a_type_writes_with_a_serializer_of_its_own_is_its_own_affair() {
    assert_eq!(
        Codec::Json.encode(&Tries).unwrap().bytes(),
        b"\"not a number\""
    );
}

mod in_a_session {
    use std::sync::Arc;

    use session_core::{
        Directive, MemoryStore, Outcome, SessionError, SessionGuard, SessionManager,
    };

    use super::{HashMap, NOT_FINITE};

    fn key_of(refused: Result<impl Sized, SessionError>) -> String {
        match refused.err() {
            Some(SessionError::Encode { key, fault, .. }) => {
                assert_eq!(fault.category(), NOT_FINITE);
                key
            }
            other => unreachable!("{other:?}"),
        }
    }

    async fn stored() -> (SessionManager, SessionGuard, String) {
        let manager = SessionManager::new(Arc::new(MemoryStore::new()));
        let session = manager.begin(&[]).await.unwrap();
        session.insert("r", 1.5).unwrap();
        session.flash("notice", 2.5).unwrap();
        let Directive::Hold(token) = session.finish(Outcome::Success).await.unwrap() else {
            unreachable!()
        };
        let session = manager.begin(&[token.as_str()]).await.unwrap();
        (manager, session, token.as_str().to_owned())
    }

    #[tokio::test]
    async fn what_would_not_come_back_is_refused_with_its_key_and_the_session_stays() {
        let (_, session, _) = stored().await;
        assert_eq!(key_of(session.insert("r", f64::NAN)), "r");
        assert_eq!(key_of(session.insert("new", Some(f32::INFINITY))), "new");
        let nested = HashMap::from([("hunter2", vec![f64::NEG_INFINITY])]);
        assert_eq!(key_of(session.insert("r", nested)), "r");
        assert_eq!(key_of(session.update("r", |_: Option<f64>| f64::NAN)), "r");
        assert_eq!(
            key_of(session.update("r", |r: Option<f64>| r.unwrap_or(1.0) / 0.0)),
            "r"
        );
        assert_eq!(
            key_of(session.update_now("r", |_: Option<f64>| f64::NAN).await),
            "r"
        );
        assert!(key_of(session.flash("rate", f64::NAN)).ends_with("rate"));
        assert_eq!(session.get::<f64>("r").unwrap(), Some(1.5));
        assert_eq!(
            session.finish(Outcome::Success).await.unwrap(),
            Directive::Nothing
        );
        assert!(!session.contains_key("new"));
        assert_eq!(session.take::<f64>("r").unwrap(), Some(1.5));
    }

    #[tokio::test]
    async fn a_closure_that_comes_to_such_a_value_on_a_conflict_fails_the_commit() {
        let (manager, session, token) = stored().await;
        session
            .update("r", |r: Option<f64>| 1.0 / r.unwrap_or(0.0))
            .unwrap();
        let rival = manager.begin(&[&token]).await.unwrap();
        rival.insert("r", 0.0).unwrap();
        rival.finish(Outcome::Success).await.unwrap();
        let finished = session.finish(Outcome::Success).await;
        assert_eq!(key_of(finished.map_err(SessionError::from)), "r");
        let after = manager.begin(&[&token]).await.unwrap();
        assert_eq!(after.get::<f64>("r").unwrap(), Some(0.0));
    }
}

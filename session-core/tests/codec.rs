//! Values become bytes and come back, and what cannot says why without quoting anything.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};
use session_core::store::Value;
use session_core::{Codec, CodecFault};

const BOTH: [Codec; 2] = [Codec::Json, Codec::Postcard];

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Basket {
    items: Vec<(String, u32)>,
    note: Option<String>,
    total: f64,
    flags: BTreeMap<String, bool>,
}

fn basket() -> Basket {
    Basket {
        items: vec![("Tee".into(), 2), ("日本".into(), u32::MAX)],
        note: None,
        total: 12.75,
        flags: [("gift".to_owned(), true)].into(),
    }
}

fn json(text: &str) -> Value {
    Value::new(Codec::Json, text.to_owned())
}

fn postcard(bytes: &[u8]) -> Value {
    Value::new(Codec::Postcard, bytes.to_vec())
}

fn fault<T: DeserializeOwned + Debug>(value: &Value) -> CodecFault {
    value.decode::<T>().unwrap_err()
}

#[test]
fn tags_never_change() {
    assert_eq!((Codec::Json.tag(), Codec::Postcard.tag()), (0, 1));
    assert_eq!(Codec::from_tag(0), Some(Codec::Json));
    assert_eq!(Codec::from_tag(1), Some(Codec::Postcard));
    // Stores keep sealed values with and without the feature.
    assert_eq!(Codec::from_tag(2), Some(Codec::Sealed));
    assert_eq!(Codec::Sealed.tag(), 2);
    assert!((3..=255).all(|tag| Codec::from_tag(tag).is_none()));
    assert_eq!(Codec::default(), Codec::Json);
}

#[test]
fn known_bytes() {
    let encoded = Codec::Json.encode(&("a", 300, None::<u8>)).unwrap();
    assert_eq!(encoded, json(r#"["a",300,null]"#));
    let encoded = Codec::Postcard.encode(&("a", 300_u32, None::<u8>)).unwrap();
    assert_eq!(encoded, postcard(b"\x01a\xac\x02\x00"));
    assert_eq!(Codec::Json.encode("text").unwrap().bytes(), b"\"text\"");
}

#[test]
fn values_come_back() {
    for codec in BOTH {
        let value = codec.encode(&basket()).unwrap();
        assert_eq!(value.codec(), codec);
        assert_eq!(value.decode::<Basket>().unwrap(), basket());
    }
}

#[test]
fn a_value_shares_its_bytes() {
    let value = json("[1,2]");
    assert_eq!(value.bytes(), b"[1,2]");
    assert_eq!(value.clone().bytes().as_ptr(), value.bytes().as_ptr());
    assert_ne!(value, Value::new(Codec::Postcard, &b"[1,2]"[..]));
}

#[test]
fn debug_shows_nothing_of_a_value() {
    assert_eq!(format!("{:?}", json("\"secret\"")), "Value(Json, 8 bytes)");
    assert_eq!(format!("{:?}", postcard(b"ab")), "Value(Postcard, 2 bytes)");
}

#[test]
fn where_json_is_wrong() {
    let shape = fault::<u8>(&json("\n  \"hunter2\""));
    assert_eq!(shape.codec(), Codec::Json);
    assert_eq!(shape.category(), "data of another shape than the type");
    assert_eq!(shape.position(), Some((2, 11)));
    assert_eq!(
        shape.to_string(),
        "Json: data of another shape than the type at line 2 column 11"
    );
    let syntax = fault::<Vec<u8>>(&json("[1,!]"));
    assert_eq!(
        syntax.to_string(),
        "Json: a syntax error at line 1 column 4"
    );
    assert_eq!(
        (syntax.category(), syntax.position()),
        ("a syntax error", Some((1, 4)))
    );
    let early = fault::<Vec<u8>>(&json("[1,"));
    assert_eq!(
        early.to_string(),
        "Json: an unexpected end at line 1 column 3"
    );
    let trailing = fault::<u8>(&json("1 2"));
    assert_eq!(
        trailing.to_string(),
        "Json: a syntax error at line 1 column 3"
    );
}

#[test]
fn where_postcard_is_wrong() {
    let early = fault::<u32>(&postcard(b"\x80"));
    assert_eq!(early.codec(), Codec::Postcard);
    assert_eq!(
        (early.category(), early.position()),
        ("an unexpected end", None)
    );
    assert_eq!(early.to_string(), "Postcard: an unexpected end");
    let trailing = fault::<u8>(&postcard(b"\x01\x02"));
    assert_eq!(trailing.to_string(), "Postcard: trailing bytes");
    assert_eq!(
        (trailing.codec(), trailing.position()),
        (Codec::Postcard, None)
    );
    for bytes in [&b"\x02"[..], b"\xff"] {
        let shape = fault::<bool>(&postcard(bytes));
        assert_eq!(
            shape.to_string(),
            "Postcard: data of another shape than the type"
        );
    }
    let any = fault::<serde_json::Value>(&postcard(b"\x01"));
    assert_eq!(
        any.to_string(),
        "Postcard: a type that postcard cannot express"
    );
}

#[test]
fn no_fault_quotes_the_value() {
    #[derive(Debug, Deserialize)]
    #[allow(dead_code, reason = "only read")]
    #[serde(deny_unknown_fields)]
    struct Strict {
        known: u8,
    }
    let secrets = [
        fault::<u8>(&json("\"hunter2\"")),
        fault::<Strict>(&json("{\"hunter2\":1}")),
        fault::<Strict>(&json("{\"known\":\"hunter2\"}")),
        fault::<bool>(&json("hunter2")),
        fault::<std::net::IpAddr>(&json("\"hunter2\"")),
        fault::<std::net::IpAddr>(&postcard(b"\x07hunter2")),
        fault::<char>(&postcard(b"\x07hunter2")),
    ];
    for fault in secrets {
        let shown = format!("{fault} {fault:?}");
        assert!(
            !shown.contains("hunter2") && !shown.contains("known"),
            "{shown}"
        );
        assert!(std::error::Error::source(&fault).is_none());
    }
}

/// A map of lists as keys, which JSON has not.
fn odd_keys() -> HashMap<Vec<u8>, u8> {
    [(vec![1], 2)].into()
}

struct Refusing;

impl Serialize for Refusing {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("hunter2"))
    }
}

struct Uncounted;

impl Serialize for Uncounted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeSeq;
        let mut list = serializer.serialize_seq(None)?;
        list.serialize_element(&1)?;
        list.end()
    }
}

#[test]
fn what_cannot_be_encoded() {
    let keys = Codec::Json.encode(&odd_keys()).unwrap_err();
    assert_eq!(keys.codec(), Codec::Json);
    assert_eq!(keys.position(), None, "there is no text yet");
    assert_eq!(keys.to_string(), "Json: a value that JSON cannot express");
    let again = Codec::Postcard.encode(&odd_keys()).unwrap();
    assert_eq!(again.decode::<HashMap<Vec<u8>, u8>>().unwrap(), odd_keys());

    let refused = Codec::Json.encode(&Refusing).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "Json: a value that JSON cannot express"
    );
    let refused = Codec::Postcard.encode(&Refusing).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "Postcard: a value that postcard cannot express"
    );

    assert_eq!(Codec::Json.encode(&Uncounted).unwrap(), json("[1]"));
    let uncounted = Codec::Postcard.encode(&Uncounted).unwrap_err();
    assert_eq!(uncounted.category(), "a value that postcard cannot express");
    assert_eq!(uncounted.codec(), Codec::Postcard);
}

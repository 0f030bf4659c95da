//! The check for the tests of applications finds what no insert can notice.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fmt::Debug;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::ops::Not;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use session_core::{Codec, RoundTripError, round_trips};

const BOTH: [Codec; 2] = [Codec::Json, Codec::Postcard];

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Short(u8),
    Long(u64),
    Empty,
}
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Internal {
    Unit,
    Struct { n: u8 },
    Wide { n: u128 },
    Inner(Inner),
}
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Inner {
    r#type: u8,
}
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "content")]
enum Adjacent {
    Unit,
    Tuple(u8, u8),
}
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Role {
    Guest,
    #[serde(skip)]
    #[allow(dead_code, reason = "only its place counts")]
    Robot,
    Editor,
    Admin,
}
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    name: u8,
    #[serde(flatten)]
    rest: BTreeMap<String, u8>,
}
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Tuple(
    #[serde(skip_serializing_if = "is_false")] bool,
    bool,
    Vec<u8>,
);
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Bare {
    #[serde(skip_serializing_if = "is_false")]
    flag: bool,
}

fn is_false(flag: &bool) -> bool {
    flag.not()
}

#[derive(Debug, PartialEq)]
enum Step {
    Fine,
    Encode,
    Decode,
    Differs,
}
use Step::{Decode, Differs, Encode, Fine};

#[track_caller]
fn check<T>(value: &T, json: Step, postcard: Step)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    for (codec, expected) in BOTH.into_iter().zip([json, postcard]) {
        let step = match round_trips(codec, value) {
            Ok(()) => Fine,
            Err(RoundTripError::Encode { .. }) => Encode,
            Err(RoundTripError::Decode { .. }) => Decode,
            Err(_) => Differs,
        };
        assert_eq!(step, expected, "{codec:?}, {value:?}");
    }
}

#[test]
fn plain_types_round_trip() {
    check(&(1_u8, "text".to_owned(), Some(2.5), vec!['x']), Fine, Fine);
    check(&HashMap::from([(1, 2), (3, 4), (5, 6)]), Fine, Fine);
    check(&Role::Guest, Fine, Fine);
}

#[test]
fn what_no_insert_notices_is_found() {
    check(&Untagged::Short(5), Fine, Decode);
    check(&Untagged::Long(500), Fine, Decode);
    check(&Untagged::Long(5), Differs, Decode);
    check(&Untagged::Empty, Fine, Decode);
    check(&Internal::Unit, Fine, Decode);
    check(&Internal::Struct { n: 1 }, Fine, Decode);
    check(&Internal::Wide { n: u128::MAX }, Decode, Decode);
    check(&Internal::Inner(Inner { r#type: 1 }), Decode, Decode);
    check(&Adjacent::Unit, Fine, Decode);
    check(&Adjacent::Tuple(1, 2), Fine, Decode);
    check(&Role::Editor, Fine, Differs);
    check(&Role::Admin, Fine, Decode);
    let flat = |key: &str| Flat {
        name: 1,
        rest: [(key.to_owned(), 1)].into(),
    };
    check(&flat("other"), Fine, Encode);
    check(&flat("name"), Decode, Encode);
    check(&Tuple(false, true, vec![0]), Decode, Differs);
    check(&Bare { flag: false }, Decode, Encode);
    check(&serde_json::json!({ "a": [1] }), Fine, Decode);
    check(
        &SocketAddrV6::new(Ipv6Addr::LOCALHOST, 1, 7, 0),
        Differs,
        Differs,
    );
    check(&f64::INFINITY, Encode, Fine);
    check(&Some(None::<u8>), Encode, Fine);
}

#[test]
fn what_differs_is_said_and_no_value() {
    let error = round_trips(Codec::Postcard, &Role::Editor).unwrap_err();
    assert_eq!(
        error.to_string(),
        "another value of type round_trips::Role comes back from Postcard, \
         which differs from byte 0 of its encoding on; use another type, or another codec"
    );
    let error = round_trips(Codec::Postcard, &Tuple(false, true, vec![0])).unwrap_err();
    assert_eq!(
        error.to_string(),
        "another value of type round_trips::Tuple comes back from Postcard, \
         although both are encoded alike; use another type, or another codec"
    );
    let error = round_trips(Codec::Json, &f32::NAN).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a value of type f32 cannot be encoded; use another type, or another codec"
    );
    let cause = error.source().unwrap().to_string();
    assert_eq!(
        cause,
        "Json: a float that is not finite, which JSON cannot express"
    );
    let error = round_trips(Codec::Json, &Internal::Wide { n: u128::MAX }).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("an encoded value of type round_trips::Internal cannot be decoded")
    );
}

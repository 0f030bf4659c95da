use std::collections::BTreeMap;
use std::fmt::Debug;
use std::marker::PhantomData;

use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::*;
use crate::record::{Codec, CodecFault, Value};

/// What a `T` is given by `serde_json` alone.
fn by_serde_json<T: DeserializeOwned>(json: &[u8]) -> Result<T, CodecFault> {
    serde_json::from_slice(json).map_err(|fault| CodecFault::json(&fault))
}

/// Checks that a `T` is decoded from these bytes as by `serde_json` alone, or fails alike.
#[track_caller]
fn same<T: DeserializeOwned + PartialEq + Debug>(json: &[u8]) {
    let value = Value::new(Codec::Json, json.to_vec());
    assert_eq!(value.bytes(), json);
    assert_eq!(value.decode::<T>(), by_serde_json(json));
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Wrapped(String);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Fields {
    text: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Tagged {
    Text(String),
    #[serde(other)]
    Other,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u64),
    Text(Option<String>),
}

/// Takes a number or a text, but asks for a number: JSON gives it no text.
#[derive(Debug, PartialEq)]
struct Eager(String);

/// Makes a value of each failure.
#[derive(Debug, PartialEq)]
struct Forgiving(Option<Tagged>);

/// Does not ask.
#[derive(Debug, PartialEq)]
struct Incurious;

/// Bytes as they are.
#[derive(Debug, PartialEq)]
struct Raw(Vec<u8>);

/// Keeps the quotation marks.
#[derive(Debug, Serialize, Deserialize)]
struct RawJson(Box<RawValue>);

impl PartialEq for RawJson {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

struct Either;

impl Visitor<'_> for Either {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a text or bytes")
    }

    fn visit_u64<E>(self, number: u64) -> Result<String, E> {
        Ok(number.to_string())
    }

    fn visit_str<E>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<String, E> {
        Ok(format!("{bytes:?}"))
    }
}

impl<'de> Deserialize<'de> for Eager {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_u64(Either).map(Self)
    }
}

impl<'de> Deserialize<'de> for Forgiving {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Tagged::deserialize(deserializer).ok()))
    }
}

impl<'de> Deserialize<'de> for Incurious {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Ok(Self)
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = deserializer.deserialize_bytes(Either)?;
        Ok(Self(bytes.into_bytes()))
    }
}

#[track_caller]
fn same_for_all_types(json: &[u8]) {
    same::<String>(json);
    same::<Box<str>>(json);
    same::<Option<Option<String>>>(json);
    same::<Wrapped>(json);
    same::<Option<Wrapped>>(json);
    same::<Untagged>(json);
    same::<serde_json::Value>(json);
    same::<char>(json);
    same::<bool>(json);
    same::<u64>(json);
    same::<i128>(json);
    same::<f64>(json);
    same::<()>(json);
    same::<(String,)>(json);
    same::<Vec<String>>(json);
    same::<BTreeMap<String, String>>(json);
    same::<PhantomData<String>>(json);
    same::<IgnoredAny>(json);
    same::<Fields>(json);
    same::<Tagged>(json);
    same::<Eager>(json);
    same::<Forgiving>(json);
    same::<Incurious>(json);
    same::<Raw>(json);
    same::<RawJson>(json);
}

/// JSON of a text that is long enough to be looked at.
fn long(text: &str) -> Vec<u8> {
    format!("\"{text}{}\"", "x".repeat(LONG)).into_bytes()
}

fn is_text(json: &[u8]) -> bool {
    PlainText::new(&Bytes::copy_from_slice(json)).is_some()
}

#[test]
fn a_long_text_without_escapes_is_decoded_at_once() {
    for text in ["", "日本 é 🦀", "\u{7f}\u{80}\u{2028}", "/'<>&"] {
        let json = long(text);
        assert!(is_text(&json), "{text}");
        let text = PlainText::new(&Bytes::from(json.clone())).unwrap();
        let decoded = text.decode::<String>();
        assert_eq!(decoded, by_serde_json(&json).ok());
        assert_eq!(text.decode::<Wrapped>().unwrap().0, decoded.unwrap());
        assert!(text.decode::<Option<Box<str>>>().unwrap().is_some());
    }
}

#[test]
fn what_serde_json_decodes() {
    // Short, escaped, not allowed, no UTF-8, not only a text.
    let x = "x".repeat(LONG);
    let mut others = vec![
        b"\"x\"".to_vec(),
        vec![b'"'; 2 * LONG],
        format!("\"{x}").into_bytes(),
        format!("{x}\"").into_bytes(),
        format!(" \"{x}\"").into_bytes(),
        format!("\"{x}\" ").into_bytes(),
        format!("[\"{x}\"]").into_bytes(),
        b"1".repeat(LONG),
        Vec::new(),
    ];
    let refused = (0..b' ').chain([b'"', b'\\', 0x80, 0xff]);
    for byte in refused {
        for at in [1, 2, LONG / 2, LONG, LONG + 1, LONG + CHUNK] {
            let mut json = format!("\"{x}{}\"", "x".repeat(CHUNK)).into_bytes();
            json[at] = byte;
            others.push(json);
        }
    }
    for json in others {
        assert!(!is_text(&json), "{json:?}");
        same_for_all_types(&json);
    }
}

#[test]
fn a_type_that_asks_for_something_else_is_decoded_by_serde_json() {
    let json = long("a text");
    same_for_all_types(&json);
    let text = PlainText::new(&Bytes::from(json)).unwrap();
    assert!(text.decode::<Eager>().is_none());
    assert!(text.decode::<Incurious>().is_none());
    assert!(text.decode::<Forgiving>().is_none());
    assert!(text.decode::<Raw>().is_none());
    assert!(text.decode::<RawJson>().is_none());
}

#[test]
fn a_long_text_is_the_same_only_as_itself() {
    let is_same = |one: &[u8], other: &[u8]| {
        Value::new(Codec::Json, one.to_vec()).is_same(Codec::Json, other)
    };
    let (text, other) = (long("ab c"), long("a bc"));
    assert!(is_same(&text, &text));
    assert!(!is_same(&text, &other));
    assert!(!is_same(&text, b"1"));
    // Another spelling of it, which is no plain text.
    let escaped = long("a\\u0062 c");
    assert!(is_same(&text, &escaped) && is_same(&escaped, &text));
    let value = Value::new(Codec::Json, text.clone());
    assert!(!value.is_same(Codec::Postcard, &text));
}

/// Bytes, which JSON has no notation for.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Bytestring(Vec<u8>);

impl Serialize for Bytestring {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

#[derive(Serialize)]
#[serde(tag = "kind")]
enum Kind<'t> {
    Known {
        text: &'t str,
        bytes: Bytestring,
        #[serde(flatten)]
        more: BTreeMap<&'t str, Wrapped>,
    },
}

#[derive(Serialize)]
enum Variants<'t> {
    Newtype(&'t str),
    Tuple(&'t str, Option<&'t str>),
    Struct { text: &'t str },
}

/// Checks that a value is encoded as by `serde_json` alone.
#[track_caller]
fn encoded_alike<T: Serialize>(value: &T) {
    let expected = serde_json::to_vec(value).unwrap();
    let encoded = Codec::Json.encode(value).unwrap();
    assert_eq!(encoded.bytes(), expected);
}

#[track_caller]
fn all_types_encoded_alike(text: &str) {
    encoded_alike(&text);
    encoded_alike(&Some(Wrapped(text.to_owned())));
    encoded_alike(&[("", text), (text, "after")]);
    encoded_alike(&BTreeMap::from([(text, text), ("", text), ("key", "")]));
    encoded_alike(&BTreeMap::from([(Wrapped(text.to_owned()), 1)]));
    encoded_alike(&Kind::Known {
        text,
        bytes: Bytestring(text.as_bytes().to_vec()),
        more: [(text, Wrapped(text.to_owned()))].into(),
    });
    encoded_alike(&[
        Variants::Newtype(text),
        Variants::Tuple(text, Some(text)),
        Variants::Struct { text },
    ]);
    let json = serde_json::to_string(text).unwrap();
    encoded_alike(&vec![RawJson(RawValue::from_string(json).unwrap())]);
    let number = RawValue::from_string("1".repeat(text.len().max(1))).unwrap();
    encoded_alike(&(RawJson(number), text));
    let bytes = Bytestring(text.as_bytes().to_vec());
    encoded_alike(&(&bytes, text));
    assert!(Codec::Json.encode(&BTreeMap::from([(bytes, 1)])).is_err());
}

#[test]
fn texts_of_any_length_are_encoded_as_by_serde_json() {
    for length in [0, 1, LONG - 1, LONG, LONG + 1, CHUNK, 5 * CHUNK] {
        let text = "x".repeat(length);
        all_types_encoded_alike(&text);
        for more in ["\n", "\"", "\\", "\0", "\u{7f}", "日本", "\u{2028}"] {
            all_types_encoded_alike(&format!("{more}{text}"));
            all_types_encoded_alike(&format!("{text}{more}"));
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_encoded_as_by_serde_json(
        part in "[ -~]{0,9}|\\PC{0,5}|.{0,5}",
        length in 0_usize..1200,
        at in any::<prop::sample::Index>(),
    ) {
        let mut text = "y".repeat(length);
        text.insert_str(at.index(length + 1), &part);
        all_types_encoded_alike(&text);
    }

    #[test]
    fn any_text_is_decoded_as_by_serde_json(
        parts in prop::collection::vec(("[ -~]{0,9}|\\PC{0,5}|.{0,5}", 0_usize..1200), 1..4),
        cut in 0_usize..4,
        damage in prop::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let text: String = parts
            .iter()
            .map(|(part, length)| format!("{part}{}", "y".repeat(*length)))
            .collect();
        let mut json = serde_json::to_vec(&text).unwrap();
        json.truncate(json.len() - usize::from(cut == 0));
        if let Some((at, byte)) = damage {
            let at = at.index(json.len());
            json[at] = byte;
        }
        same_for_all_types(&json);
    }
}

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;

use super::*;

fn same(one: &str, other: &str) -> bool {
    let forth = is_same_json(one.as_bytes(), other.as_bytes());
    assert_eq!(
        forth,
        is_same_json(other.as_bytes(), one.as_bytes()),
        "{one} {other}"
    );
    forth
}

#[test]
fn an_object_is_the_same_in_any_order() {
    assert!(same(r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#));
    assert!(same(
        r#"[{"a":1,"b":[{"x":0,"y":1}]}]"#,
        r#"[{"b":[{"y":1,"x":0}],"a":1}]"#
    ));
    assert!(same(
        r#"{"":{"a":1,"b":2},"c":{}}"#,
        r#"{"c":{},"":{"b":2,"a":1}}"#
    ));
    assert!(same(r#"{"é":"日","z":null}"#, r#"{"z":null,"é":"日"}"#));
}

#[test]
fn another_value_is_another_value() {
    for (one, other) in [
        (r#"{"a":1,"b":2}"#, r#"{"a":2,"b":1}"#),
        (r#"{"a":1,"b":2}"#, r#"{"a":1}"#),
        (r#"{"a":12,"b":3}"#, r#"{"a":1,"b":23}"#),
        (r#"{"ab":1,"b":1}"#, r#"{"b":1,"ba":1}"#),
        (r#"{"a":{"x":1},"b":{}}"#, r#"{"a":{},"b":{"x":1}}"#),
        (r#"{"a":"1","b":2}"#, r#"{"b":"2","a":1}"#),
        (r#"{"a":[1,2]}"#, r#"{"a":[2,1]}"#),
        (r#"[{"a":1},{"b":2}]"#, r#"[{"b":2},{"a":1}]"#),
        (r#"{"a b":1}"#, r#"{"ab" :1}"#),
        (r#""a b""#, r#""ab ""#),
        ("[1,2]", "[2,1]"),
        ("12", "21"),
        ("[]", "{}"),
        ("null", "{}"),
        ("{}", r#"{"a":null}"#),
    ] {
        assert!(!same(one, other), "{one} {other}");
    }
}

#[test]
fn numbers_are_the_same_only_as_text() {
    for (one, other) in [
        ("1", "1.0"),
        ("100", "1e2"),
        ("0", "-0"),
        ("-0", "-0.0"),
        ("1e16", "1E16"),
    ] {
        assert!(!same(
            &format!(r#"{{"a":{one}}}"#),
            &format!(r#"{{"a":{other} }}"#)
        ));
    }
    // As floats they would be one.
    let long = [
        340_282_366_920_938_463_463_374_607_431_768_211_454_u128,
        u128::MAX,
    ];
    assert!(!same(
        &format!(r#"{{"a":{} }}"#, long[0]),
        &format!(r#"{{"a":{}}}"#, long[1])
    ));
    assert!(same(
        &format!(r#"{{"a":{} }}"#, long[0]),
        &format!(r#"{{"a":{}}}"#, long[0])
    ));
}

#[test]
fn white_space_and_escapes_of_other_programs_are_no_difference() {
    assert!(same(
        r#"{"a":1,"b":[2,{}]}"#,
        "\n{ \"a\" : 1,\r\n\t\"b\" : [ 2 , { } ] } "
    ));
    assert!(same("[1,2]", "[1, 2]"));
    assert!(same(
        r#"{"café":"naïve/"}"#,
        r#"{"caf\u00e9":"na\u00efve\/"}"#
    ));
    assert!(same(r#""😀""#, r#""\ud83d\ude00""#));
    assert!(same(
        r#"{"a\"b":1,"\\":2}"#,
        r#"{"\u005c":2,"\u0061\"b":1}"#
    ));
    assert!(!same(r#""\\u00e9""#, r#""\u00e9""#));
    assert!(!same(r#"{"a":"\n"}"#, r#"{"a":"\t"}"#));
    assert!(!same(r#""\\""#, r#""\"""#));
}

#[test]
fn what_cannot_be_told_is_another_value() {
    for damaged in [
        "",
        " ",
        "{",
        "}",
        "{}}",
        r#"{"b":2,"a":1"#,
        r#"{"b":2,"a":1,}"#,
        r#"{"b":2"a":1}"#,
        r#"{"b":2,"a"1}"#,
        r#"{"b":2,"a":}"#,
        r#"{,"b":2,"a":1}"#,
        r#"{"b":2,a:1}"#,
        r#"{"b":2,"a":1} 1"#,
        r#"{"b":2,"a":1]"#,
        r#"{"b":2,"a":1 1}"#,
        r#"{"b":2,"a":1""}"#,
        "\u{b}{\"b\":2,\"a\":1}",
        r#"{"b":2,"a":1}\"#,
        r#"{"b":2,"a\":1}"#,
    ] {
        assert!(!same(r#"{"a":1,"b":2}"#, damaged), "{damaged}");
        assert!(!same(damaged, &format!("{damaged} ")), "{damaged}");
    }
    // A key twice: who reads it may take either.
    assert!(!same(r#"{"a":1,"a":2}"#, r#"{"a":2,"a":1}"#));
    assert!(!same(r#"{"a":1,"\u0061":2}"#, r#"{"a":2,"\u0061":1}"#));
    // A raw control character is no JSON, and an insert repairs it.
    assert!(!same("{\"a\":\"\n\"}", r#"{"a":"\n"}"#));
    assert!(!is_same_json(
        b"{\"a\":\"\xff\", \"b\":1}",
        b"{\"b\":1,\"a\":\"\xff\"}"
    ));
    assert!(!same(r#"{"a":"\ud800","b":1}"#, r#"{"b":1,"a":"\ud800"}"#));
}

fn nested(depth: usize, within: &str) -> String {
    format!("{}{within}{}", r#"{"a":"#.repeat(depth), "}".repeat(depth))
}

#[test]
fn what_is_too_deep_is_not_looked_at() {
    let deepest = |depth| {
        same(
            &nested(depth, r#"{"x":1,"y":2}"#),
            &nested(depth, r#"{"y":2,"x":1}"#),
        )
    };
    assert!(deepest(126));
    assert!(!deepest(127));
    let endless = |open: &str| same(&open.repeat(1 << 20), &format!(" {}", open.repeat(1 << 20)));
    assert!(!endless("["));
    assert!(!endless(r#"{"a":"#));
}

/// A mebibyte of each shape, in two orders.
#[test]
fn large_values_take_time_in_proportion_to_their_length() {
    let entries = |count: usize| {
        (0..count)
            .map(|n| format!(r#""{n:06}":{n}"#))
            .collect::<Vec<_>>()
    };
    let object = |entries: &[String]| format!("{{{}}}", entries.join(","));
    let mut wide = entries(60_000);
    let one = object(&wide);
    wide.reverse();
    let other = object(&wide);
    assert!(same(&one, &other));
    // Deep down, where a parser that looks ahead would read it again at each level.
    assert!(same(&nested(120, &one), &nested(120, &other)));
    let list = |entry: &str| format!("[{}1]", format!("{entry},").repeat(80_000));
    assert!(same(&list(r#"{"a":1,"b":2}"#), &list(r#"{"b":2,"a":1}"#)));
    assert!(same(&list("{}"), &format!(" {}", list("{}"))));
    let text = "\\u0061".repeat(150_000);
    assert!(same(
        &format!("\"{text}\""),
        &format!("\"{}\"", "a".repeat(150_000))
    ));
}

fn shuffled(value: &serde_json::Value, seed: &mut u64) -> String {
    match value {
        serde_json::Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| shuffled(item, seed)).collect();
            format!("[{}]", items.join(","))
        }
        serde_json::Value::Object(entries) => {
            let mut texts: Vec<_> = entries
                .iter()
                .map(|(key, value)| format!("{}:{}", serde_json::json!(key), shuffled(value, seed)))
                .collect();
            for at in (1..texts.len()).rev() {
                *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                texts.swap(at, (*seed >> 33) as usize % (at + 1));
            }
            format!("{{{}}}", texts.join(","))
        }
        plain => plain.to_string(),
    }
}

fn any_value() -> impl Strategy<Value = serde_json::Value> {
    let plain = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        proptest::num::f64::NORMAL.prop_map(Into::into),
        ".{0,6}".prop_map(Into::into),
    ];
    plain.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            proptest::collection::btree_map(".{0,4}", inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_value_is_the_same_in_any_order(value in any_value(), mut seed: u64) {
        let (one, other) = (value.to_string(), shuffled(&value, &mut seed));
        prop_assert!(one == other || same(&one, &other), "{one} {other}");
    }

    #[test]
    fn values_are_the_same_only_if_they_are_equal(
        one in any_value(),
        other in any_value(),
        mut seed: u64,
    ) {
        let texts = (one.to_string(), shuffled(&other, &mut seed));
        prop_assert!(!same(&texts.0, &texts.1) || one == other);
    }

    #[test]
    fn a_map_of_any_hasher_is_the_same(map: BTreeMap<String, Option<f32>>) {
        let other: HashMap<_, _> = map.clone().into_iter().collect();
        let (one, other) = (serde_json::to_vec(&map)?, serde_json::to_vec(&other)?);
        prop_assert!(one == other || is_same_json(&one, &other));
    }

    #[test]
    fn any_bytes_are_looked_at_without_harm(one: Vec<u8>, other: Vec<u8>) {
        is_same_json(&one, &other);
    }
}

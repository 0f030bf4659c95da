//! Any name of a value comes back as it was written.

use proptest::prelude::any;
use proptest::test_runner::TestRunner;
use session_core::SessionId;
use session_core::store::{Changes, Record};
use session_tests::cases;

use super::bench::{Bench, Done, json};

fn names() -> Vec<String> {
    let plain = [
        "",
        " ",
        ".",
        "..",
        "a.b.c",
        ".a",
        "a.",
        "$",
        "$$",
        "$a",
        "a$",
        "a.$",
        "a.$[].b",
        "$[]",
        "$[x]",
        "$inc",
        "$set",
        "$ROOT",
        "_id",
        "data",
        "v",
        "meta",
        "principal",
        "ends",
        "0",
        "-1",
        "1.5",
        "%",
        "%%",
        "%2E",
        "%2e",
        "%25",
        "%24",
        "%00",
        "a%",
        "\0",
        "a\0b",
        "\0\0",
        "\"",
        "\\",
        "'",
        "\n",
        "\u{7f}",
        "\u{feff}",
        "é",
        "e\u{301}",
        "日本語",
        "🦀",
        "__proto__",
        "constructor",
        "toString",
    ];
    let long = [".", "%", "$", "\0", "é", "a"];
    let long = long.map(|part| part.repeat(1024 / part.len()));
    plain.into_iter().map(str::to_owned).chain(long).collect()
}

/// A name for each way to write it.
fn check(bench: &Bench, name: &str) {
    let content = |id: SessionId| bench.values(id);
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let record = bench.keep(bench.record().with_value(name, json("0")));
    let id = record.id();
    let all = |value: Option<&str>| {
        let mut all = vec![pair("a", "1"), pair("b", "2")];
        all.retain(|(key, _)| key != name);
        all.extend(value.map(|value| pair(name, value)));
        all.sort();
        all
    };
    assert_eq!(content(id), all(Some("0")), "created: {name:?}");
    let latest = || -> std::sync::Arc<Record> { bench.find(id).unwrap().unwrap() };
    for exact in [false, true] {
        let set = Changes::new().set(name, json("1"));
        assert_eq!(bench.update(&latest(), &set, exact), Done, "{name:?}");
        assert_eq!(content(id), all(Some("1")), "{name:?}");
        assert_eq!(
            bench.update(&latest(), &Changes::new().remove(name), exact),
            Done,
            "{name:?}"
        );
        assert_eq!(content(id), all(None), "{name:?}");
        assert_eq!(bench.update(&latest(), &set, exact), Done, "{name:?}");
        assert_eq!(content(id), all(Some("1")), "{name:?}");
    }
    for exact in [false, true] {
        let clear = Changes::new().set(name, json("2")).clear();
        assert_eq!(bench.update(&latest(), &clear, exact), Done, "{name:?}");
        assert_eq!(content(id), [pair(name, "2")], "{name:?}");
    }
    assert_eq!(
        bench.update(&latest(), &Changes::new().clear(), false),
        Done,
        "{name:?}"
    );
    assert_eq!(content(id), [], "{name:?}");
    bench.delete(id);
}

#[test]
fn any_name() {
    let bench = Bench::new();
    for name in names() {
        check(&bench, &name);
    }
    let ran = TestRunner::new(cases(60)).run(&any::<String>(), |name| {
        check(&bench, &name);
        Ok(())
    });
    ran.unwrap();
}

/// None is in the way of another.
#[test]
fn all_names_at_once() {
    let bench = Bench::new();
    let mut names = names();
    let mut record = bench.record();
    for (value, name) in names.iter().enumerate() {
        record = record.with_value(name.as_str(), json(&value.to_string()));
    }
    let base = bench.keep(record);
    assert_eq!(bench.find(base.id()).unwrap().unwrap(), base);
    assert_eq!(
        base.values().len(),
        names.len() + 2,
        "and those of every record"
    );
    while let Some(name) = names.pop() {
        assert_eq!(
            bench.update(&base, &Changes::new().remove(name.as_str()), false),
            Done
        );
        let mut left: Vec<_> = names.clone();
        left.extend(["a", "b"].map(str::to_owned));
        left.sort();
        let there: Vec<_> = bench
            .values(base.id())
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        assert_eq!(there, left, "without {name:?}");
    }
    let mut changes = Changes::new();
    for name in self::names() {
        changes = changes.set(name, json("7"));
    }
    assert_eq!(bench.update(&base, &changes, false), Done);
    let values = bench.values(base.id());
    assert_eq!(values.len(), base.values().len());
    assert!(
        values
            .iter()
            .all(|(key, value)| ["a", "b"].contains(&key.as_str()) || value == "7")
    );
}

//! The guide shows the store that the suite passes, to the letter.

/// Put the guide's copy in order with
/// `UPDATE_GUIDE=1 cargo test -p session-tests --test harness guide`.
#[test]
fn the_custom_store_is_the_one_that_was_tested() {
    let source = include_str!("../../../session-core/tests/custom_store.rs");
    let store = between(source, "// guide: begin\n", "// guide: end\n")
        .unwrap()
        .trim_end();
    let lines = store.lines().count();
    assert!(
        lines <= 60,
        "a store has become longer to write: {lines} lines"
    );
    let shown = format!("\n```rust\n{store}\n```\n");
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../session-http/docs/stores.md"
    );
    let guide = std::fs::read_to_string(path).unwrap();
    let (begin, end) = ("<!-- custom store: begin -->", "<!-- custom store: end -->");
    let present = between(&guide, begin, end).unwrap();
    if std::env::var_os("UPDATE_GUIDE").is_some() {
        std::fs::write(path, guide.replace(present, &shown)).unwrap();
    } else {
        assert_eq!(present, shown);
    }
}

fn between<'a>(text: &'a str, begin: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(begin)?;
    Some(rest.split_once(end)?.0)
}

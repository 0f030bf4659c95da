//! As much of PromQL as it takes to see which series an expression asks for.

/// A metric, and what is asked of its labels: pairs of a label and a value.
#[derive(Debug, PartialEq)]
pub(super) struct Selector<'a> {
    pub(super) name: &'a str,
    pub(super) labels: Vec<(&'a str, &'a str)>,
}

fn is_name(letter: char) -> bool {
    letter == '_' || letter.is_ascii_alphanumeric()
}

/// The beginning of a text that is a name, and the rest.
fn name(text: &str) -> (&str, &str) {
    text.split_at(text.find(|letter| !is_name(letter)).unwrap_or(text.len()))
}

/// The metrics of sessions in an expression, or in any other text.
pub(super) fn selectors(text: &str) -> Vec<Selector<'_>> {
    let starts = text.match_indices("session_").map(|(start, _)| start);
    let starts = starts.filter(|start| !text[..*start].ends_with(is_name));
    let selectors = starts.map(|start| {
        let (name, rest) = name(&text[start..]);
        let inside = rest
            .strip_prefix('{')
            .and_then(|rest| rest.split('}').next());
        let labels = inside.into_iter().flat_map(|inside| inside.split(','));
        Selector {
            name,
            labels: labels.flat_map(matcher).collect(),
        }
    });
    selectors.collect()
}

/// `label="a"`, or `label=~"a|b"`, which asks for two values.
fn matcher(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let (label, rest) = name(text.trim());
    let values = rest.split('"').nth(1).unwrap_or_default();
    values.split('|').map(move |value| (label, value))
}

/// The labels behind each `by`.
pub(super) fn groupings(text: &str) -> Vec<&str> {
    let behind = text.split("by (").skip(1);
    let lists = behind.map(|rest| rest.split(')').next().unwrap());
    lists
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .collect()
}

#[test]
fn finds_selectors_and_groupings() {
    let text =
        r#"sum by (le, a) (rate(session_x{a="1", b=~"2|$c"}[5m])) / session_y + my_session_z"#;
    let labels = vec![("a", "1"), ("b", "2"), ("b", "$c")];
    let [x, y] = ["session_x", "session_y"];
    let expected = [
        Selector { name: x, labels },
        Selector {
            name: y,
            labels: vec![],
        },
    ];
    assert_eq!(selectors(text), expected);
    assert_eq!(groupings(text), ["le", "a"]);
}

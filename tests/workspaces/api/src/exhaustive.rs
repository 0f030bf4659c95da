//! What can never get another variant or field, because users may match or construct it.

use std::collections::BTreeSet;
use std::error::Error;

/// Compares what is exhaustive in these lists of public items with what is so on purpose.
pub fn check(items: &str, on_purpose: &str) -> Result<(), Box<dyn Error>> {
    let found = exhaustive(items);
    let mut listed = BTreeSet::new();
    let mut faults = Vec::new();
    for line in on_purpose.lines() {
        match line.split_once(' ') {
            Some((path, reason)) if !reason.trim().is_empty() => {
                listed.insert(path);
            }
            _ => faults.push(format!("`{line}` gives no reason")),
        }
    }
    for path in found.difference(&listed) {
        faults.push(format!(
            "{path} is exhaustive; make it #[non_exhaustive], or list it with a reason"
        ));
    }
    for path in listed.difference(&found) {
        faults.push(format!("{path} is listed and is not exhaustive"));
    }
    match faults.is_empty() {
        true => Ok(()),
        false => Err(faults.join("\n").into()),
    }
}

/// Enums, structs with public fields, and variants with named fields, unless they may grow.
fn exhaustive(items: &str) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    let mut growing = BTreeSet::new();
    for line in items.lines() {
        if let Some(item) = line.strip_prefix("#[non_exhaustive] pub ") {
            growing.insert(path_of(item));
        } else if let Some(item) = line.strip_prefix("pub enum ") {
            found.insert(path_of(item));
        } else if let Some(item) = line.strip_prefix("pub struct ")
            && item.contains("(pub ")
        {
            found.insert(path_of(item));
        } else if line.starts_with("pub session_")
            && let Some((path, _)) = line["pub ".len()..].split_once(": ")
            && let Some((parent, _)) = path.rsplit_once("::")
        {
            found.insert(parent);
        }
    }
    found
        .into_iter()
        .filter(|path| !growing.contains(path))
        .collect()
}

/// The path of an item, without what stands before and after it.
fn path_of(item: &str) -> &str {
    let item = item
        .trim_start_matches("enum ")
        .trim_start_matches("struct ");
    let end = item.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
    item[..end.unwrap_or(item.len())].trim_end_matches(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ITEMS: &str = "\
#[non_exhaustive] pub enum session_a::Grows
pub session_a::Grows::Fixed
pub session_a::Grows::Fixed::field: usize
#[non_exhaustive] pub session_a::Grows::Too
pub session_a::Grows::Too::field: usize
pub enum session_a::Fixed
pub struct session_a::Open
pub session_a::Open::field: alloc::sync::Arc<u8>
pub struct session_a::Closed
pub struct session_a::Tuple(pub u8)
pub struct session_a::Opaque(_)
#[non_exhaustive] pub struct session_a::Event<'a>
pub session_a::Event::field: &'a str
";

    #[test]
    fn what_users_can_construct_or_match_is_found() {
        let names = [
            "session_a::Fixed",
            "session_a::Grows::Fixed",
            "session_a::Open",
            "session_a::Tuple",
        ];
        assert_eq!(exhaustive(ITEMS), BTreeSet::from(names));
    }

    #[test]
    fn each_difference_is_named() {
        let right = "session_a::Fixed two\nsession_a::Grows::Fixed is\nsession_a::Open a\n";
        assert!(check(ITEMS, &format!("{right}session_a::Tuple reason\n")).is_ok());
        let error = check(ITEMS, &format!("{right}session_a::Gone reason\n")).unwrap_err();
        let text = "session_a::Tuple is exhaustive; make it #[non_exhaustive], or list it with a \
                    reason\nsession_a::Gone is listed and is not exhaustive";
        assert_eq!(error.to_string(), text);
        let error = check(ITEMS, &format!("{right}session_a::Tuple\n")).unwrap_err();
        assert!(error.to_string().contains("gives no reason"));
    }
}

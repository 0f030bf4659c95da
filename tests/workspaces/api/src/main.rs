//! Compares what each published crate shows to its users with the list that is committed, or writes
//! that list again (`--bless`).
//!
//! The first argument is the list of what is exhaustive on purpose, a line for each: the path, and
//! the reason. The others are pairs: what rustdoc said of a crate as JSON, and its list.

mod exhaustive;

use std::error::Error;
use std::path::Path;
use std::{env, fs};

use public_api::Builder;

fn main() -> Result<(), Box<dyn Error>> {
    let (flags, paths): (Vec<_>, Vec<_>) = env::args()
        .skip(1)
        .partition(|argument| argument == "--bless");
    let [on_purpose, pairs @ ..] = &paths[..] else {
        return Err("which list has what is exhaustive on purpose?".into());
    };
    let mut differ = Vec::new();
    let mut all = String::new();
    for pair in pairs.chunks_exact(2) {
        let [json, list] = [&pair[0], &pair[1]].map(Path::new);
        let now = listed(json)?;
        all += &now;
        if !flags.is_empty() {
            fs::write(list, now)?;
        } else if let Some(difference) = difference(&fs::read_to_string(list)?, &now) {
            eprintln!("{}:\n{difference}", list.display());
            differ.push(list.display().to_string());
        }
    }
    if let Err(faults) = exhaustive::check(&all, &fs::read_to_string(on_purpose)?) {
        eprintln!("{on_purpose}:\n{faults}");
        differ.push(on_purpose.clone());
    }
    match differ.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "the public face has changed: {}; if that is meant, say so in CHANGELOG.md and run \
             .ci/api --bless",
            differ.join(", ")
        )
        .into()),
    }
}

/// A line for each public item, without those that every type has, and without the methods of
/// traits that a type implements: the trait lists them.
fn listed(json: &Path) -> Result<String, Box<dyn Error>> {
    let api = Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()?;
    let own = json.file_stem().unwrap_or_default().to_string_lossy();
    let mut implements_trait = false;
    let mut lines = String::new();
    for item in api.items() {
        let line = by_root(&item.to_string(), &own);
        let is_impl = line.starts_with("impl");
        let is_member = ["pub fn ", "pub const fn ", "pub async fn ", "pub type "]
            .iter()
            .any(|start| line.starts_with(start));
        if is_impl {
            implements_trait = line.contains(" for ");
        } else if !is_member {
            implements_trait = false;
        }
        let is_header = is_impl && !implements_trait;
        if !is_header && (is_impl || !implements_trait) {
            lines += &line;
            lines.push('\n');
        }
    }
    Ok(lines)
}

/// A line with the types of our other crates named as their users name them. rustdoc names those
/// by the private module that has them, but each is re-exported at the root of its crate.
fn by_root(line: &str, own: &str) -> String {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let mut named = String::new();
    for part in line.split_inclusive(|c| !is_path(c)) {
        let segments: Vec<_> = part.split("::").collect();
        let item = segments
            .iter()
            .position(|name| name.starts_with(|c: char| c.is_uppercase()));
        match item {
            Some(at) if segments[0].starts_with("session_") && segments[0] != own => {
                named += &[&segments[..1], &segments[at..]].concat().join("::");
            }
            _ => named += part,
        }
    }
    named
}

/// What is new and what is gone.
fn difference(before: &str, now: &str) -> Option<String> {
    let new = now
        .lines()
        .filter(|line| !before.lines().any(|other| other == *line));
    let gone = before
        .lines()
        .filter(|line| !now.lines().any(|other| other == *line));
    let lines: Vec<_> = gone
        .map(|line| format!("- {line}"))
        .chain(new.map(|line| format!("+ {line}")))
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

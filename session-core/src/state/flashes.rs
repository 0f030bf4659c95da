//! The flash values of earlier requests, and lists of messages among them.
//!
//! A list is always in JSON, whatever codec the session has: JSON says what is a list and where a
//! message ends, so a list can grow and shrink here, without the type of its messages.

use crate::record::{Codec, Value, Values};

/// Flash values are values like others, under keys that begin so.
pub(crate) const FLASH_PREFIX: &str = "_flash.";

/// The flash values of earlier requests, and whether they were shown.
#[derive(Clone, Default)]
pub(crate) struct Flashes {
    pub(crate) entries: Vec<(String, Value)>,
    shown: bool,
}

impl Flashes {
    /// Those among the stored values.
    pub(super) fn of(stored: Option<&Values>) -> Self {
        let all = stored.into_iter().flat_map(Values::iter);
        let flashes = all.filter(|(key, _)| key.starts_with(FLASH_PREFIX));
        let owned = flashes.map(|(key, value)| (key.to_owned(), value.clone()));
        Self {
            entries: owned.collect(),
            shown: false,
        }
    }

    /// Those that are shown for the first time.
    pub(super) fn show(&mut self) -> Vec<(String, Value)> {
        match std::mem::replace(&mut self.shown, true) {
            true => Vec::new(),
            false => self.entries.clone(),
        }
    }
}

/// Whether it can be a list of messages.
pub(super) fn is_list(value: &Value) -> bool {
    let bytes = value.bytes();
    value.codec() == Codec::Json && bytes.starts_with(b"[") && bytes.ends_with(b"]")
}

/// A list with one more message. What is there and is no list is replaced.
pub(super) fn with_message(there: Option<&Value>, message: &Value) -> Value {
    let list = there.filter(|value| is_list(value)).map(open_end);
    let list = list.unwrap_or(b"[");
    let comma: &[u8] = if list == b"[" { b"" } else { b"," };
    json(&[list, comma, message.bytes(), b"]"])
}

/// What is left of what is there once this list was shown: the messages that came after it.
pub(super) fn without_shown(there: Option<&Value>, shown: &Value) -> Option<Value> {
    let there = there.filter(|value| !shown.is_same(value.codec(), value.bytes()))?;
    let rest = there.bytes().strip_prefix(open_end(shown));
    match rest.and_then(|rest| rest.strip_prefix(b",")) {
        Some(rest) if is_list(there) => Some(json(&[b"[", rest])),
        _ => Some(there.clone()), // another request has replaced it
    }
}

/// A list without its last bracket.
fn open_end(list: &Value) -> &[u8] {
    let bytes = list.bytes();
    bytes.strip_suffix(b"]").unwrap_or(bytes)
}

fn json(parts: &[&[u8]]) -> Value {
    Value::new(Codec::Json, parts.concat())
}

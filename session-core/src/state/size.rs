//! What limits count.

use crate::record::{Value, Values};

/// Bytes and number of the entries that a handler sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) bytes: usize,
    pub(crate) count: usize,
}

impl Size {
    pub(crate) fn of(values: &Values) -> Self {
        Self {
            bytes: values.size(),
            count: values.len(),
        }
    }

    pub(crate) fn with(self, key: &str, value: &Value) -> Self {
        Self {
            bytes: self.bytes + Values::entry_size(key, value),
            count: self.count + 1,
        }
    }

    pub(crate) fn without(self, key: &str, value: Option<&Value>) -> Self {
        value.map_or(self, |value| Self {
            bytes: self.bytes - Values::entry_size(key, value),
            count: self.count - 1,
        })
    }
}

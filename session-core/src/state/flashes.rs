//! The flash values of earlier requests.

use crate::record::{Value, Values};

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

//! The flash values of earlier requests.

use crate::record::Value;
use crate::state::State;

/// They are entries like others, under keys that begin so.
pub(crate) const FLASH_PREFIX: &str = "_flash.";

/// The flash values of earlier requests, and whether they are used up.
#[derive(Clone, Default)]
pub(crate) struct Flashes {
    pub(crate) entries: Vec<(String, Value)>,
    shown: bool,
}

impl State {
    /// Those of earlier requests: a save in this one puts its own beside them.
    pub(crate) fn flashes(&mut self) -> &mut Flashes {
        let stored = self.base.as_ref().map(|base| &base.record.values);
        self.flashes.get_or_insert_with(|| {
            let all = stored.into_iter().flat_map(|values| values.iter());
            let theirs = all.filter(|(key, _)| key.starts_with(FLASH_PREFIX));
            Flashes {
                entries: theirs
                    .map(|(key, value)| (key.to_owned(), value.clone()))
                    .collect(),
                shown: false,
            }
        })
    }

    /// Removes those of earlier requests, but for what this one has put in their place.
    pub(crate) fn use_up_flashes(&mut self) {
        let flashes = self.flashes();
        if std::mem::replace(&mut flashes.shown, true) {
            return;
        }
        for (key, value) in flashes.entries.clone() {
            if !self.edits.has(&key) && self.view(&key) == Some(&value) {
                self.remove(&key);
            }
        }
    }
}

//! The dictionary that a handler sees: the stored values under the changes of this request.

use std::sync::Arc;

use bytestring::ByteString;

use crate::record::{LimitExceeded, Record, Value};
use crate::settings::Settings;
use crate::state::{
    Flashes, MetadataEdits, Size, State, UpdateFn, is_list, with_message, without_shown,
};

impl State {
    pub(crate) fn view(&self, key: &str) -> Option<&Value> {
        self.edits.view(self.stored_values(), key)
    }

    pub(crate) fn count(&self) -> usize {
        self.size.count
    }

    /// `key` as shared bytes.
    pub(crate) fn shared_key(&mut self, key: &str) -> ByteString {
        let stored = self.stored_values().and_then(|values| values.key(key));
        stored.cloned().unwrap_or_else(|| self.arena.text(key))
    }

    /// Sets a key, unless the session would then hold too much.
    pub(crate) fn put(
        &mut self,
        key: ByteString,
        value: Value,
        settings: &Settings,
    ) -> Result<(), LimitExceeded> {
        let (there, changed) = self.edits.view_changed(self.stored_values(), &key);
        if !changed && there == Some(&value) {
            self.edits.keep(key, value);
            return Ok(());
        }
        let size = self.size.without(&key, there).with(&key, &value);
        self.check(size, settings)?;
        self.size = size;
        self.edits.set(key, Some(value));
        Ok(())
    }

    /// Adds a closure to a key's changes, unless the session would then hold too much.
    pub(crate) fn update(
        &mut self,
        key: ByteString,
        update: UpdateFn,
        result: Option<Value>,
        settings: &Settings,
    ) -> Result<(), LimitExceeded> {
        let size = self.size_of_update(&key, result.as_ref(), settings)?;
        self.add_update(key, update, result, size);
        Ok(())
    }

    /// The size that the session has if a closure leaves this value under a key.
    pub(crate) fn size_of_update(
        &self,
        key: &str,
        result: Option<&Value>,
        settings: &Settings,
    ) -> Result<Size, LimitExceeded> {
        match result {
            Some(value) => self.size_with(key, value, settings),
            None => Ok(self.size.without(key, self.view(key))),
        }
    }

    /// Adds a closure to a key's changes, with the size that the session has then.
    pub(crate) fn add_update(
        &mut self,
        key: ByteString,
        update: UpdateFn,
        result: Option<Value>,
        size: Size,
    ) {
        self.size = size;
        self.edits.update(key, update, result);
    }

    /// Removes a key; whether it was there.
    pub(crate) fn remove(&mut self, key: &str) -> bool {
        let there = self.view(key).is_some();
        if there {
            self.size = self.size.without(key, self.view(key));
            let key = self.shared_key(key);
            self.edits.set(key, None);
        }
        there
    }

    /// Removes every key.
    pub(crate) fn clear(&mut self) {
        self.edits.clear();
        self.size = Size::default();
        self.flashes = Some(Flashes::default());
    }

    /// Takes note of changed metadata, unless the session would then be too large.
    pub(crate) fn change_metadata(
        &mut self,
        metadata: MetadataEdits,
        settings: &Settings,
    ) -> Result<(), LimitExceeded> {
        let before = std::mem::replace(&mut self.metadata, metadata);
        let checked = self.check(self.size, settings);
        if checked.is_err() {
            self.metadata = before;
        }
        checked
    }

    /// Counts what the handler sees again: the stored values are others now.
    pub(crate) fn measure(&mut self) {
        self.size = self.edits.measure(self.stored_values());
    }

    fn size_with(
        &self,
        key: &str,
        value: &Value,
        settings: &Settings,
    ) -> Result<Size, LimitExceeded> {
        let size = self.size.without(key, self.view(key)).with(key, value);
        self.check(size, settings)?;
        Ok(size)
    }

    /// Whether entries of this size and number may be stored: what was stored under other limits
    /// may stay, change and shrink.
    fn check(&self, size: Size, settings: &Settings) -> Result<(), LimitExceeded> {
        let bytes = size.bytes + self.metadata_size(settings);
        let outgrows = |old: &Record| bytes > old.limited_size() || size.count > old.values.len();
        match self.record() {
            Some(record) if !outgrows(record) => Ok(()),
            _ => settings.check(bytes, size.count),
        }
    }

    fn metadata_size(&self, settings: &Settings) -> usize {
        let stored = match self.record() {
            Some(record) => record.limited_size() - record.values.size(),
            None => settings.fresh_metadata,
        };
        stored + self.metadata.growth(self.record())
    }

    /// The flash values of earlier requests: those that this one sets are not among them.
    pub(crate) fn flashes(&mut self) -> &mut Flashes {
        if self.flashes.is_none() {
            self.flashes = Some(Flashes::of(self.stored_values()));
        }
        self.flashes.get_or_insert_default()
    }

    /// Adds a message to the list under the key of a flash value. It is added again to what is
    /// stored when the request commits, so it loses to no other writer.
    pub(crate) fn push_flash(
        &mut self,
        key: &str,
        message: Value,
        settings: &Settings,
    ) -> Result<(), LimitExceeded> {
        self.flashes();
        let list = with_message(self.view(key), &message);
        let push: UpdateFn =
            Arc::new(move |_, there, _, _| Ok(Some(with_message(there, &message))));
        let key = self.shared_key(key);
        self.update(key, push, Some(list), settings)
    }

    /// Removes the flash values of earlier requests, since they are shown now.
    pub(crate) fn use_up_flashes(&mut self) {
        for (key, value) in self.flashes().show() {
            // What a handler has set under the key since stays for the next request.
            if is_list(&value) {
                if !self.edits.gave(&key) {
                    self.use_up_list(&key, value);
                }
            } else if !self.edits.has(&key) && self.view(&key) == Some(&value) {
                self.remove(&key);
            }
        }
    }

    /// Removes messages that are shown now. Those that this request and others have added since
    /// stay for the next request.
    fn use_up_list(&mut self, key: &str, shown: Value) {
        let there = self.view(key);
        let left = without_shown(there, &shown);
        if left.as_ref() == there {
            return;
        }
        let without = self.size.without(key, there);
        self.size = match &left {
            Some(left) => without.with(key, left),
            None => without,
        };
        let key = self.shared_key(key);
        let show: UpdateFn = Arc::new(move |_, there, _, _| Ok(without_shown(there, &shown)));
        self.edits.update(key, show, left);
    }
}

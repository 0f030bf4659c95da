//! Taking a value out so that one request gets it.

use std::sync::Arc;

use bytestring::ByteString;

use crate::state::edits::{Edits, Removal, Start, Step};

impl Edits {
    /// Adds the removal of a key's value, whatever it is by then.
    pub(crate) fn take_out(&mut self, key: ByteString, removal: Arc<Removal>) {
        self.add(key, Step::Remove(removal), None);
    }

    /// Whether nobody else can have the value that a handler sees: this request made it, from
    /// nothing that is stored.
    pub(crate) fn is_own(&self, key: &str) -> bool {
        self.active(key)
            .is_some_and(|entry| !matches!(entry.start, Start::Stored))
    }

    /// Takes note that there was nothing left to remove, with which all is saved that came before;
    /// `false` if the removal was dropped for another change.
    pub(crate) fn acknowledge_removal(&mut self, key: &str, removal: &Arc<Removal>) -> bool {
        let Some((at, step)) = self.step(key, removal) else {
            return false;
        };
        let entry = &mut self.entries[at];
        entry.then.drain(..=step);
        entry.kept = None;
        if entry.is_idle() {
            self.entries.remove(at);
        }
        true
    }

    /// Puts the value back, if nothing was changed since.
    pub(crate) fn withdraw(&mut self, key: &str, removal: &Arc<Removal>) {
        let Some((at, step)) = self.step(key, removal) else {
            return;
        };
        let mark = self.next_mark();
        let entry = &mut self.entries[at];
        if step + 1 < entry.then.len() {
            return;
        }
        entry.then.pop();
        entry.current = removal.value();
        entry.changed = mark;
        if entry.is_idle() && entry.kept.is_none() {
            self.entries.remove(at);
        }
    }

    fn step(&self, key: &str, removal: &Arc<Removal>) -> Option<(usize, usize)> {
        let at = self.position(key).ok()?;
        let step = self.entries[at]
            .then
            .iter()
            .position(|step| step.is(removal))?;
        Some((at, step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::SessionError;
    use crate::record::{Arena, Codec, Value, Values};
    use crate::state::{OwnValues, UpdateFn};

    fn json(text: &str) -> Value {
        Value::new(Codec::Json, text.to_owned())
    }

    fn append(text: &'static str) -> UpdateFn {
        Arc::new(move |_, old, _, _| {
            let old = old.map_or("-", |old| std::str::from_utf8(old.bytes()).unwrap());
            Ok(Some(json(&format!("{old}{text}"))))
        })
    }

    fn removal(of: &str) -> Arc<Removal> {
        Arc::new(Removal::of(json(of), |_, _| Ok(())))
    }

    fn stored() -> Values {
        [("k".into(), json("1"))].into_iter().collect()
    }

    /// What a handler sees.
    fn seen(edits: &Edits) -> Option<Value> {
        edits.view(Some(&stored()), "k").cloned()
    }

    #[test]
    fn a_removal_is_applied_to_what_is_stored_by_then() {
        let mut edits = Edits::default();
        let removal = removal("1");
        edits.take_out("k".into(), Arc::clone(&removal));
        assert_eq!((seen(&edits), removal.value()), (None, Some(json("1"))));
        assert!(edits.depends_on_stored() && !edits.is_own("k"));
        let fresh: Values = [("k".into(), json("2"))].into_iter().collect();
        let replays = edits.replays(Some(&fresh));
        let results = replays[0].run(Codec::Json, &mut Arena::default()).unwrap();
        assert_eq!((results, removal.value()), (None, Some(json("2"))));
        let replays = edits.replays(Some(&Values::default()));
        replays[0].run(Codec::Json, &mut Arena::default()).unwrap();
        assert_eq!(removal.value(), None, "another request has it");
    }

    #[test]
    fn a_value_that_cannot_be_given_out_is_not_removed() {
        let mut edits = Edits::default();
        let gone = |_: &str, _: &Value| Err(SessionError::Gone);
        let removal = Arc::new(Removal::of(json("1"), gone));
        edits.take_out("k".into(), removal);
        let replays = edits.replays(Some(&stored()));
        assert!(replays[0].run(Codec::Json, &mut Arena::default()).is_err());
        // Where there is nothing, there is nothing to refuse.
        let replays = edits.replays(None);
        assert!(replays[0].run(Codec::Json, &mut Arena::default()).is_ok());
    }

    #[test]
    fn only_the_save_that_took_it_settles_it() {
        let mut edits = Edits::default();
        let early = edits.take();
        let removal = removal("1");
        edits.take_out("k".into(), Arc::clone(&removal));
        edits.acknowledge(&early, &stored(), OwnValues::Keep);
        assert!(!removal.is_saved());
        let savepoint = edits.take();
        edits.set("k".into(), Some(json("8")));
        edits.acknowledge(&savepoint, &Values::default(), OwnValues::Keep);
        assert!(removal.is_saved());
        assert_eq!(seen(&edits), Some(json("8")), "what came after it stays");
        assert!(!edits.acknowledge_removal("k", &removal));
    }

    #[test]
    fn one_that_is_withdrawn_leaves_what_was_there() {
        let mut edits = Edits::default();
        let first = removal("1");
        edits.take_out("k".into(), Arc::clone(&first));
        edits.withdraw("k", &first);
        assert!(edits.is_empty());
        assert_eq!(seen(&edits), Some(json("1")));

        edits.update("k".into(), append("a"), Some(json("1a")));
        let second = removal("1a");
        edits.take_out("k".into(), Arc::clone(&second));
        edits.withdraw("k", &second);
        assert_eq!(seen(&edits), Some(json("1a")), "an update before it stays");
        edits.withdraw("k", &second);
        assert_eq!(seen(&edits), Some(json("1a")));

        let third = removal("1a");
        edits.take_out("k".into(), Arc::clone(&third));
        edits.update("k".into(), append("b"), Some(json("-b")));
        edits.withdraw("k", &third);
        assert_eq!(
            seen(&edits),
            Some(json("-b")),
            "a change after it was made without the value"
        );
    }

    #[test]
    fn one_without_anything_to_remove_ends_what_came_before_it() {
        let mut edits = Edits::default();
        edits.update("new".into(), append("a"), Some(json("-a")));
        let first = removal("-a");
        edits.take_out("new".into(), Arc::clone(&first));
        assert!(edits.acknowledge_removal("new", &first));
        assert!(edits.is_empty());

        edits.take_out("new".into(), Arc::clone(&first));
        edits.update("new".into(), append("b"), Some(json("-b")));
        assert!(edits.acknowledge_removal("new", &first));
        let view = edits.view(Some(&stored()), "new").cloned();
        assert_eq!(view, Some(json("-b")));
        assert_eq!(edits.replays(None).len(), 1);
        assert!(!edits.acknowledge_removal("new", &first));
    }
}

use std::sync::Arc;

use super::*;
use crate::error::SessionError;
use crate::record::{Arena, Codec, Value, Values};
use crate::state::Size;

fn json(text: &str) -> Value {
    Value::new(Codec::Json, text.to_owned())
}

fn stored(entries: &[(&str, &str)]) -> Values {
    entries
        .iter()
        .map(|(key, text)| ((*key).into(), json(text)))
        .collect()
}

/// Appends `text` to whatever is there; a missing value is `-`.
fn append(text: &'static str) -> UpdateFn {
    Arc::new(move |_, old, _, _| {
        let old = old.map_or("-", |old| std::str::from_utf8(old.bytes()).unwrap());
        Ok(Some(json(&format!("{old}{text}"))))
    })
}

/// What a session does: applies the closure to what is seen, and notes both.
fn update(edits: &mut Edits, values: Option<&Values>, key: &'static str, text: &'static str) {
    let f = append(text);
    let old = edits.view(values, key).cloned();
    let result = f(key, old.as_ref(), Codec::Json, &mut Arena::default()).unwrap();
    edits.update(key.into(), f, result);
}

fn set(edits: &mut Edits, key: &'static str, text: &str) {
    edits.set(key.into(), Some(json(text)));
}

fn remove(edits: &mut Edits, key: &'static str) {
    edits.set(key.into(), None);
}

fn text(value: Option<&Value>) -> Option<&str> {
    value.map(|value| std::str::from_utf8(value.bytes()).unwrap())
}

fn seen<'a>(edits: &'a Edits, values: &'a Values, key: &str) -> Option<&'a str> {
    text(edits.view(Some(values), key))
}

/// Changes in a form that reads well: `*` for a clear, `+key=value`, `-key`.
fn written(edits: &Edits, values: &Values) -> String {
    let changes = edits.changes(values);
    let clear = changes.is_clear().then(|| "*".to_owned());
    let sets = changes
        .sets()
        .map(|(key, value)| format!("+{key}={}", text(Some(value)).unwrap()));
    let removes = changes.removes().map(|key| format!("-{key}"));
    let all: Vec<String> = clear.into_iter().chain(sets).chain(removes).collect();
    all.join(" ")
}

/// What the store holds once the changes were applied to `values`.
fn applied(edits: &Edits, values: &Values) -> Values {
    use crate::record::{Lifetime, Record, SessionId};
    use crate::time::Timestamp;
    let id = SessionId::from_bytes([0; 16]);
    let mut record = Record::new(id, "id", Lifetime::default(), Timestamp::default());
    record.values = values.clone();
    edits.changes(values).apply(&record).values
}

fn replay(edits: &mut Edits, values: Option<&Values>) -> bool {
    let replays = edits.replays(values);
    let results = replays
        .iter()
        .map(|replay| replay.run(Codec::Json, &mut Arena::default()).unwrap())
        .collect();
    edits.adopt(&replays, results)
}

#[test]
fn nothing_changed() {
    let edits = Edits::default();
    let values = stored(&[("a", "1")]);
    assert!(edits.is_empty());
    assert_eq!(seen(&edits, &values, "a"), Some("1"));
    assert_eq!(seen(&edits, &values, "b"), None);
    assert_eq!(edits.view(None, "a"), None);
    assert_eq!(edits.keys(Some(&values)), ["a"]);
    assert!(edits.keys(None).is_empty());
    assert_eq!(
        edits.measure(Some(&values)),
        Size {
            bytes: 11,
            count: 1
        }
    );
    assert_eq!(edits.measure(None), Size { bytes: 0, count: 0 });
    assert!(edits.changes(&values).keeps_values());
    assert!(edits.fresh().is_empty());
    assert!(!edits.depends_on_stored());
}

#[test]
fn what_the_handler_sees() {
    let values = stored(&[("a", "1"), ("b", "2"), ("d", "4")]);
    let mut edits = Edits::default();
    set(&mut edits, "b", "22");
    remove(&mut edits, "d");
    set(&mut edits, "c", "333");
    assert!(!edits.is_empty());
    assert_eq!(seen(&edits, &values, "a"), Some("1"));
    assert_eq!(seen(&edits, &values, "b"), Some("22"));
    assert_eq!(seen(&edits, &values, "c"), Some("333"));
    assert_eq!(seen(&edits, &values, "d"), None);
    assert_eq!(edits.keys(Some(&values)), ["a", "b", "c"]);
    assert_eq!(
        edits.measure(Some(&values)),
        Size {
            bytes: 11 + 12 + 13,
            count: 3
        }
    );
    assert_eq!(edits.keys(None), ["b", "c"]);
    assert_eq!(
        edits.measure(None),
        Size {
            bytes: 12 + 13,
            count: 2
        }
    );
    assert_eq!(written(&edits, &values), "+b=22 +c=333 -d");
    assert_eq!(edits.fresh(), stored(&[("b", "22"), ("c", "333")]));
}

#[test]
fn what_is_seen_is_what_is_measured_and_written() {
    let values = stored(&[("a", "1"), ("b", "2")]);
    let mut edits = Edits::default();
    set(&mut edits, "c", "3");
    edits.clear();
    assert!(!edits.is_empty());
    assert_eq!(seen(&edits, &values, "a"), None);
    assert_eq!(seen(&edits, &values, "c"), None);
    assert!(edits.keys(Some(&values)).is_empty());
    assert_eq!(edits.measure(Some(&values)), Size { bytes: 0, count: 0 });
    assert_eq!(written(&edits, &values), "*");
    set(&mut edits, "b", "22");
    remove(&mut edits, "a");
    assert_eq!(edits.keys(Some(&values)), ["b"]);
    assert_eq!(
        edits.measure(Some(&values)),
        Size {
            bytes: 12,
            count: 1
        }
    );
    assert_eq!(written(&edits, &values), "* +b=22");
    assert_eq!(edits.fresh(), stored(&[("b", "22")]));
}

#[test]
fn what_is_stored_already_is_not_written() {
    let values = stored(&[("a", "1")]);
    let mut edits = Edits::default();
    set(&mut edits, "a", "1");
    remove(&mut edits, "missing");
    assert!(!edits.is_empty());
    assert_eq!(written(&edits, &values), "");
    assert!(edits.changes(&values).keeps_values());
    set(&mut edits, "a", "2");
    set(&mut edits, "a", "3");
    assert_eq!(written(&edits, &values), "+a=3", "the last one counts");
    remove(&mut edits, "a");
    assert_eq!(written(&edits, &values), "-a");
}

#[test]
fn what_was_cleared_and_put_back_is_not_written() {
    let values = stored(&[("a", "1"), ("b", "2")]);
    let mut edits = Edits::default();
    edits.clear();
    set(&mut edits, "a", "1");
    assert_eq!(written(&edits, &values), "* +a=1");
    set(&mut edits, "b", "2");
    assert_eq!(written(&edits, &values), "");
    remove(&mut edits, "c");
    assert_eq!(written(&edits, &values), "");
    set(&mut edits, "c", "3");
    assert_eq!(written(&edits, &values), "* +a=1 +b=2 +c=3");

    let mut edits = Edits::default();
    edits.clear();
    assert_eq!(
        written(&edits, &Values::default()),
        "",
        "there was nothing to clear"
    );
}

#[test]
fn closures_build_on_each_other() {
    let values = stored(&[("a", "1")]);
    let mut edits = Edits::default();
    update(&mut edits, Some(&values), "a", "x");
    update(&mut edits, Some(&values), "a", "y");
    update(&mut edits, Some(&values), "b", "z");
    assert_eq!(seen(&edits, &values, "a"), Some("1xy"));
    assert_eq!(written(&edits, &values), "+a=1xy +b=-z");
    assert!(edits.depends_on_stored());
    // On what others have stored by then they come out differently.
    let newer = stored(&[("a", "2"), ("b", "3")]);
    assert!(replay(&mut edits, Some(&newer)));
    assert_eq!(written(&edits, &newer), "+a=2xy +b=3z");
    assert!(replay(&mut edits, None));
    assert_eq!(edits.fresh(), stored(&[("a", "-xy"), ("b", "-z")]));
}

#[test]
fn a_closure_on_a_value_of_this_request_needs_nothing_stored() {
    let values = stored(&[("a", "1"), ("b", "2"), ("c", "3")]);
    let mut edits = Edits::default();
    set(&mut edits, "a", "9");
    update(&mut edits, Some(&values), "a", "x");
    remove(&mut edits, "b");
    update(&mut edits, Some(&values), "b", "y");
    assert!(!edits.depends_on_stored());
    assert!(edits.replays(Some(&values)).is_empty());
    edits.clear();
    update(&mut edits, Some(&values), "c", "z");
    assert!(!edits.depends_on_stored());
    assert_eq!(written(&edits, &values), "* +c=-z");
    // A set after closures makes them void.
    let mut edits = Edits::default();
    update(&mut edits, Some(&values), "a", "x");
    set(&mut edits, "a", "7");
    assert!(!edits.depends_on_stored());
    assert_eq!(written(&edits, &values), "+a=7");
}

#[test]
fn a_save_takes_everything() {
    let values = stored(&[("a", "1"), ("b", "2"), ("c", "3")]);
    let mut edits = Edits::default();
    edits.clear();
    set(&mut edits, "a", "9");
    update(&mut edits, Some(&values), "b", "x");
    remove(&mut edits, "c");
    let saved = applied(&edits, &values);
    assert_eq!(saved, stored(&[("a", "9"), ("b", "-x")]));
    let savepoint = edits.take();
    edits.acknowledge(&savepoint, &saved, OwnValues::Keep);
    assert!(edits.is_empty());
    assert_eq!(edits.keys(Some(&saved)), ["a", "b"]);
}

/// Changes before a save, during it and what is then left to write, for each pair of changes.
#[test]
fn what_was_changed_during_a_save_stays() {
    type Change = fn(&mut Edits, &Values);
    let before: [(&str, Change); 5] = [
        ("nothing", |_, _| {}),
        ("set", |edits, _| set(edits, "k", "A")),
        ("remove", |edits, _| remove(edits, "k")),
        ("update", |edits, values| {
            update(edits, Some(values), "k", "a");
        }),
        ("clear", |edits, _| edits.clear()),
    ];
    let during: [(&str, Change); 6] = [
        ("nothing", |_, _| {}),
        ("set", |edits, _| set(edits, "k", "B")),
        ("remove", |edits, _| remove(edits, "k")),
        ("update", |edits, values| {
            update(edits, Some(values), "k", "b");
        }),
        ("clear", |edits, _| edits.clear()),
        ("clear and update", |edits, values| {
            edits.clear();
            update(edits, Some(values), "k", "b");
        }),
    ];
    let values = stored(&[("k", "0"), ("other", "1")]);
    for (first, before) in before {
        for (second, during) in during {
            let case = format!("{first} before, {second} during");
            let mut edits = Edits::default();
            before(&mut edits, &values);
            let saved = applied(&edits, &values);
            let savepoint = edits.take();
            during(&mut edits, &values);
            let seen_then = seen(&edits, &values, "k").map(str::to_owned);
            let other_then = seen(&edits, &values, "other").map(str::to_owned);
            edits.acknowledge(&savepoint, &saved, OwnValues::Keep);
            assert_eq!(seen(&edits, &saved, "k"), seen_then.as_deref(), "{case}");
            assert_eq!(
                seen(&edits, &saved, "other"),
                other_then.as_deref(),
                "{case}"
            );
            assert_eq!(edits.is_empty(), second == "nothing", "{case}");
            // The next save leaves what the handler saw.
            let end = applied(&edits, &saved);
            assert_eq!(text(end.get("k")), seen_then.as_deref(), "{case}");
            assert_eq!(text(end.get("other")), other_then.as_deref(), "{case}");
            // An update on what the save left depends on it, on what this request set later not.
            let depends = second == "update";
            if (first, second) == ("clear", "update") {
                continue; // a test of its own
            }
            assert_eq!(edits.depends_on_stored(), depends, "{case}");
            // Replayed on what another request made of it, only the later closure runs.
            let newer = stored(&[("k", "N")]);
            assert!(replay(&mut edits, Some(&newer)), "{case}");
            if depends {
                assert_eq!(seen(&edits, &newer, "k"), Some("Nb"), "{case}");
            }
            let savepoint = edits.take();
            edits.acknowledge(&savepoint, &saved, OwnValues::Keep);
            assert!(edits.is_empty(), "{case}");
        }
    }
}

#[test]
fn an_update_during_the_save_of_a_clear_never_loses() {
    let values = stored(&[("k", "0")]);
    let saved = Values::default();
    let mut edits = Edits::default();
    edits.clear();
    let savepoint = edits.take();
    update(&mut edits, Some(&values), "k", "b");
    edits.acknowledge(&savepoint, &saved, OwnValues::Keep);
    assert!(
        edits.depends_on_stored(),
        "the clear is stored, and others may write on it"
    );
    let newer = stored(&[("k", "N")]);
    assert!(replay(&mut edits, Some(&newer)));
    assert_eq!(seen(&edits, &newer, "k"), Some("Nb"));
}

#[test]
fn closures_of_both_sides_of_a_save() {
    let values = stored(&[("k", "0"), ("l", "0")]);
    let mut edits = Edits::default();
    for text in ["a", "b"] {
        update(&mut edits, Some(&values), "k", text);
    }
    update(&mut edits, Some(&values), "l", "x");
    set(&mut edits, "m", "1");
    let saved = applied(&edits, &values);
    let savepoint = edits.take();
    update(&mut edits, Some(&values), "k", "c");
    update(&mut edits, Some(&values), "m", "d");
    edits.acknowledge(&savepoint, &saved, OwnValues::Keep);
    assert_eq!(saved, stored(&[("k", "0ab"), ("l", "0x"), ("m", "1")]));
    assert_eq!(written(&edits, &saved), "+k=0abc +m=1d");
    let newer = stored(&[("k", "K"), ("l", "L"), ("m", "M")]);
    assert!(replay(&mut edits, Some(&newer)));
    assert_eq!(written(&edits, &newer), "+k=Kc +m=Md");
}

#[test]
fn a_clear_outlives_a_save_that_began_before_it() {
    let values = stored(&[("a", "1")]);
    let saved = Values::default();
    let mut edits = Edits::default();
    edits.clear();
    let savepoint = edits.take();
    edits.clear();
    edits.acknowledge(&savepoint, &saved, OwnValues::Keep);
    assert!(!edits.is_empty());
    assert_eq!(written(&edits, &values), "*");
    let savepoint = edits.take();
    edits.acknowledge(&savepoint, &saved, OwnValues::Keep);
    assert!(edits.is_empty());
}

#[test]
fn a_replay_is_dropped_if_the_key_changed_meanwhile() {
    let values = stored(&[("a", "1"), ("b", "2")]);
    type Change = fn(&mut Edits, &Values);
    let meanwhile: [(Change, &str); 5] = [
        (|edits, values| update(edits, Some(values), "a", "y"), "1xy"),
        (|edits, _| set(edits, "a", "7"), "7"),
        (|edits, _| remove(edits, "a"), ""),
        (|edits, _| edits.clear(), ""),
        (|edits, values| update(edits, Some(values), "b", "y"), "1x"),
    ];
    for (change, seen_after) in meanwhile {
        let mut edits = Edits::default();
        update(&mut edits, Some(&values), "a", "x");
        let replays = edits.replays(Some(&stored(&[("a", "9")])));
        assert_eq!(replays.len(), 1);
        change(&mut edits, &values);
        assert!(!edits.adopt(&replays, vec![Some(json("9x"))]));
        assert_eq!(seen(&edits, &values, "a").unwrap_or_default(), seen_after);
    }
    let mut edits = Edits::default();
    update(&mut edits, Some(&values), "a", "x");
    let replays = edits.replays(Some(&values));
    set(&mut edits, "b", "7");
    assert!(
        edits.adopt(&replays, vec![Some(json("9x"))]),
        "another key does not matter"
    );
    assert_eq!(seen(&edits, &values, "a"), Some("9x"));
    assert!(edits.adopt(&replays, vec![None]));
    assert_eq!(seen(&edits, &values, "a"), None);
}

#[test]
fn a_closure_that_fails_stops_the_replay() {
    let values = stored(&[("a", "1")]);
    let mut edits = Edits::default();
    edits.update(
        "a".into(),
        Arc::new(|_, _, _, _| Err(SessionError::Random)),
        Some(json("1")),
    );
    edits.update(
        "a".into(),
        Arc::new(|_, _, _, _| unreachable!()),
        Some(json("1")),
    );
    let replays = edits.replays(Some(&values));
    let error = replays[0]
        .run(Codec::Json, &mut Arena::default())
        .unwrap_err();
    assert!(matches!(error, SessionError::Random));
}

#[test]
fn a_closure_is_given_its_key_and_codec() {
    let mut edits = Edits::default();
    let f: UpdateFn = Arc::new(|key, old, codec, arena| {
        assert_eq!((key, old, codec), ("a", None, Codec::Postcard));
        Ok(Some(arena.encode(codec, &7_u8).unwrap()))
    });
    edits.update("a".into(), f, Some(json("1")));
    let value = edits.replays(None)[0].run(Codec::Postcard, &mut Arena::default());
    assert_eq!(
        value.unwrap(),
        Some(Value::new(Codec::Postcard, &b"\x07"[..]))
    );
}

#[test]
fn a_save_from_before_a_reset_settles_nothing_after_it() {
    let saved = Values::default();
    let mut edits = Edits::default();
    for n in 0..3 {
        edits.set("old".into(), Some(Value::new(Codec::Json, format!("{n}"))));
    }
    let savepoint = edits.take();
    edits.reset();
    assert!(edits.is_empty());
    edits.set("new".into(), Some(Value::new(Codec::Json, "1")));
    edits.acknowledge(&savepoint, &saved, OwnValues::Keep);
    assert!(!edits.is_empty(), "it belongs to another session");
}

fn fresh(edits: &Edits) -> Vec<(String, String)> {
    let values = edits.fresh();
    let texts = values
        .iter()
        .map(|(key, value)| (key.to_owned(), text(Some(value)).unwrap().to_owned()));
    texts.collect()
}

/// What of a request goes into a new session, once its own turns out to be gone.
#[test]
fn a_new_session_has_what_the_request_put_into_the_one_that_is_gone() {
    let values = stored(&[
        ("a", "1"),
        ("b", "2"),
        ("c", "3"),
        ("d", "4"),
        ("e", "5"),
        ("f", "6"),
    ]);
    let keep = |edits: &mut Edits, key: &'static str, value: &'static str| {
        edits.keep(key.into(), Value::new(Codec::Json, value));
    };
    let mut edits = Edits::default();
    keep(&mut edits, "a", "1");
    keep(&mut edits, "b", "2");
    remove(&mut edits, "b");
    keep(&mut edits, "c", "3");
    update(&mut edits, Some(&values), "c", "x");
    update(&mut edits, Some(&values), "d", "y");
    set(&mut edits, "f", "7");
    assert_eq!(written(&edits, &values), "+c=3x +d=4y +f=7 -b");
    assert_eq!(edits.keys(Some(&values)), ["a", "c", "d", "e", "f"]);
    assert_eq!(edits.measure(Some(&applied(&edits, &values))).count, 5);

    let mut unsaved = edits.clone();
    assert!(replay(&mut unsaved, None));
    unsaved.start_over();
    let expected = [("a", "1"), ("c", "3x"), ("d", "-y"), ("f", "7")];
    let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(fresh(&unsaved), expected);

    // What was saved before counts too, but for what was computed from what others had stored.
    let saved = applied(&edits, &values);
    let savepoint = edits.take();
    edits.acknowledge(&savepoint, &saved, OwnValues::Keep);
    assert!(edits.is_empty());
    assert_eq!(written(&edits, &saved), "");
    let newer = stored(&[("a", "N")]);
    assert_eq!(
        written(&edits, &newer),
        "",
        "it is not defended against others"
    );
    assert_eq!(seen(&edits, &newer, "a"), Some("N"));
    assert!(replay(&mut edits, None));
    edits.start_over();
    let [a, c, _, f] = expected;
    assert_eq!(fresh(&edits), [a, c, f]);
}

#[test]
fn a_clear_forgets_what_a_new_session_would_have_had() {
    let mut edits = Edits::default();
    edits.keep("a".into(), Value::new(Codec::Json, "1"));
    assert!(edits.is_empty());
    edits.clear();
    edits.start_over();
    assert_eq!(fresh(&edits), []);
}

/// A handle that outlives its response can sign nobody in, so it need not remember what it has
/// saved.
#[test]
fn after_the_response_nothing_is_kept_of_what_was_saved() {
    let mut edits = Edits::default();
    for own_values in [OwnValues::Keep, OwnValues::Forget] {
        set(&mut edits, "a", "1");
        let saved = applied(&edits, &Values::default());
        let savepoint = edits.take();
        edits.acknowledge(&savepoint, &saved, own_values);
        assert_eq!(edits.has("a"), own_values == OwnValues::Keep);
    }
}

fn removal(value: &str) -> Arc<Removal> {
    Arc::new(Removal::of(json(value), |_, _| Ok(())))
}

/// The changes are as they were, and yet a replay that began before is of other ones.
#[test]
fn a_replay_from_before_a_way_back_is_dropped() {
    let values = stored(&[("a", "1")]);
    let mut edits = Edits::default();
    let guest = edits.clone();
    update(&mut edits, Some(&values), "a", "x");
    let replays = edits.replays(Some(&values));
    edits.restore(&guest);
    update(&mut edits, Some(&values), "a", "y");
    assert!(!edits.adopt(&replays, vec![Some(json("1x"))]));

    let mut edits = Edits::default();
    update(&mut edits, Some(&values), "a", "x");
    let removal = removal("1x");
    edits.take_out("a".into(), Arc::clone(&removal));
    let replays = edits.replays(Some(&values));
    edits.withdraw("a", &removal);
    assert!(!edits.adopt(&replays, vec![None]));
    assert_eq!(seen(&edits, &values, "a"), Some("1x"));
}

#[test]
fn the_last_value_that_a_request_gave_a_key_is_the_one_that_is_remembered() {
    let mut edits = Edits::default();
    edits.keep("a".into(), json("1"));
    edits.keep("a".into(), json("2")); // others have stored it meanwhile
    edits.start_over();
    assert_eq!(fresh(&edits), [("a".to_owned(), "2".to_owned())]);
}

#[test]
fn what_could_not_be_taken_out_is_remembered_and_what_was_is_not() {
    let mut edits = Edits::default();
    edits.keep("a".into(), json("1"));
    let withdrawn = removal("1");
    edits.take_out("a".into(), Arc::clone(&withdrawn));
    edits.withdraw("a", &withdrawn);
    let mut gone = edits.clone();
    gone.start_over();
    assert_eq!(fresh(&gone), [("a".to_owned(), "1".to_owned())]);

    let taken = removal("1");
    edits.take_out("a".into(), Arc::clone(&taken));
    update(&mut edits, None, "a", "x");
    assert!(edits.acknowledge_removal("a", &taken));
    assert!(replay(&mut edits, None));
    assert_eq!(fresh(&edits), [("a".to_owned(), "-x".to_owned())]);
}

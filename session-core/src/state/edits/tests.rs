use super::*;
use crate::error::Error;
use crate::record::Arena;
use crate::record::Codec;

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
        Ok(json(&format!("{old}{text}")))
    })
}

/// What a session does: applies the closure to what is seen, and notes both.
fn update(pending: &mut Pending, values: Option<&Values>, key: &'static str, text: &'static str) {
    let f = append(text);
    let old = pending.view(values, key).cloned();
    let result = f(key, old.as_ref(), Codec::Json, &mut Arena::default()).unwrap();
    pending.update(key.into(), f, result);
}

fn set(pending: &mut Pending, key: &'static str, text: &str) {
    pending.set(key.into(), Some(json(text)));
}

fn remove(pending: &mut Pending, key: &'static str) {
    pending.set(key.into(), None);
}

fn text(value: Option<&Value>) -> Option<&str> {
    value.map(|value| std::str::from_utf8(value.bytes()).unwrap())
}

fn seen<'a>(pending: &'a Pending, values: &'a Values, key: &str) -> Option<&'a str> {
    text(pending.view(Some(values), key))
}

/// Changes in a form that reads well: `*` for a clear, `+key=value`, `-key`.
fn written(pending: &Pending, values: &Values) -> String {
    let changes = pending.changes(values);
    let clear = changes.is_clear().then(|| "*".to_owned());
    let sets = changes
        .sets()
        .map(|(key, value)| format!("+{key}={}", text(Some(value)).unwrap()));
    let removes = changes.removes().map(|key| format!("-{key}"));
    let all: Vec<String> = clear.into_iter().chain(sets).chain(removes).collect();
    all.join(" ")
}

/// What the store holds once the changes were applied to `values`.
fn applied(pending: &Pending, values: &Values) -> Values {
    use crate::record::{Lifetime, Record, SessionId};
    use crate::time::Timestamp;
    let id = SessionId::from_bytes([0; 16]);
    let mut record = Record::new(id, "id", Lifetime::default(), Timestamp::default());
    record.values = values.clone();
    pending.changes(values).apply(&record).values
}

fn replay(pending: &mut Pending, values: Option<&Values>) -> bool {
    let replays = pending.replays(values);
    let results = replays
        .iter()
        .map(|replay| replay.run(Codec::Json, &mut Arena::default()).unwrap())
        .collect();
    pending.adopt(&replays, results)
}

#[test]
fn nothing_changed() {
    let pending = Pending::default();
    let values = stored(&[("a", "1")]);
    assert!(pending.is_empty());
    assert_eq!(seen(&pending, &values, "a"), Some("1"));
    assert_eq!(seen(&pending, &values, "b"), None);
    assert_eq!(pending.view(None, "a"), None);
    assert_eq!(pending.keys(Some(&values)), ["a"]);
    assert!(pending.keys(None).is_empty());
    assert_eq!(pending.measure(Some(&values)), (11, 1));
    assert_eq!(pending.measure(None), (0, 0));
    assert!(pending.changes(&values).keeps_values());
    assert!(pending.fresh().is_empty());
    assert!(!pending.depends_on_stored());
}

#[test]
fn what_the_handler_sees() {
    let values = stored(&[("a", "1"), ("b", "2"), ("d", "4")]);
    let mut pending = Pending::default();
    set(&mut pending, "b", "22");
    remove(&mut pending, "d");
    set(&mut pending, "c", "333");
    assert!(!pending.is_empty());
    assert_eq!(seen(&pending, &values, "a"), Some("1"));
    assert_eq!(seen(&pending, &values, "b"), Some("22"));
    assert_eq!(seen(&pending, &values, "c"), Some("333"));
    assert_eq!(seen(&pending, &values, "d"), None);
    assert_eq!(pending.keys(Some(&values)), ["a", "b", "c"]);
    assert_eq!(pending.measure(Some(&values)), (11 + 12 + 13, 3));
    assert_eq!(pending.keys(None), ["b", "c"]);
    assert_eq!(pending.measure(None), (12 + 13, 2));
    assert_eq!(written(&pending, &values), "+b=22 +c=333 -d");
    assert_eq!(pending.fresh(), stored(&[("b", "22"), ("c", "333")]));
}

#[test]
fn what_is_seen_is_what_is_measured_and_written() {
    let values = stored(&[("a", "1"), ("b", "2")]);
    let mut pending = Pending::default();
    set(&mut pending, "c", "3");
    pending.clear();
    assert!(!pending.is_empty());
    assert_eq!(seen(&pending, &values, "a"), None);
    assert_eq!(seen(&pending, &values, "c"), None);
    assert!(pending.keys(Some(&values)).is_empty());
    assert_eq!(pending.measure(Some(&values)), (0, 0));
    assert_eq!(written(&pending, &values), "*");
    set(&mut pending, "b", "22");
    remove(&mut pending, "a");
    assert_eq!(pending.keys(Some(&values)), ["b"]);
    assert_eq!(pending.measure(Some(&values)), (12, 1));
    assert_eq!(written(&pending, &values), "* +b=22");
    assert_eq!(pending.fresh(), stored(&[("b", "22")]));
}

#[test]
fn what_is_stored_already_is_not_written() {
    let values = stored(&[("a", "1")]);
    let mut pending = Pending::default();
    set(&mut pending, "a", "1");
    remove(&mut pending, "missing");
    assert!(!pending.is_empty());
    assert_eq!(written(&pending, &values), "");
    assert!(pending.changes(&values).keeps_values());
    set(&mut pending, "a", "2");
    set(&mut pending, "a", "3");
    assert_eq!(written(&pending, &values), "+a=3", "the last one counts");
    remove(&mut pending, "a");
    assert_eq!(written(&pending, &values), "-a");
}

#[test]
fn what_was_cleared_and_put_back_is_not_written() {
    let values = stored(&[("a", "1"), ("b", "2")]);
    let mut pending = Pending::default();
    pending.clear();
    set(&mut pending, "a", "1");
    assert_eq!(written(&pending, &values), "* +a=1");
    set(&mut pending, "b", "2");
    assert_eq!(written(&pending, &values), "");
    remove(&mut pending, "c");
    assert_eq!(written(&pending, &values), "");
    set(&mut pending, "c", "3");
    assert_eq!(written(&pending, &values), "* +a=1 +b=2 +c=3");

    let mut pending = Pending::default();
    pending.clear();
    assert_eq!(
        written(&pending, &Values::default()),
        "",
        "there was nothing to clear"
    );
}

#[test]
fn closures_build_on_each_other() {
    let values = stored(&[("a", "1")]);
    let mut pending = Pending::default();
    update(&mut pending, Some(&values), "a", "x");
    update(&mut pending, Some(&values), "a", "y");
    update(&mut pending, Some(&values), "b", "z");
    assert_eq!(seen(&pending, &values, "a"), Some("1xy"));
    assert_eq!(written(&pending, &values), "+a=1xy +b=-z");
    assert!(pending.depends_on_stored());
    // On what others have stored by then they come out differently.
    let newer = stored(&[("a", "2"), ("b", "3")]);
    assert!(replay(&mut pending, Some(&newer)));
    assert_eq!(written(&pending, &newer), "+a=2xy +b=3z");
    assert!(replay(&mut pending, None));
    assert_eq!(pending.fresh(), stored(&[("a", "-xy"), ("b", "-z")]));
}

#[test]
fn a_closure_on_a_value_of_this_request_needs_nothing_stored() {
    let values = stored(&[("a", "1"), ("b", "2"), ("c", "3")]);
    let mut pending = Pending::default();
    set(&mut pending, "a", "9");
    update(&mut pending, Some(&values), "a", "x");
    remove(&mut pending, "b");
    update(&mut pending, Some(&values), "b", "y");
    assert!(!pending.depends_on_stored());
    assert!(pending.replays(Some(&values)).is_empty());
    pending.clear();
    update(&mut pending, Some(&values), "c", "z");
    assert!(!pending.depends_on_stored());
    assert_eq!(written(&pending, &values), "* +c=-z");
    // A set after closures makes them void.
    let mut pending = Pending::default();
    update(&mut pending, Some(&values), "a", "x");
    set(&mut pending, "a", "7");
    assert!(!pending.depends_on_stored());
    assert_eq!(written(&pending, &values), "+a=7");
}

#[test]
fn a_save_takes_everything() {
    let values = stored(&[("a", "1"), ("b", "2"), ("c", "3")]);
    let mut pending = Pending::default();
    pending.clear();
    set(&mut pending, "a", "9");
    update(&mut pending, Some(&values), "b", "x");
    remove(&mut pending, "c");
    let saved = applied(&pending, &values);
    assert_eq!(saved, stored(&[("a", "9"), ("b", "-x")]));
    let taken = pending.take();
    pending.settle(&taken, &saved, true);
    assert!(pending.is_empty());
    assert_eq!(pending.keys(Some(&saved)), ["a", "b"]);
}

/// Changes before a save, during it and what is then left to write, for each pair of changes.
#[test]
fn what_was_changed_during_a_save_stays() {
    type Change = fn(&mut Pending, &Values);
    let before: [(&str, Change); 5] = [
        ("nothing", |_, _| {}),
        ("set", |pending, _| set(pending, "k", "A")),
        ("remove", |pending, _| remove(pending, "k")),
        ("update", |pending, values| {
            update(pending, Some(values), "k", "a");
        }),
        ("clear", |pending, _| pending.clear()),
    ];
    let during: [(&str, Change); 6] = [
        ("nothing", |_, _| {}),
        ("set", |pending, _| set(pending, "k", "B")),
        ("remove", |pending, _| remove(pending, "k")),
        ("update", |pending, values| {
            update(pending, Some(values), "k", "b");
        }),
        ("clear", |pending, _| pending.clear()),
        ("clear and update", |pending, values| {
            pending.clear();
            update(pending, Some(values), "k", "b");
        }),
    ];
    let values = stored(&[("k", "0"), ("other", "1")]);
    for (first, before) in before {
        for (second, during) in during {
            let case = format!("{first} before, {second} during");
            let mut pending = Pending::default();
            before(&mut pending, &values);
            let saved = applied(&pending, &values);
            let taken = pending.take();
            during(&mut pending, &values);
            let seen_then = seen(&pending, &values, "k").map(str::to_owned);
            let other_then = seen(&pending, &values, "other").map(str::to_owned);
            pending.settle(&taken, &saved, true);
            assert_eq!(seen(&pending, &saved, "k"), seen_then.as_deref(), "{case}");
            assert_eq!(
                seen(&pending, &saved, "other"),
                other_then.as_deref(),
                "{case}"
            );
            assert_eq!(pending.is_empty(), second == "nothing", "{case}");
            // The next save leaves what the handler saw.
            let end = applied(&pending, &saved);
            assert_eq!(text(end.get("k")), seen_then.as_deref(), "{case}");
            assert_eq!(text(end.get("other")), other_then.as_deref(), "{case}");
            // An update on what the save left depends on it, on what this request set later not.
            let depends = second == "update";
            if (first, second) == ("clear", "update") {
                continue; // a test of its own
            }
            assert_eq!(pending.depends_on_stored(), depends, "{case}");
            // Replayed on what another request made of it, only the later closure runs.
            let newer = stored(&[("k", "N")]);
            assert!(replay(&mut pending, Some(&newer)), "{case}");
            if depends {
                assert_eq!(seen(&pending, &newer, "k"), Some("Nb"), "{case}");
            }
            let taken = pending.take();
            pending.settle(&taken, &saved, true);
            assert!(pending.is_empty(), "{case}");
        }
    }
}

#[test]
fn an_update_during_the_save_of_a_clear_never_loses() {
    let values = stored(&[("k", "0")]);
    let saved = Values::default();
    let mut pending = Pending::default();
    pending.clear();
    let taken = pending.take();
    update(&mut pending, Some(&values), "k", "b");
    pending.settle(&taken, &saved, true);
    assert!(
        pending.depends_on_stored(),
        "the clear is stored, and others may write on it"
    );
    let newer = stored(&[("k", "N")]);
    assert!(replay(&mut pending, Some(&newer)));
    assert_eq!(seen(&pending, &newer, "k"), Some("Nb"));
}

#[test]
fn closures_of_both_sides_of_a_save() {
    let values = stored(&[("k", "0"), ("l", "0")]);
    let mut pending = Pending::default();
    for text in ["a", "b"] {
        update(&mut pending, Some(&values), "k", text);
    }
    update(&mut pending, Some(&values), "l", "x");
    set(&mut pending, "m", "1");
    let saved = applied(&pending, &values);
    let taken = pending.take();
    update(&mut pending, Some(&values), "k", "c");
    update(&mut pending, Some(&values), "m", "d");
    pending.settle(&taken, &saved, true);
    assert_eq!(saved, stored(&[("k", "0ab"), ("l", "0x"), ("m", "1")]));
    assert_eq!(written(&pending, &saved), "+k=0abc +m=1d");
    let newer = stored(&[("k", "K"), ("l", "L"), ("m", "M")]);
    assert!(replay(&mut pending, Some(&newer)));
    assert_eq!(written(&pending, &newer), "+k=Kc +m=Md");
}

#[test]
fn a_clear_outlives_a_save_that_began_before_it() {
    let values = stored(&[("a", "1")]);
    let saved = Values::default();
    let mut pending = Pending::default();
    pending.clear();
    let taken = pending.take();
    pending.clear();
    pending.settle(&taken, &saved, true);
    assert!(!pending.is_empty());
    assert_eq!(written(&pending, &values), "*");
    let taken = pending.take();
    pending.settle(&taken, &saved, true);
    assert!(pending.is_empty());
}

#[test]
fn a_replay_is_dropped_if_the_key_changed_meanwhile() {
    let values = stored(&[("a", "1"), ("b", "2")]);
    type Change = fn(&mut Pending, &Values);
    let meanwhile: [(Change, &str); 5] = [
        (
            |pending, values| update(pending, Some(values), "a", "y"),
            "1xy",
        ),
        (|pending, _| set(pending, "a", "7"), "7"),
        (|pending, _| remove(pending, "a"), ""),
        (|pending, _| pending.clear(), ""),
        (
            |pending, values| update(pending, Some(values), "b", "y"),
            "1x",
        ),
    ];
    for (change, seen_after) in meanwhile {
        let mut pending = Pending::default();
        update(&mut pending, Some(&values), "a", "x");
        let replays = pending.replays(Some(&stored(&[("a", "9")])));
        assert_eq!(replays.len(), 1);
        change(&mut pending, &values);
        assert!(!pending.adopt(&replays, vec![Some(json("9x"))]));
        assert_eq!(seen(&pending, &values, "a").unwrap_or_default(), seen_after);
    }
    let mut pending = Pending::default();
    update(&mut pending, Some(&values), "a", "x");
    let replays = pending.replays(Some(&values));
    set(&mut pending, "b", "7");
    assert!(
        pending.adopt(&replays, vec![Some(json("9x"))]),
        "another key does not matter"
    );
    assert_eq!(seen(&pending, &values, "a"), Some("9x"));
    assert!(pending.adopt(&replays, vec![None]));
    assert_eq!(seen(&pending, &values, "a"), None);
}

#[test]
fn a_closure_that_fails_stops_the_replay() {
    let values = stored(&[("a", "1")]);
    let mut pending = Pending::default();
    pending.update(
        "a".into(),
        Arc::new(|_, _, _, _| Err(Error::Random)),
        json("1"),
    );
    pending.update("a".into(), Arc::new(|_, _, _, _| unreachable!()), json("1"));
    let replays = pending.replays(Some(&values));
    let error = replays[0]
        .run(Codec::Json, &mut Arena::default())
        .unwrap_err();
    assert!(matches!(error, Error::Random));
}

#[test]
fn a_closure_is_given_its_key_and_codec() {
    let mut pending = Pending::default();
    let f: UpdateFn = Arc::new(|key, old, codec, arena| {
        assert_eq!((key, old, codec), ("a", None, Codec::Postcard));
        Ok(arena.encode(codec, &7_u8).unwrap())
    });
    pending.update("a".into(), f, json("1"));
    let value = pending.replays(None)[0].run(Codec::Postcard, &mut Arena::default());
    assert_eq!(
        value.unwrap(),
        Some(Value::new(Codec::Postcard, &b"\x07"[..]))
    );
}

#[test]
fn a_save_from_before_a_reset_settles_nothing_after_it() {
    let saved = Values::default();
    let mut pending = Pending::default();
    for n in 0..3 {
        pending.set("old".into(), Some(Value::new(Codec::Json, format!("{n}"))));
    }
    let taken = pending.take();
    pending.reset();
    assert!(pending.is_empty());
    pending.set("new".into(), Some(Value::new(Codec::Json, "1")));
    pending.settle(&taken, &saved, true);
    assert!(!pending.is_empty(), "it belongs to another session");
}

fn fresh(pending: &Pending) -> Vec<(String, String)> {
    let values = pending.fresh();
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
    let keep = |pending: &mut Pending, key: &'static str, value: &'static str| {
        pending.keep(key.into(), Value::new(Codec::Json, value));
    };
    let mut pending = Pending::default();
    keep(&mut pending, "a", "1");
    keep(&mut pending, "b", "2");
    remove(&mut pending, "b");
    keep(&mut pending, "c", "3");
    update(&mut pending, Some(&values), "c", "x");
    update(&mut pending, Some(&values), "d", "y");
    set(&mut pending, "f", "7");
    assert_eq!(written(&pending, &values), "+c=3x +d=4y +f=7 -b");
    assert_eq!(pending.keys(Some(&values)), ["a", "c", "d", "e", "f"]);
    assert_eq!(pending.measure(Some(&applied(&pending, &values))).1, 5);

    let mut unsaved = pending.clone();
    assert!(replay(&mut unsaved, None));
    unsaved.start_over();
    let expected = [("a", "1"), ("c", "3x"), ("d", "-y"), ("f", "7")];
    let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(fresh(&unsaved), expected);

    // What was saved before counts too, but for what was computed from what others had stored.
    let saved = applied(&pending, &values);
    let taken = pending.take();
    pending.settle(&taken, &saved, true);
    assert!(pending.is_empty());
    assert_eq!(written(&pending, &saved), "");
    let newer = stored(&[("a", "N")]);
    assert_eq!(
        written(&pending, &newer),
        "",
        "it is not defended against others"
    );
    assert_eq!(seen(&pending, &newer, "a"), Some("N"));
    assert!(replay(&mut pending, None));
    pending.start_over();
    let [a, c, _, f] = expected;
    assert_eq!(fresh(&pending), [a, c, f]);
}

#[test]
fn a_clear_forgets_what_a_new_session_would_have_had() {
    let mut pending = Pending::default();
    pending.keep("a".into(), Value::new(Codec::Json, "1"));
    assert!(pending.is_empty());
    pending.clear();
    pending.start_over();
    assert_eq!(fresh(&pending), []);
}

/// A handle that outlives its response can sign nobody in, so it need not remember what it has
/// saved.
#[test]
fn after_the_response_nothing_is_kept_of_what_was_saved() {
    let mut pending = Pending::default();
    for open in [true, false] {
        set(&mut pending, "a", "1");
        let saved = applied(&pending, &Values::default());
        let taken = pending.take();
        pending.settle(&taken, &saved, open);
        assert_eq!(pending.has("a"), open);
    }
}

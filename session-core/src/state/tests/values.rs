//! Flash values, and values within limits that were others.

use super::*;

const NOTICE: &str = "_flash.notice";

fn flash(text: &str) -> Record {
    record().with_value(NOTICE, json(text))
}

#[test]
fn whoever_signs_in_next_is_shown_what_the_one_before_was_shown() {
    let mut state = with(flash("1"));
    state.sign_in("1", &settings()).unwrap();
    state.use_up_flashes();
    assert_eq!(state.view(NOTICE), None);
    state.sign_in("2", &settings()).unwrap();
    assert_eq!(state.view(NOTICE), Some(&json("1")));
    state.use_up_flashes();
    assert_eq!(state.view(NOTICE), None);
}

#[test]
fn what_was_set_since_stays_for_the_next_request() {
    let mut state = with(flash("1"));
    put(&mut state, NOTICE, "1");
    state.use_up_flashes();
    assert_eq!(state.view(NOTICE), Some(&json("1")), "by this request");

    let mut state = with(flash("1"));
    state.flashes();
    state.reloaded(Arc::new(flash("2")), &settings().rotation);
    state.use_up_flashes();
    assert_eq!(state.view(NOTICE), Some(&json("2")), "by another one");

    let mut state = with(flash("1"));
    state.use_up_flashes();
    let planned = updated(&mut state, SaveKind::Save);
    let key = planned.key.clone();
    state.updated(planned, key, 2, &settings());
    state.reloaded(Arc::new(flash("1")), &settings().rotation);
    state.use_up_flashes();
    assert_eq!(state.view(NOTICE), Some(&json("1")), "the same again");
}

#[test]
fn a_request_that_starts_anew_has_flashes_anew() {
    let mut state = with(flash("1"));
    state.use_up_flashes();
    state.discard();
    assert_eq!(state.view(NOTICE), Some(&json("1")));
    state.use_up_flashes();
    assert_eq!(state.view(NOTICE), None);
}

#[test]
fn a_plain_value_takes_the_place_of_a_computed_one() {
    let mut state = opened();
    let update: UpdateFn = Arc::new(|_, _, _, _| Ok(Some(json("2"))));
    state
        .update("a".into(), update, Some(json("2")), &settings())
        .unwrap();
    put(&mut state, "a", "2");
    assert_eq!(
        updated(&mut state, SaveKind::Save)
            .update
            .expected_version(),
        None
    );
}

#[test]
fn what_was_stored_under_other_limits_may_shrink_and_no_more() {
    let narrow = Settings {
        limits: Limits {
            record_bytes: 150,
            keys: 1,
            ..Limits::default()
        },
        ..settings()
    };
    let large = || with(record().with_value("large", json(&"1".repeat(300))));
    let mut state = large();
    state.put("large".into(), json("1"), &narrow).unwrap();
    assert_eq!(state.count(), 2);
    let mut state = large();
    state.remove("large");
    state.put("b".into(), json("2"), &narrow).unwrap();
    let refused = state.put("c".into(), json("3"), &narrow);
    assert_eq!(refused.unwrap_err().which(), Limit::Keys);
}

#[test]
fn a_label_counts_instead_of_the_one_before() {
    let mut labelled = record();
    labelled.label = Some("x".repeat(60).into());
    let tight = Settings {
        limits: Limits {
            record_bytes: labelled.limited_size() + 1,
            ..Limits::default()
        },
        ..settings()
    };
    let mut state = with(labelled);
    state.request_label(&"y".repeat(61), &tight).unwrap();
    assert!(state.request_label(&"z".repeat(62), &tight).is_err());
}

//! Who signs in finds what is theirs, and nothing of whoever signed in before.

use super::*;

fn of(principal: &'static str) -> State {
    with(record().with_principal(principal))
}

fn sign_in(state: &mut State, principal: &str) {
    state.sign_in(principal, &settings()).unwrap();
}

#[test]
fn what_waits_for_a_sign_in_is_withheld_where_no_token_can_be_sent() {
    let kind = SaveKind::CommitKeepingToken;
    let mut state = new();
    sign_in(&mut state, "1");
    assert!(is_nothing(&mut state, at(1_001), SaveKind::Save));
    let reason = withheld(&mut state, kind, &settings());
    assert_eq!(reason, Some("the response cannot carry a new token"));

    let mut state = State::opened(Current::barred());
    sign_in(&mut state, "1");
    assert!(is_nothing(&mut state, at(1_001), SaveKind::Save));
    assert!(withheld(&mut state, kind, &settings()).is_some());
}

#[test]
fn to_sign_in_again_is_no_second_beginning() {
    let mut state = new();
    sign_in(&mut state, "1");
    put(&mut state, "mail", "1");
    sign_in(&mut state, "1");
    assert_eq!(state.view("mail"), Some(&json("1")));
    sign_in(&mut state, "2");
    assert_eq!(state.view("mail"), None);
}

/// Their session is gone, and what they had changed in it is not the next one's.
#[test]
fn a_guest_is_somebody_whom_nobody_signed_in() {
    let mut state = of("1");
    put(&mut state, "mail", "1");
    sign_in(&mut state, "1");
    state.gone();
    sign_in(&mut state, "2");
    assert_eq!(state.view("mail"), None);
}

/// What was set before a save is stored with it, and cannot be put back for another one.
#[test]
fn what_a_save_has_stored_since_is_left_with_its_session() {
    let begun = || {
        let mut state = opened();
        put(&mut state, "a", "2");
        let planned = updated(&mut state, SaveKind::Save);
        sign_in(&mut state, "1"); // by a clone, meanwhile
        put(&mut state, "mail", "1");
        (state, planned)
    };
    let (mut state, planned) = begun();
    let key = planned.key.clone();
    state.updated(planned, key, 2, &settings());
    sign_in(&mut state, "2");
    assert!(state.stored().is_none() && state.view("mail").is_none());

    let (mut state, _) = begun();
    state.reloaded(Arc::new(record().with_version(2)), &settings().rotation);
    sign_in(&mut state, "2");
    assert!(state.stored().is_none() && state.view("mail").is_none());

    let (mut state, _) = begun();
    state.discard();
    sign_in(&mut state, "2");
    put(&mut state, "mail", "2");
    sign_in(&mut state, "3");
    assert_eq!(state.view("a"), Some(&json("1")), "as it is stored");
}

#[test]
fn one_that_does_not_fit_leaves_the_session_of_whoever_is_signed_in() {
    let settings = Settings {
        limits: Limits {
            record_bytes: 200,
            ..Limits::default()
        },
        ..settings()
    };
    let mut state = of("1");
    put(&mut state, "b", "2");
    assert!(state.sign_in(&"x".repeat(100), &settings).is_err());
    assert_eq!(state.view("b"), Some(&json("2")));
    assert!(state.stored().is_some() && state.deletions.is_empty());
}

#[test]
fn an_authentication_follows_those_of_its_own_principal() {
    let mut state = new();
    sign_in(&mut state, "1");
    state.metadata.after = at(9_000);
    sign_in(&mut state, "2");
    let planned = created(&mut state, SaveKind::Commit);
    assert_eq!(planned.record.authenticated, Some(at(1_001)));

    for mut state in [new(), opened()] {
        for (principal, after, authenticated) in [("1", 9_000, 9_000), ("2", 0, 1_001)] {
            sign_in(&mut state, principal);
            if after > 0 {
                state.metadata.after = at(after);
            }
            let plan = state.plan(at(1_001), SaveKind::Commit, &settings());
            let record = match plan.unwrap() {
                Plan::Create(planned) => planned.record,
                Plan::Update(planned) => planned.update.into_record(),
                _ => panic!("not a write"),
            };
            assert_eq!(record.authenticated, Some(at(authenticated)));
        }
    }
}

/// A form that was drawn for the new session is good for whoever of them signs in last.
#[test]
fn what_follows_a_sign_in_is_the_same_with_a_session_of_another_before_it() {
    for mut state in [new(), of("1")] {
        sign_in(&mut state, "2");
        let seed = state.metadata.draw_seed().unwrap();
        sign_in(&mut state, "3");
        let planned = created(&mut state, SaveKind::Commit);
        assert_eq!(planned.record.csrf_seed, seed);
        assert_eq!(planned.record.principal(), Some("3"));
    }
}

#[test]
fn what_is_stored_already_is_no_change() {
    let mut labelled = record();
    labelled.label = Some("phone".into());
    let mut state = with(labelled);
    state.request_lifetime(settings().lifetime);
    state.request_label("phone", &settings()).unwrap();
    assert!(state.metadata.is_empty());
    assert!(is_nothing(&mut state, at(1_001), SaveKind::Commit));
    // Unless it takes back what is not stored yet.
    state.request_lifetime(Lifetime::aal3());
    state.request_label("tab", &settings()).unwrap();
    state.request_lifetime(settings().lifetime);
    state.request_label("phone", &settings()).unwrap();
    assert!(state.metadata.is_empty());
}

#[test]
fn only_what_the_client_knows_is_cleared_there() {
    let mut state = new();
    put(&mut state, "a", "1");
    let planned = created(&mut state, SaveKind::Save);
    let key = RecordKey::Id(planned.record.id);
    state.created(planned, key);
    state.destroy();
    let deletion = state.deletions[0].clone();
    state.deleted(&deletion);
    assert!(!state.clear_client && state.deletions.is_empty());

    let mut state = State::opened(Current::barred());
    state.unopened = true;
    state.destroy();
    assert!(!state.clear_client, "it is mute");
}

#[test]
fn a_session_that_a_form_is_bound_to_has_to_be_stored() {
    let mut state = new();
    assert!(!state.needs_commit(at(1_001)));
    state.metadata.draw_seed().unwrap();
    assert!(state.needs_commit(at(1_001)));
}

/// While somebody may still sign in, a new session gets what this request gave the old one.
#[test]
fn what_is_stored_is_remembered_until_the_response_leaves() {
    for (phase, count) in [(Phase::Open, 1), (Phase::Closed, 0)] {
        let mut state = opened();
        put(&mut state, "b", "2");
        let planned = updated(&mut state, SaveKind::Save);
        state.phase = phase;
        let key = planned.key.clone();
        state.updated(planned, key, 2, &settings());
        state.metadata.sign_in = Some("user".into());
        state.gone();
        assert_eq!(state.count(), count);
    }
}

/// It was taken out of a session that the handler has left: nobody may have it.
#[test]
fn what_a_save_of_a_destroyed_session_took_out_is_not_handed_out() {
    let mut state = opened();
    let removal = Arc::new(Removal::of(json("1"), |_, _| Ok(())));
    state.edits.take_out("a".into(), Arc::clone(&removal));
    let planned = updated(&mut state, SaveKind::Save);
    state.destroy();
    let key = planned.key.clone();
    state.updated(planned, key, 2, &settings());
    assert!(!removal.is_saved());
}

/// The client holds tokens of several sessions: all of them end, by the handler's word.
#[test]
fn to_destroy_where_several_sessions_are_open_ends_them_all() {
    let mut other = record();
    other.id = SessionId::from_bytes([2; 16]);
    let mut state = State::opened(Current::Barred(vec![stored(record()), stored(other)]));
    state.destroy();
    assert_eq!(state.deletions.len(), 2);
    let mut by = state.deletions.iter().map(|deletion| deletion.by);
    assert!(by.all(|by| by == DeletedBy::Handler));
    assert!(state.is_barred());
}

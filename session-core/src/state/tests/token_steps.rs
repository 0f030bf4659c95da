//! What becomes of the client's token, and of what nobody asked for: maintenance.

use super::*;

fn secret() -> Secret {
    Secret::from_bytes([3; 16])
}

/// Every 5 s, so that a successor is due or not by `rotate_at`.
fn rotating() -> Settings {
    Settings {
        rotation: Rotation::default(),
        ..settings()
    }
}

fn current(confirm: bool, rotate_at: Option<Timestamp>) -> TokenMaintenance {
    TokenMaintenance::Current { confirm, rotate_at }
}

/// A session that was opened by a token which asks for this.
fn presented(record: Record, maintenance: TokenMaintenance) -> State {
    let mut state = with(record);
    state.stored_mut().unwrap().token = TokenState::Presented {
        secret: secret(),
        old_key: false,
        maintenance,
    };
    state
}

fn plan(state: &mut State, seconds: u64, kind: SaveKind, settings: &Settings) -> PlannedUpdate {
    match state.plan(at(seconds), kind, settings).unwrap() {
        Plan::Update(planned) => planned,
        _ => panic!("not an update"),
    }
}

fn reload(state: &mut State, seconds: u64, kind: SaveKind) -> PlannedReload {
    match state.plan(at(seconds), kind, &settings()).unwrap() {
        Plan::Reload(planned) => planned,
        _ => panic!("not a reload"),
    }
}

fn saved(state: &mut State, planned: PlannedUpdate, version: u64, settings: &Settings) {
    let key = planned.key.clone();
    state.updated(planned, key, version, settings);
}

fn persistent() -> Record {
    let mut record = record();
    record.lifetime = record.lifetime.persistent();
    record
}

#[test]
fn only_what_nobody_asked_for_may_fail_and_not_in_a_save() {
    let may_fail = |state: &mut State, seconds, kind| {
        let plan = state.plan(at(seconds), kind, &settings()).unwrap();
        plan.may_fail(kind)
    };
    assert!(may_fail(&mut opened(), 1_060, SaveKind::Commit));
    assert!(may_fail(&mut opened(), 1_060, SaveKind::CommitKeepingToken));
    // After the response a save is what keeps the session alive: its failure is told.
    let mut late = opened();
    late.phase = Phase::Closed;
    assert!(!may_fail(&mut late, 1_060, SaveKind::Save));
    // The session has expired meanwhile, so it is loaded first.
    assert!(may_fail(&mut opened(), 4_600, SaveKind::Commit));
    let mut changed = opened();
    put(&mut changed, "b", "2");
    assert!(!may_fail(&mut changed, 1_060, SaveKind::Commit));
    assert!(!may_fail(&mut changed, 4_600, SaveKind::Commit));
}

#[test]
fn what_has_expired_or_is_stale_is_loaded_before_anything_relies_on_it() {
    let mut state = opened();
    assert!(reload(&mut state, 4_600, SaveKind::Commit).is_maintenance);
    state.stored_mut().unwrap().stale = true;
    put(&mut state, "b", "2");
    let merges = plan(&mut state, 1_001, SaveKind::Save, &settings());
    assert_eq!(merges.update.expected_version(), None);
    state.metadata.label = Some("phone".into());
    assert!(!reload(&mut state, 1_001, SaveKind::Save).is_maintenance);
    state.reloaded(Arc::new(record().with_version(7)), &settings().rotation);
    let meets = plan(&mut state, 1_001, SaveKind::Save, &settings());
    assert_eq!(meets.update.expected_version(), Some(7));
}

/// Or a save that loads again would take its own session for one that the handler has left.
#[test]
fn a_reload_is_for_the_session_that_the_handler_turned_to() {
    let mut state = opened();
    state.destroy();
    put(&mut state, "a", "1");
    let planned = created(&mut state, SaveKind::Save);
    let key = RecordKey::Id(planned.record.id);
    state.created(planned, key);
    state.stored_mut().unwrap().stale = true;
    state.metadata.label = Some("phone".into());
    let planned = reload(&mut state, 1_001, SaveKind::Save);
    assert!(state.is_current(planned.basis.mark));
    state.destroy();
    assert!(!state.is_current(planned.basis.mark));
}

#[test]
fn a_lifetime_that_is_over_ends_the_session() {
    let mut state = opened();
    state.metadata.lifetime = Some(Lifetime::new(60 * SECOND, 60 * SECOND).unwrap());
    let plan = state.plan(at(1_060), SaveKind::Commit, &settings());
    assert!(matches!(plan, Ok(Plan::End)));
}

#[test]
fn a_token_is_confirmed_by_the_commit_and_once() {
    let mut record = record();
    record.tokens.issue([1; 32], 0, at(990));
    record.tokens.issue(secret().hash(), 0, at(995));
    let mut state = presented(record, current(true, None));
    assert!(is_nothing(&mut state, at(1_001), SaveKind::Save));
    let planned = plan(&mut state, 1_001, SaveKind::Commit, &settings());
    assert_eq!(planned.update.changes().metadata(), Metadata::Replaced);
    assert_eq!(planned.record().tokens()[1].confirmed, Some(at(1_001)));
    saved(&mut state, planned, 2, &settings());
    assert!(is_nothing(&mut state, at(1_001), SaveKind::Commit));
}

#[test]
fn what_others_confirmed_is_not_confirmed_again() {
    let mut fresh = record();
    fresh.tokens.issue(secret().hash(), 0, at(995));
    let mut state = presented(fresh.clone(), current(true, None));
    state.stored_mut().unwrap().stale = true;
    state.reloaded(Arc::new(fresh), &settings().rotation);
    assert!(!state.stored().unwrap().stale);
    assert!(is_nothing(&mut state, at(1_001), SaveKind::Commit));
}

#[test]
fn a_superseded_token_confirms_nothing_and_is_not_sent_again() {
    let mut record = record();
    record.tokens.issue(secret().hash(), 0, at(990));
    record.tokens.issue([1; 32], 0, at(995));
    record.tokens.advance(
        &[1; 32],
        None,
        at(996),
        &rotating().rotation.rules_for(&record),
    );
    let before = record.tokens.clone();
    record.owed = true;
    let mut state = presented(record, TokenMaintenance::Superseded);
    state.metadata.label = Some("phone".into());
    for settings in [settings(), rotating()] {
        let planned = plan(&mut state, 1_001, SaveKind::Commit, &settings);
        assert_eq!(planned.record().tokens(), before.as_slice());
        assert!(matches!(planned.token, TokenChange::Keep));
        assert!(planned.record().owed, "whoever holds the successor gets it");
    }
}

#[test]
fn times_ahead_of_the_clock_are_replaced_and_not_merged() {
    let mut record = record();
    record.last_seen = at(9_000);
    let planned = updated_at(&mut with(record), at(1_060), SaveKind::Commit);
    assert_eq!(planned.update.changes().metadata(), Metadata::Replaced);
    assert_eq!(planned.record().last_seen, at(1_060));
}

#[test]
fn where_tokens_rotate_none_is_sent_twice() {
    // It is not due yet, and the `Max-Age` moves with the rotation.
    let mut state = presented(persistent(), current(false, Some(at(5_000))));
    let planned = plan(&mut state, 1_060, SaveKind::Commit, &rotating());
    assert!(matches!(planned.token, TokenChange::Keep) && !planned.record().owed);

    // Owed, and so many wait already that there is no successor.
    let owing = Record {
        owed: true,
        ..persistent()
    };
    let mut state = presented(owing.clone(), current(false, None));
    let planned = plan(&mut state, 1_060, SaveKind::Commit, &rotating());
    assert!(matches!(planned.token, TokenChange::Keep) && planned.record().owed);

    // The response has left.
    let mut state = presented(owing.clone(), current(false, Some(at(1_000))));
    state.phase = Phase::Closed;
    let planned = plan(&mut state, 1_060, SaveKind::Commit, &rotating());
    assert!(matches!(planned.token, TokenChange::Keep) && planned.record().owed);

    // A renewal sends one in any case.
    let mut state = presented(owing, current(false, Some(at(5_000))));
    state.metadata.renew = true;
    let planned = plan(&mut state, 1_060, SaveKind::Commit, &rotating());
    assert!(matches!(planned.token, TokenChange::Replace(_)) && !planned.record().owed);
    assert!(!planned.rotates());
}

#[test]
fn a_token_that_waits_to_be_sent_needs_no_second_look_after_another_write() {
    let mut state = opened();
    announce(&mut state, Announce::Confirm);
    put(&mut state, "b", "2");
    let planned = updated(&mut state, SaveKind::Commit);
    saved(&mut state, planned, 2, &settings());
    assert!(is_announced(&state));
    assert_eq!(state.to_confirm(), None, "it was there just now");
}

#[test]
fn a_sealed_session_is_its_own_proof() {
    let mut state = opened();
    state.stored_mut().unwrap().key = RecordKey::sealed("id", "sealed");
    announce(&mut state, Announce::Confirm);
    assert_eq!(state.to_confirm(), None);
}

/// Two renewals of one request, or a creation and a renewal, share no seed.
#[test]
fn each_renewal_draws_a_seed() {
    let mut state = new();
    let asked = state.metadata.draw_seed().unwrap();
    let planned = created(&mut state, SaveKind::Save);
    assert_eq!(planned.record.csrf_seed, asked);
    let key = RecordKey::Id(planned.record.id);
    state.created(planned, key);
    let mut seeds = vec![asked];
    for version in 2..4 {
        state.metadata.renew = true;
        let planned = updated(&mut state, SaveKind::Commit);
        assert!(!seeds.contains(&planned.record().csrf_seed));
        seeds.push(planned.record().csrf_seed);
        saved(&mut state, planned, version, &settings());
    }
}

//! The state as a whole: what is planned, and what becomes of what is written.

use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;

use super::*;
use crate::error::SessionError;
use crate::record::{
    Codec, Lifetime, Limit, LimitExceeded, Limits, Record, SessionId, TokenMaintenance, Value,
};
use crate::settings::{OnCorrupt, OnReuse, Settings, Timeouts};
use crate::store::{Metadata, RecordKey, RecordLocation};
use crate::time::Timestamp;
use crate::token::{ClientToken, DeviceBinding, Directive, Rotation, Secret};

mod signing_in;
mod token_steps;
mod values;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000)
}

fn json(text: &str) -> Value {
    Value::new(Codec::Json, text.to_owned())
}

fn settings() -> Settings {
    let scope = ByteString::from_static("id");
    Settings {
        fresh_metadata: Settings::fresh_metadata(&scope),
        scope,
        lifetime: Lifetime::new(HOUR, HOUR * 10).unwrap(),
        codec: Codec::Json,
        limits: Limits::default(),
        rotation: Rotation::off(),
        session_limit: None,
        timeouts: Timeouts::default(),
        on_corrupt: OnCorrupt::default(),
        on_reuse: OnReuse::default(),
        device_binding: DeviceBinding::off(),
        watch_interval: SECOND,
        location: RecordLocation::Server,
        max_token: 4096,
    }
}

fn sealed() -> Settings {
    let location = RecordLocation::client(40, 1);
    Settings {
        fresh_metadata: Settings::fresh_metadata(&ByteString::from_static("id")),
        location,
        ..settings()
    }
}

fn record() -> Record {
    let id = SessionId::from_bytes([1; 16]);
    Record::new(id, "id", settings().lifetime, at(1_000)).with_value("a", json("1"))
}

fn stored(record: Record) -> Stored {
    let key = RecordKey::Id(record.id);
    Stored::opened(key, Arc::new(record), TokenState::Sealed)
}

fn with(record: Record) -> State {
    State::opened(Current::Stored(stored(record)))
}

fn opened() -> State {
    with(record())
}

fn new() -> State {
    State::opened(Current::New)
}

fn announce(state: &mut State, announce: Announce) {
    state.stored_mut().unwrap().announce = announce;
}

fn is_announced(state: &State) -> bool {
    state.stored().is_some_and(Stored::is_announced)
}

/// Whether it renews, and whether that is a sign-in.
fn renews(metadata: &MetadataEdits) -> Option<bool> {
    metadata.renews().then_some(metadata.sign_in.is_some())
}

fn put(state: &mut State, key: &'static str, text: &str) {
    state.put(key.into(), json(text), &settings()).unwrap();
}

fn created(state: &mut State, kind: SaveKind) -> PlannedCreate {
    match state.plan(at(1_001), kind, &settings()).unwrap() {
        Plan::Create(planned) => planned,
        _ => panic!("not a creation"),
    }
}

fn updated_at(state: &mut State, now: Timestamp, kind: SaveKind) -> PlannedUpdate {
    match state.plan(now, kind, &settings()).unwrap() {
        Plan::Update(planned) => planned,
        _ => panic!("not an update"),
    }
}

fn updated(state: &mut State, kind: SaveKind) -> PlannedUpdate {
    updated_at(state, at(1_001), kind)
}

fn is_nothing(state: &mut State, now: Timestamp, kind: SaveKind) -> bool {
    matches!(state.plan(now, kind, &settings()), Ok(Plan::Nothing))
}

fn withheld(state: &mut State, kind: SaveKind, settings: &Settings) -> Option<&'static str> {
    match state.plan(at(1_001), kind, settings) {
        Ok(Plan::Withhold(reason)) => Some(reason),
        _ => None,
    }
}

#[test]
fn activity_is_due_after_the_touch_interval() {
    let record = record();
    assert!(!Record::touch_due(&record, at(1_059)));
    assert!(Record::touch_due(&record, at(1_060)));
    let mut state = opened();
    assert!(!state.needs_commit(at(1_059)));
    assert!(state.needs_commit(at(1_060)));
    assert!(is_nothing(&mut state, at(1_059), SaveKind::Commit));
    let planned = updated_at(&mut state, at(1_060), SaveKind::Commit);
    assert!(planned.is_maintenance());
    assert_eq!(
        planned.update.changes().metadata(),
        Metadata::Touched(at(1_060))
    );
    assert_eq!(planned.update.expected_version(), None);
    assert!(
        is_nothing(&mut state, at(1_060), SaveKind::Save),
        "a save records no activity"
    );
    assert!(updated_at(&mut state, at(1_060), SaveKind::CommitKeepingToken).is_maintenance());
}

#[test]
fn what_needs_a_commit() {
    let now = at(1_001);
    assert!(!new().needs_commit(now));
    assert!(!opened().needs_commit(now));
    let cases: [fn(&mut State); 7] = [
        |state| put(state, "b", "2"),
        |state| state.clear(),
        |state| state.metadata.renew = true,
        |state| state.metadata.label = Some("phone".into()),
        |state| announce(state, Announce::Confirm),
        |state| state.clear_client = true,
        |state| state.destroy(),
    ];
    for (position, change) in cases.into_iter().enumerate() {
        let mut state = opened();
        change(&mut state);
        assert!(state.needs_commit(now), "{position}");
    }
}

#[test]
fn what_would_be_lost() {
    assert!(!new().is_unsaved());
    assert!(!opened().is_unsaved());
    type Change = fn(&mut State);
    let cases: [(Change, bool, bool); 7] = [
        (|state| put(state, "b", "2"), true, true),
        (|state| put(state, "a", "1"), true, false), // it is there already
        (|state| state.clear(), false, true),
        (|state| state.metadata.renew = true, false, true),
        (
            |state| state.metadata.label = Some("phone".into()),
            false,
            true,
        ),
        (
            |state| state.metadata.sign_in = Some("user".into()),
            true,
            true,
        ),
        (|state| state.destroy(), false, true),
    ];
    for (position, (change, of_new, of_stored)) in cases.into_iter().enumerate() {
        for (mut state, expected) in [(new(), of_new), (opened(), of_stored)] {
            change(&mut state);
            assert_eq!(state.is_unsaved(), expected, "{position}");
            let current = std::mem::replace(&mut state.current, Current::Barred(Vec::new()));
            assert!(!state.is_unsaved());
            state.current = current;
            state.phase = Phase::Abandoned;
            assert!(!state.is_unsaved());
            state.phase = Phase::Closed;
            assert_eq!(state.is_unsaved(), expected, "{position}");
        }
    }
}

#[test]
fn a_creation() {
    let mut state = new();
    assert!(is_nothing(&mut state, at(1_001), SaveKind::Commit));
    put(&mut state, "a", "1");
    state.metadata.label = Some("phone".into());
    let planned = created(&mut state, SaveKind::Save);
    let record = &planned.record;
    assert_eq!((record.version, record.epoch), (1, 0));
    assert_eq!((record.created, record.last_seen), (at(1_001), at(1_001)));
    assert_eq!(record.lifetime, settings().lifetime);
    assert_eq!(record.scope(), "id");
    assert_eq!(record.label(), Some("phone"));
    assert_eq!((record.principal(), record.authenticated), (None, None));
    assert_eq!(record.values.get("a"), Some(&json("1")));
    assert_ne!(record.csrf_seed, [0; 16]);
    let hash = planned.secret.as_ref().unwrap().hash();
    let [token] = record.tokens() else {
        panic!("one token")
    };
    assert_eq!(
        (token.hash, token.issued, token.epoch),
        (hash, at(1_001), 0)
    );
    assert_eq!((token.confirmed, token.retired), (None, None));
    assert_eq!(renews(&planned.metadata), None);

    let key = RecordKey::Id(planned.record.id);
    state.created(planned, key.clone());
    assert!(is_announced(&state));
    assert!(state.edits.is_empty() && state.metadata.is_empty());
    assert_eq!(state.count(), 1);
    let base = state.stored().unwrap();
    assert_eq!(base.key, key);
    assert!(!base.client_knows && !base.token.is_by_old_key() && !base.stale);
}

#[test]
fn a_creation_by_signing_in() {
    let mut state = new();
    state.metadata.sign_in = Some("user".into());
    state.metadata.lifetime = Some(Lifetime::aal3());
    assert!(
        is_nothing(&mut state, at(1_001), SaveKind::Save),
        "it waits for the commit"
    );
    let planned = created(&mut state, SaveKind::Commit);
    assert_eq!(planned.record.principal(), Some("user"));
    assert_eq!(planned.record.authenticated, Some(at(1_001)));
    assert_eq!(planned.record.lifetime, Lifetime::aal3());
    assert_eq!(planned.record.deadline, at(1_001) + HOUR * 12);
    assert_eq!(renews(&planned.metadata), Some(true));
    let reason = "the response cannot carry a new token";
    assert_eq!(
        withheld(&mut state, SaveKind::CommitKeepingToken, &settings()),
        Some(reason)
    );
}

#[test]
fn what_may_not_be_created() {
    let mut state = new();
    put(&mut state, "a", "1");
    let reason = "the response cannot carry a new token";
    assert_eq!(
        withheld(&mut state, SaveKind::CommitKeepingToken, &settings()),
        Some(reason)
    );
    for phase in [Phase::Closed, Phase::Abandoned] {
        state.phase = phase;
        for kind in [
            SaveKind::Save,
            SaveKind::Commit,
            SaveKind::CommitKeepingToken,
        ] {
            let plan = state.plan(at(1_001), kind, &settings());
            assert!(matches!(plan, Err(SessionError::Detached)));
        }
    }
    assert!(is_nothing(
        &mut new(),
        at(1_001),
        SaveKind::CommitKeepingToken
    ));
}

#[test]
fn a_muted_request_stores_nothing() {
    let mut state = State::opened(Current::Barred(Vec::new()));
    let reason = "its token was renewed, or it ended, since this request was sent";
    for kind in [
        SaveKind::Save,
        SaveKind::Commit,
        SaveKind::CommitKeepingToken,
    ] {
        assert!(is_nothing(&mut state, at(1_001), kind));
    }
    put(&mut state, "a", "1");
    for kind in [
        SaveKind::Save,
        SaveKind::Commit,
        SaveKind::CommitKeepingToken,
    ] {
        assert_eq!(withheld(&mut state, kind, &settings()), Some(reason));
    }
    state.metadata.sign_in = Some("user".into());
    assert!(
        is_nothing(&mut state, at(1_001), SaveKind::Save),
        "a sign-in waits for the commit"
    );
    let planned = created(&mut state, SaveKind::Commit);
    assert_eq!(planned.record.values.len(), 1);
    state.created(planned, RecordKey::Id(SessionId::from_bytes([2; 16])));
    assert!(
        !state.is_barred(),
        "from here on it is a session like any other"
    );
}

#[test]
fn an_update_of_values() {
    let mut state = opened();
    put(&mut state, "b", "2");
    let planned = updated(&mut state, SaveKind::Save);
    assert!(!planned.is_maintenance());
    assert_eq!(planned.update.changes().metadata(), Metadata::Unchanged);
    assert_eq!(planned.update.expected_version(), None);
    assert_eq!(planned.record().version, 2);
    assert_eq!(planned.record().last_seen, at(1_000));
    assert!(!matches!(planned.token, TokenChange::Replace(_)));
    assert_eq!(renews(&planned.metadata), None);
    let planned = updated_at(&mut state, at(1_060), SaveKind::Commit);
    assert_eq!(
        planned.update.changes().metadata(),
        Metadata::Touched(at(1_060))
    );
    assert_eq!(planned.record().last_seen, at(1_060));
    assert!(!planned.is_maintenance());

    let key = RecordKey::Id(planned.record().id);
    state.updated(planned, key, 2, &settings());
    assert!(!is_announced(&state));
    assert!(!state.stored().unwrap().stale);
    assert!(state.edits.is_empty());
}

#[test]
fn a_merged_update_leaves_a_stale_base() {
    let mut state = opened();
    put(&mut state, "b", "2");
    let planned = updated(&mut state, SaveKind::Save);
    state.updated(
        planned,
        RecordKey::Id(SessionId::from_bytes([1; 16])),
        3,
        &settings(),
    );
    assert!(state.stored().unwrap().stale);
}

#[test]
fn an_update_that_depends_on_what_is_stored_meets_its_version() {
    let mut state = opened();
    let update: UpdateFn = Arc::new(|_, _, _, _| Ok(Some(json("2"))));
    state
        .update("a".into(), update, Some(json("2")), &settings())
        .unwrap();
    assert_eq!(
        updated(&mut state, SaveKind::Save)
            .update
            .expected_version(),
        Some(1)
    );
}

#[test]
fn a_renewal() {
    let mut state = opened();
    state.metadata.renew = true;
    for kind in [SaveKind::Save, SaveKind::CommitKeepingToken] {
        assert!(
            is_nothing(&mut state, at(1_001), kind),
            "it waits for the commit"
        );
    }
    let planned = updated(&mut state, SaveKind::Commit);
    assert_eq!(renews(&planned.metadata), Some(false));
    assert_eq!(planned.update.changes().metadata(), Metadata::Replaced);
    assert_eq!(planned.update.expected_version(), Some(1));
    let record = &planned.record();
    assert_eq!((record.version, record.epoch), (2, 1));
    assert_eq!((record.last_seen, record.deadline), (at(1_001), at(37_000)));
    assert_ne!(record.csrf_seed, [0; 16]);
    assert_eq!((record.principal(), record.authenticated), (None, None));
    let [token] = record.tokens() else {
        panic!("one token")
    };
    let TokenChange::Replace(secret) = &planned.token else {
        panic!("a new token")
    };
    let hash = secret.hash();
    assert_eq!(
        (token.hash, token.epoch, token.issued),
        (hash, 1, at(1_001))
    );

    let key = RecordKey::Id(planned.record().id);
    state.updated(planned, key, 2, &settings());
    assert!(is_announced(&state));
    assert!(state.metadata.is_empty());
    assert_eq!(state.stored().unwrap().token.secret().unwrap().hash(), hash);
}

#[test]
fn signing_in_starts_both_clocks_anew() {
    let mut state = opened();
    state.metadata.sign_in = Some("user".into());
    let planned = updated_at(&mut state, at(2_000), SaveKind::Commit);
    assert_eq!(renews(&planned.metadata), Some(true));
    assert_eq!(planned.record().principal(), Some("user"));
    assert_eq!(planned.record().authenticated, Some(at(2_000)));
    assert_eq!(planned.record().last_seen, at(2_000));
    assert_eq!(planned.record().deadline, at(38_000));
    assert_eq!(planned.record().epoch, 1);
}

#[test]
fn another_lifetime_only_shortens() {
    let apply = |record: Record, lifetime: Lifetime| {
        let mut state = with(record);
        state.metadata.lifetime = Some(lifetime);
        updated_at(&mut state, at(1_030), SaveKind::Save)
            .update
            .into_record()
    };
    let hours = |hours: u32| Lifetime::new(HOUR, HOUR * hours).unwrap();
    let longer = apply(record(), hours(11));
    assert_eq!(longer.lifetime, hours(11));
    assert_eq!(longer.deadline, at(37_000));
    assert_eq!(longer.last_seen, at(1_030));
    assert_eq!(longer.epoch, 0);
    assert_eq!(apply(record(), hours(2)).deadline, at(8_200));
    let mut authenticated = record();
    authenticated.authenticated = Some(at(1_010));
    assert_eq!(apply(authenticated, hours(2)).deadline, at(8_210));
}

#[test]
fn a_label_takes_the_place_of_another() {
    let mut state = opened();
    state.metadata.label = Some("phone".into());
    let planned = updated(&mut state, SaveKind::Save);
    assert_eq!(planned.record().label(), Some("phone"));
    assert_eq!(planned.record().epoch, 0);
    assert!(!matches!(planned.token, TokenChange::Replace(_)));
    assert_eq!(planned.update.expected_version(), Some(1));
}

#[test]
fn when_the_client_must_hear_of_its_token() {
    let settings = settings();
    let touched = |persistent: bool, old_key: bool, seconds: u64| {
        let mut record = record();
        if persistent {
            record.lifetime = record.lifetime.persistent();
        }
        let mut state = with(record);
        state.stored_mut().unwrap().token = TokenState::Presented {
            secret: Secret::from_bytes([3; 16]),
            old_key,
            maintenance: TokenMaintenance::default(),
        };
        put(&mut state, "b", "2");
        let planned = updated_at(&mut state, at(seconds), SaveKind::Commit);
        let key = RecordKey::Id(planned.record().id);
        state.updated(planned, key, 2, &settings);
        (
            is_announced(&state),
            state.stored().unwrap().token.is_by_old_key(),
        )
    };
    assert_eq!(touched(false, false, 1_001), (false, false));
    assert_eq!(touched(false, false, 1_060), (false, false));
    assert_eq!(touched(true, false, 1_001), (false, false));
    assert_eq!(
        touched(true, false, 1_060),
        (true, false),
        "its Max-Age moves"
    );
    assert_eq!(touched(false, true, 1_001), (false, true));
    assert_eq!(
        touched(false, true, 1_060),
        (true, false),
        "it is signed anew"
    );

    let mut state = opened();
    state.metadata.lifetime = Some(Lifetime::aal3());
    let planned = updated(&mut state, SaveKind::Save);
    let key = RecordKey::Id(planned.record().id);
    state.updated(planned, key, 2, &settings);
    assert!(
        !is_announced(&state) && state.stored().unwrap().record.owed,
        "no answer may follow"
    );
    assert!(state.needs_commit(at(1_001)));
    assert!(is_nothing(
        &mut state,
        at(1_001),
        SaveKind::CommitKeepingToken
    ));
    let planned = updated(&mut state, SaveKind::Commit);
    let key = RecordKey::Id(planned.record().id);
    state.updated(planned, key, 3, &settings);
    assert!(
        is_announced(&state) && !state.stored().unwrap().record.owed,
        "another lifetime"
    );
}

/// A write that cannot tell says so in the record, once; the next ones merge.
#[test]
fn what_is_owed_is_noted_once() {
    for kind in [SaveKind::Save, SaveKind::CommitKeepingToken] {
        for (owed, metadata) in [
            (false, Metadata::Replaced),
            (true, Metadata::Touched(at(1_060))),
        ] {
            let mut record = record();
            record.lifetime = record.lifetime.persistent();
            record.owed = owed;
            let mut state = with(record);
            put(&mut state, "b", "2");
            assert!(matches!(
                updated_at(&mut state, at(1_059), kind)
                    .update
                    .changes()
                    .metadata(),
                Metadata::Unchanged
            ));
            let planned = updated_at(&mut state, at(1_060), kind);
            assert_eq!(planned.update.changes().metadata(), metadata);
            assert_eq!(planned.update.expected_version().is_some(), !owed);
            assert!(planned.record().owed && matches!(planned.token, TokenChange::Keep));
        }
    }
}

/// The client holds the record itself: what it has not been sent has not moved.
#[test]
fn a_sealed_session_owes_nothing() {
    for kind in [
        SaveKind::Save,
        SaveKind::Commit,
        SaveKind::CommitKeepingToken,
    ] {
        let mut record = record();
        record.lifetime = record.lifetime.persistent();
        let mut state = with(record);
        if kind == SaveKind::CommitKeepingToken {
            assert!(matches!(
                state.plan(at(1_060), kind, &sealed()),
                Ok(Plan::Nothing)
            ));
            continue;
        }
        put(&mut state, "b", "2");
        let Ok(Plan::Update(planned)) = state.plan(at(1_060), kind, &sealed()) else {
            panic!("a write")
        };
        assert!(!planned.record().owed);
        state.updated(
            planned,
            RecordKey::Id(SessionId::from_bytes([1; 16])),
            2,
            &sealed(),
        );
        assert!(is_announced(&state));
    }
}

/// Of a token that this request has created the client hears in any case.
#[test]
fn nothing_is_owed_of_a_token_that_is_told_anyway() {
    let mut record = record();
    record.lifetime = record.lifetime.persistent();
    let mut state = with(record);
    announce(&mut state, Announce::Confirm);
    put(&mut state, "b", "2");
    let planned = updated_at(&mut state, at(1_060), SaveKind::Save);
    assert!(!planned.record().owed && planned.update.expected_version().is_none());
}

#[test]
fn what_the_client_is_told() {
    let sign = |_: &Stored, max_age| Some(ClientToken::new("token".to_owned(), max_age));
    let told = |state: &mut State| state.announcement(at(1_600), &Rotation::off(), sign);
    let hold = |max_age| Directive::Hold(ClientToken::new("token".to_owned(), max_age));
    let mut state = opened();
    assert_eq!(told(&mut state), Directive::Nothing);
    for announced in [Announce::Written, Announce::Confirm] {
        announce(&mut state, announced);
        assert_eq!(told(&mut state), hold(None));
        assert_eq!(told(&mut state), Directive::Nothing, "it is told once");
    }
    announce(&mut state, Announce::Written);
    let unsigned = state.announcement(at(1_600), &Rotation::off(), |_, _| None);
    assert_eq!(unsigned, Directive::Nothing);

    let mut persistent = record();
    persistent.lifetime = persistent.lifetime.persistent();
    for clear_client in [false, true] {
        let mut state = with(persistent.clone());
        state.clear_client = clear_client;
        announce(&mut state, Announce::Written);
        assert_eq!(told(&mut state), hold(Some(SECOND * 3_000)));
    }
    for mut state in [opened(), new()] {
        state.clear_client = true;
        assert_eq!(told(&mut state), Directive::Forget);
        assert_eq!(told(&mut state), Directive::Nothing, "it is told once");
    }
}

/// Where it is not known whether the session still is, its token is not sent.
#[test]
fn a_token_that_could_not_be_confirmed_is_withdrawn() {
    let mut state = opened();
    announce(&mut state, Announce::Confirm);
    state.withdraw_token();
    assert!(!is_announced(&state));
}

#[test]
fn the_end_of_a_session() {
    let mut state = opened();
    put(&mut state, "b", "2");
    state.metadata.renew = true;
    announce(&mut state, Announce::Confirm);
    assert_eq!(state.id(), Some(SessionId::from_bytes([1; 16])));
    state.destroy();
    assert_eq!(state.id(), None);
    assert!(!is_announced(&state) && !state.clear_client);
    assert!(state.edits.is_empty() && state.metadata.is_empty());
    assert_eq!(state.count(), 0);
    let [deletions] = &state.deletions[..] else {
        panic!("one session")
    };
    assert_eq!(deletions.who.id, SessionId::from_bytes([1; 16]));
    assert!(deletions.client_knows);
    state.destroy();
    assert_eq!(state.deletions.len(), 1, "there is no other one");
}

#[test]
fn a_session_that_is_gone() {
    let mut state = opened();
    put(&mut state, "b", "2");
    announce(&mut state, Announce::Confirm);
    state.gone();
    assert!(state.is_barred() && !is_announced(&state) && state.stored().is_none());
    assert!(state.edits.is_empty());
    assert_eq!(state.count(), 0);

    let mut state = opened();
    put(&mut state, "b", "2");
    state.metadata.sign_in = Some("user".into());
    state.gone();
    assert_eq!(state.count(), 1, "its own values go on");
    assert_eq!(created(&mut state, SaveKind::Commit).record.values.len(), 1);
}

#[test]
fn activity_that_could_not_be_written() {
    let mut state = opened();
    assert_eq!(state.unwritten().map(|who| who.id), state.id());
    assert!(state.stored().unwrap().stale);
}

#[test]
fn the_size_follows_every_change() {
    let mut state = opened();
    assert_eq!(
        state.size,
        Size {
            bytes: 11,
            count: 1
        }
    );
    put(&mut state, "b", "22");
    assert_eq!(
        state.size,
        Size {
            bytes: 23,
            count: 2
        }
    );
    put(&mut state, "a", "333");
    assert_eq!(
        state.size,
        Size {
            bytes: 25,
            count: 2
        }
    );
    let update: UpdateFn = Arc::new(|_, _, _, _| Ok(Some(json(""))));
    state
        .update("b".into(), update, Some(json("1")), &settings())
        .unwrap();
    assert_eq!(
        state.size,
        Size {
            bytes: 24,
            count: 2
        }
    );
    assert_eq!(state.count(), 2);
    assert!(state.remove("a"));
    assert!(!state.remove("a"));
    assert!(!state.remove("c"));
    assert_eq!(
        state.size,
        Size {
            bytes: 11,
            count: 1
        }
    );
    assert_eq!(state.view("a"), None);
    assert_eq!(state.view("b"), Some(&json("1")));
    state.clear();
    assert_eq!(state.size, Size { bytes: 0, count: 0 });
    state.discard();
    assert_eq!(
        state.size,
        Size {
            bytes: 11,
            count: 1
        }
    );
    assert_eq!(state.view("a"), Some(&json("1")));
}

#[test]
fn limits_at_an_insert() {
    let metadata = record().limited_size() - record().values.size();
    let limits = |record_bytes, keys| Settings {
        limits: Limits {
            record_bytes,
            keys,
            ..Limits::default()
        },
        ..settings()
    };
    // One entry of 11 bytes is there, and one more is to come.
    let mut state = opened();
    let tight = limits(metadata + 22, 2);
    state.put("b".into(), json("2"), &tight).unwrap();
    state.put("b".into(), json("3"), &tight).unwrap();
    let error = state.put("b".into(), json("44"), &tight).unwrap_err();
    let (size, limit) = (metadata + 23, metadata + 22);
    assert_eq!(error, LimitExceeded::new(Limit::RecordBytes, size, limit));
    let error = state.put("c".into(), json(""), &tight).unwrap_err();
    assert_eq!(error, LimitExceeded::new(Limit::Keys, 3, 2));
    assert_eq!(
        state.size,
        Size {
            bytes: 22,
            count: 2
        },
        "nothing was changed"
    );
    assert_eq!(state.view("b"), Some(&json("3")));

    let fresh = settings().fresh_metadata;
    assert_eq!(fresh, 160 + 2, "tokens do not count");
    let mut state = new();
    state
        .put("a".into(), json("1"), &limits(fresh + 11, 1))
        .unwrap();
    let error = state
        .put("a".into(), json("22"), &limits(fresh + 11, 1))
        .unwrap_err();
    let (size, limit) = (fresh + 12, fresh + 11);
    assert_eq!(error, LimitExceeded::new(Limit::RecordBytes, size, limit));
}

#[test]
fn limits_on_what_results() {
    let mut state = opened();
    state.metadata.label = Some("a label that takes some room".into());
    let size = record().size() + 28;
    let limits = |record_bytes| Settings {
        limits: Limits {
            record_bytes,
            ..Limits::default()
        },
        ..settings()
    };
    assert!(
        state
            .plan(at(1_001), SaveKind::Commit, &limits(size))
            .is_ok()
    );
    let refused = state.plan(at(1_001), SaveKind::Commit, &limits(size - 1));
    assert!(matches!(
        refused,
        Err(SessionError::Limit(exceeded)) if exceeded.which() == Limit::RecordBytes
    ));

    let mut state = new();
    state.metadata.sign_in = Some("user".into());
    let size = settings().fresh_metadata + 4;
    assert!(
        state
            .plan(at(1_001), SaveKind::Commit, &limits(size))
            .is_ok()
    );
    let refused = state.plan(at(1_001), SaveKind::Commit, &limits(size - 1));
    assert!(matches!(
        refused,
        Err(SessionError::Limit(exceeded)) if exceeded.which() == Limit::RecordBytes
    ));
}

#[test]
fn a_sealed_session_has_to_fit_its_token() {
    assert!(sealed().is_sealed());
    assert!(!settings().is_sealed());
    let mut settings = sealed();
    assert_eq!(
        settings.fresh_metadata, 162,
        "it has no token beside itself"
    );
    settings.max_token = 400;
    // (bytes + 40) * 4 / 3, rounded up, is at most 400 up to 260 bytes.
    assert_eq!(settings.check(260, 1), Ok(()));
    let error = LimitExceeded::new(Limit::TokenBytes, 402, 400);
    assert_eq!(settings.check(261, 1), Err(error));
    settings.limits.record_bytes = 100;
    let error = settings.check(261, 1).unwrap_err();
    assert_eq!(
        error.which(),
        Limit::RecordBytes,
        "the other limits hold too"
    );
}

#[test]
fn every_write_of_a_sealed_session_is_a_new_token() {
    let settings = sealed();
    let plan = |state: &mut State, now, kind| state.plan(now, kind, &settings);
    let mut state = opened();
    put(&mut state, "b", "2");
    let Ok(Plan::Update(planned)) = plan(&mut state, at(1_001), SaveKind::Commit) else {
        panic!("not an update")
    };
    assert!(!matches!(planned.token, TokenChange::Replace(_)));
    assert!(planned.record().tokens().is_empty());
    let reason = "the response cannot carry a new token";
    assert_eq!(
        withheld(&mut state, SaveKind::CommitKeepingToken, &settings),
        Some(reason)
    );
    state.phase = Phase::Closed;
    for kind in [SaveKind::Save, SaveKind::Commit] {
        assert!(matches!(
            plan(&mut state, at(1_001), kind),
            Err(SessionError::Detached)
        ));
    }
    let mut idle = opened();
    assert!(matches!(
        plan(&mut idle, at(1_060), SaveKind::CommitKeepingToken),
        Ok(Plan::Nothing)
    ));
    assert!(matches!(
        plan(&mut idle, at(1_060), SaveKind::Commit),
        Ok(Plan::Update(_))
    ));
    idle.phase = Phase::Closed;
    assert!(matches!(
        plan(&mut idle, at(1_060), SaveKind::Commit),
        Ok(Plan::Nothing)
    ));
    state.phase = Phase::Open;
    state.updated(
        planned,
        RecordKey::Id(SessionId::from_bytes([1; 16])),
        2,
        &settings,
    );
    assert!(is_announced(&state));
}

#[test]
fn intents_are_settled_one_by_one() {
    let all = MetadataEdits {
        renew: true,
        sign_in: Some("user".into()),
        lifetime: Some(Lifetime::aal1()),
        label: Some("phone".into()),
        ..MetadataEdits::default()
    };
    assert!(MetadataEdits::default().is_empty());
    assert!(!all.is_empty());
    for alone in [
        MetadataEdits {
            renew: true,
            ..MetadataEdits::default()
        },
        MetadataEdits {
            sign_in: all.sign_in.clone(),
            ..MetadataEdits::default()
        },
        MetadataEdits {
            lifetime: all.lifetime,
            ..MetadataEdits::default()
        },
        MetadataEdits {
            label: all.label.clone(),
            ..MetadataEdits::default()
        },
        MetadataEdits {
            binds: true,
            ..MetadataEdits::default()
        },
    ] {
        assert!(!alone.is_empty());
        let mut rest = alone.clone();
        rest.acknowledge(&alone);
        assert!(rest.is_empty());
        let mut rest = alone.clone();
        rest.acknowledge(&MetadataEdits::default());
        assert!(!rest.is_empty(), "what was not done is still to do");
    }
    let save = all.allowed_by(SaveKind::Save);
    assert!(!save.renew && save.sign_in.is_none());
    assert_eq!((save.lifetime, &save.label), (all.lifetime, &all.label));
    let commit = all.allowed_by(SaveKind::Commit);
    assert!(commit.renew && commit.sign_in == all.sign_in);
    assert!(!all.allowed_by(SaveKind::CommitKeepingToken).renew);

    let mut renewed = MetadataEdits {
        renew: true,
        ..MetadataEdits::default()
    };
    renewed.acknowledge(&MetadataEdits {
        sign_in: all.sign_in.clone(),
        ..MetadataEdits::default()
    });
    assert!(renewed.is_empty(), "a sign-in renews");
    let mut newer = all.clone();
    newer.sign_in = Some("other".into());
    newer.lifetime = Some(Lifetime::aal2());
    newer.label = Some("tablet".into());
    newer.acknowledge(&all);
    assert_eq!(newer.sign_in.as_deref(), Some("other"));
    assert_eq!(newer.lifetime, Some(Lifetime::aal2()));
    assert_eq!(newer.label.as_deref(), Some("tablet"));
    assert!(!newer.renew);
}

#[test]
fn keys_share_the_stored_bytes() {
    let mut state = opened();
    let stored = state.stored_values().unwrap().key("a").unwrap().as_ptr();
    assert_eq!(state.shared_key("a").as_ptr(), stored);
    assert_eq!(&*state.shared_key("b"), "b");
    assert!(new().stored().is_none());
}

#[test]
fn what_comes_back_for_a_destroyed_session_is_not_taken_for_the_next() {
    let mut state = opened();
    put(&mut state, "b", "2");
    let planned = updated(&mut state, SaveKind::Save);
    state.destroy();
    put(&mut state, "c", "3");
    state.updated(
        planned,
        RecordKey::Id(SessionId::from_bytes([1; 16])),
        2,
        &settings(),
    );
    assert!(state.stored().is_none() && !is_announced(&state));
    assert_eq!(state.view("c"), Some(&json("3")));

    let mut state = new();
    put(&mut state, "a", "1");
    let planned = created(&mut state, SaveKind::Save);
    let id = planned.record.id;
    state.destroy();
    state.created(planned, RecordKey::Id(id));
    assert!(state.stored().is_none() && !is_announced(&state));
    assert_eq!(
        state.deletions.len(),
        1,
        "what was created meanwhile is deleted"
    );
    assert_eq!(state.deletions[0].who.id, id);
}

#[test]
fn a_token_from_an_earlier_save_is_to_be_confirmed() {
    let mut state = opened();
    assert_eq!(state.to_confirm(), None, "there is nothing to tell");
    announce(&mut state, Announce::Written);
    assert_eq!(state.to_confirm(), None, "it was written just now");
    state.begin_save();
    let basis = Basis {
        epoch: 0,
        mark: state.edits.last(),
    };
    let key = RecordKey::Id(SessionId::from_bytes([1; 16]));
    assert_eq!(state.to_confirm(), Some((key, basis)));
    announce(&mut state, Announce::No);
    state.begin_save();
    assert_eq!(state.to_confirm(), None);
}

/// A save that is under way may store what was set for the one who signed in first.
#[test]
fn who_signs_in_while_a_save_is_under_way_begins_an_empty_session() {
    for saves in [false, true] {
        let mut state = opened();
        state.sign_in("1", &settings()).unwrap();
        put(&mut state, "mail", "1");
        let planned = saves.then(|| updated(&mut state, SaveKind::Save));
        state.sign_in("2", &settings()).unwrap();
        assert_eq!(state.view("mail"), None);
        assert_eq!(
            state.stored().is_none(),
            saves,
            "the guest's session is left"
        );
        assert_eq!(state.deletions.len(), usize::from(saves));
        if let Some(planned) = planned {
            state.updated(
                planned,
                RecordKey::Id(SessionId::from_bytes([1; 16])),
                2,
                &settings(),
            );
        }
        assert_eq!(state.view("mail"), None);
        assert_eq!(state.metadata.sign_in.as_deref(), Some("2"));
    }
}

/// A principal whose name does not fit leaves the one before, and what was set for them.
#[test]
fn a_sign_in_that_is_refused_changes_nothing() {
    let settings = || Settings {
        limits: Limits {
            record_bytes: 200,
            ..Limits::default()
        },
        ..settings()
    };
    let mut state = new();
    state.sign_in("1", &settings()).unwrap();
    state.put("mail".into(), json("1"), &settings()).unwrap();
    state.request_label("tab", &settings()).unwrap();
    assert!(state.sign_in(&"x".repeat(60), &settings()).is_err());
    assert_eq!(state.view("mail"), Some(&json("1")));
    assert_eq!(state.count(), 1);
    assert_eq!(state.metadata.sign_in.as_deref(), Some("1"));
    assert_eq!(state.metadata.label.as_deref(), Some("tab"));
    state.sign_in("2", &settings()).unwrap();
    assert_eq!((state.view("mail"), state.count()), (None, 0));
    assert!(state.metadata.label.is_none());
}

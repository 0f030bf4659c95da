//! The operations of the store on damaged sessions.

use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::doc;
use session_core::store::{
    Changes, Metadata, PrincipalIndex, Record, RecordKey, SessionStore, StoreError, Tag, Update,
    Updated,
};
use session_core::{Ended, Lifetime, Limits, OnCorrupt, Outcome, SessionError, SessionManager};
use session_tests::{anonymous, token_of};

use super::bench::{Absent, Bench, Corrupt, Done, OWNER, json, set};
use super::damages::{damages, is_listed};

#[test]
fn damaged_sessions() {
    let bench = Bench::new();
    let mut wrong = Vec::new();
    for damage in damages() {
        let name = damage.name;
        let fresh = || {
            let record = bench.create();
            damage.put(&bench, record.id());
            record
        };
        let records: Vec<_> = (0..5).map(|_| fresh()).collect();
        let [loaded, exact, merged, cleared, listed] = &records[..] else {
            unreachable!()
        };
        let load = bench.load(loaded.id());
        let updates = [
            bench.update(exact, &set(), true),
            bench.update(merged, &set(), false),
            bench.update(cleared, &Changes::new().clear(), false),
        ];
        if (load, updates) != (damage.load, damage.updates) {
            wrong.push(format!("{name}: {load:?} {updates:?}"));
        }

        // One that cannot be read is listed as that, and ends like any other. (A clear may have
        // repaired another.)
        let id = listed.id();
        let there = is_listed(&bench.document(id).unwrap());
        let list = bench.list_all();
        assert_eq!(list.len(), if there { 5 } else { 0 }, "{name}");
        let unreadable = list.contains(&(id, false));
        assert_eq!(unreadable, there && damage.load == Corrupt, "{name}");
        assert_eq!(bench.delete_one(id), there, "{name}");
        assert_eq!(bench.list_all().len(), if there { 4 } else { 0 }, "{name}");
        // One whose principal can be told is ended with the others.
        assert_eq!(bench.delete_all(), if there { 4 } else { 0 }, "{name}");
        for record in &records {
            bench.delete(record.id());
        }
        assert_eq!(bench.list(), Ok(vec![]), "{name}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_damaged_session_is_not_created_over() {
    let bench = Bench::new();
    for damage in damages() {
        let record = bench.create();
        damage.put(&bench, record.id());
        let before = bench.document(record.id()).unwrap();
        let again = bench
            .runtime
            .block_on(bench.store.create(&record, bench.now));
        // As far as the server can tell.
        let ended = before
            .get_datetime("ends")
            .is_ok_and(|ends| ends.timestamp_millis() < 2_000);
        match again {
            Ok(_) => assert!(ended, "{}", damage.name),
            Err(StoreError::IdTaken) => {
                assert!(!ended, "{}", damage.name);
                // Compared as text: one of them holds a number that is not equal to itself.
                let after = bench.document(record.id()).unwrap();
                assert_eq!(after.to_string(), before.to_string(), "{}", damage.name);
            }
            Err(error) => unreachable!("{}: {error}", damage.name),
        }
    }
}

#[test]
fn a_copy_under_the_id_of_another_is_corrupt() {
    let bench = Bench::new();
    let one = bench.create();
    let two = bench.record();
    let mut copy = bench.document(one.id()).unwrap();
    copy.insert("_id", two.id().encode());
    bench.add(&copy);
    assert_eq!(
        (bench.load(one.id()), bench.load(two.id())),
        (Done, Corrupt)
    );
    assert_eq!(bench.update(&two, &set(), true), Done);
    assert_eq!(bench.load(two.id()), Corrupt);
    let mut listed = bench.list_all();
    listed.sort_by_key(|(_, readable)| *readable);
    assert_eq!(listed, [(two.id(), false), (one.id(), true)]);
    bench.delete(two.id());
    assert_eq!(bench.list(), Ok(vec![one.id()]));

    // A document whose id is none of ours is no session, and ends with the others.
    copy.insert("_id", 7);
    bench.add(&copy);
    assert_eq!(bench.list(), Ok(vec![one.id()]));
    assert_eq!(bench.delete_all(), 2);
}

#[test]
fn values_and_fields_of_others_are_readable() {
    let bench = Bench::new();
    let record = bench.create();
    let id = record.id();
    bench.change(
        id,
        doc! { "$set": { "data.a": "{\"by\": \"hand\"}", "data.c": "[3]", "name": "Ann" } },
    );
    let all = [("a", "{\"by\": \"hand\"}"), ("b", "2"), ("c", "[3]")];
    let text = |all: &[(&str, &str)]| -> Vec<(String, String)> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        all.iter().map(owned).collect()
    };
    assert_eq!(bench.values(id), text(&all));
    let base = bench.find(id).unwrap().unwrap();
    assert_eq!(
        bench.update(&base, &Changes::new().remove("c"), false),
        Done
    );
    assert_eq!(bench.values(id), text(&all[..2]));
    let changes = Changes::new().set("d", json("4")).clear();
    assert_eq!(bench.update(&base, &changes, false), Done);
    assert_eq!(bench.values(id), text(&[("d", "4")]));
    assert_eq!(bench.document(id).unwrap().get_str("name").unwrap(), "Ann");
}

/// As after a fail-over that has lost the write which the request had loaded: others have written
/// since, and the versions repeat.
#[test]
fn another_content_of_the_same_version_is_not_the_base() {
    let bench = Bench::new();
    let base = bench.create();
    let id = base.id();
    let key = RecordKey::Id(id);
    let write = |expected: Option<u64>| {
        let changes = set();
        let update = Update::new(Arc::new(changes.apply(&base)), changes, base.epoch())
            .with_base_tag(base.tag())
            .with_expected_version(expected);
        let updated = bench.store.update(&key, &update, bench.now);
        (bench.runtime.block_on(updated).unwrap(), update)
    };
    bench.change(id, doc! { "$set": { "tag": 7_i64, "data.b": "[1]" } });
    let (refused, _) = write(Some(base.version()));
    assert!(matches!(refused, Updated::Conflict { .. }), "{refused:?}");
    let (merged, update) = write(None);
    assert!(
        matches!(merged, Updated::Saved { exact: false, .. }),
        "{merged:?}"
    );
    let found = bench.find(id).unwrap().unwrap();
    assert_eq!(found.tag(), update.record().tag().map(Tag::merged));
    assert_eq!(found.values().get("b").unwrap().bytes(), &b"[1]"[..]);

    // Where it is the base, the record of the update is what is stored.
    let changes = set();
    let update = Update::new(Arc::new(changes.apply(&found)), changes, found.epoch())
        .with_base_tag(found.tag());
    let updated = bench.store.update(&key, &update, bench.now);
    let updated = bench.runtime.block_on(updated).unwrap();
    assert!(
        matches!(updated, Updated::Saved { exact: true, .. }),
        "{updated:?}"
    );
    let found = bench.find(id).unwrap().unwrap();
    assert_eq!(
        (&found, found.tag()),
        (update.record(), update.record().tag())
    );
}

#[test]
fn what_has_ended_is_gone_before_it_is_removed() {
    let bench = Bench::new();
    let record = bench.create();
    let at = record.expires_at();
    let block = |when| {
        let load = bench
            .runtime
            .block_on(bench.store.load(&record.id().into(), when))
            .unwrap();
        let (set, limits) = (set(), Limits::default());
        let both = [false, true].map(|exact| {
            let update = super::bench::update(&bench.store, &record, &set, exact, &limits, when);
            bench.runtime.block_on(update)
        });
        // As it was, so that its expiry can be told.
        assert_eq!(load.as_ref(), Some(&record));
        both
    };
    assert_eq!(block(at), [Absent; 2]);
    let listed = bench
        .runtime
        .block_on(bench.store.list_of(OWNER, at))
        .unwrap();
    assert!(listed.is_empty());
    assert!(
        bench
            .document(record.id())
            .is_some_and(|document| document.get_i64("v").is_ok_and(|v| v == 1))
    );
    let before = session_core::Timestamp::from_millis(at.as_millis() - 1);
    assert_eq!(block(before), [Done, super::bench::Conflict]);
    // Its id is free.
    let again = Arc::new(bench.record());
    bench.keep(Record::clone(&again));
    let taken = bench
        .runtime
        .block_on(bench.store.create(&again, again.expires_at()));
    assert_eq!(taken.unwrap(), again.id().into());
}

#[test]
fn a_request_with_a_damaged_session() {
    let bench = Bench::new();
    let manager = |policy| {
        let builder = SessionManager::builder(bench.store.clone()).on_corrupt(policy);
        builder.build().unwrap()
    };
    let (refusing, anew) = (manager(OnCorrupt::Refuse), manager(OnCorrupt::StartEmpty));
    for damage in damages().iter().filter(|damage| damage.load == Corrupt) {
        bench.runtime.block_on(async {
            let session = anonymous(&anew).await;
            session.insert("b", 1).unwrap();
            session.sign_in(OWNER).unwrap();
            let token = token_of(&session.finish(Outcome::Success).await.unwrap());
            let id = session.id().unwrap().encode();
            let change = bench
                .other
                .update_one(doc! { "_id": &id }, damage.done.clone());
            // Another epoch or version than this one's is all there is to some.
            assert_eq!(change.await.unwrap().matched_count, 1);
            let refused = refusing.begin(&[&*token]).await;
            assert!(
                matches!(refused, Err(SessionError::Store(StoreError::Corrupt(_)))),
                "{}: {refused:?}",
                damage.name
            );
            assert!(
                anew.begin(&[&*token]).await.unwrap().is_new(),
                "{}",
                damage.name
            );
            anew.store()
                .delete(&session.id().unwrap().into(), Ended::default())
                .await
                .unwrap();
        });
    }
}

/// A touch reckons the end of the session by the lifetime that it knows. Where another request has
/// shortened that since, the touch has to take the new one.
#[test]
fn a_touch_goes_by_the_lifetime_that_is_stored() {
    let bench = Bench::new();
    let base = bench.create();
    let hour = Duration::from_secs(3600);
    // With the same deadline, so that the idle time alone tells.
    let lifetime = Lifetime::new(hour, base.lifetime().absolute()).unwrap();
    let shortened = Record::new(base.id(), base.scope(), lifetime, bench.now)
        .with_principal(OWNER)
        .with_version(2);
    let key = base.id().into();
    let update = Update::new(
        Arc::new(shortened),
        Changes::new().clear().with_metadata(Metadata::Replaced),
        0,
    )
    .with_expected_version(1);
    let update = bench.store.update(&key, &update, bench.now);
    let updated = bench.runtime.block_on(update).unwrap();
    assert!(matches!(updated, Updated::Saved { .. }), "{updated:?}");
    let seen = bench.now + hour / 2;
    let touch = Changes::new().with_metadata(Metadata::Touched(seen));
    assert_eq!(bench.update(&base, &touch, false), Done);
    let found = bench.find(base.id()).unwrap().unwrap();
    assert_eq!(found.expires_at(), seen + hour);
}

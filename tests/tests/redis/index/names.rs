//! Principals of any name, timeouts that move, and clocks that differ.

use std::time::Duration;

use session_core::store::{PrincipalIndex, Record, RecordKey, SessionStore};
use session_core::{Ended, Lifetime, SessionId, Timestamp};
use session_redis::Layout;

use super::site::Site;
use super::steps::{NOW, create, heal, id, of, sign_in};

const MINUTE: Duration = Duration::from_secs(60);

fn names() -> Vec<String> {
    let short = [
        "",
        " ",
        "a b",
        "{tag}",
        "{tag}b",
        "}{",
        "{}",
        "line\r\nbreak",
        "nul\0nul",
        "\0",
        "principal:x",
        "*",
        "[a]?",
        "日本",
        "p",
        "-1",
    ];
    let long = ["x".repeat(1024), "{".repeat(1024), "a".repeat(1023)];
    short.into_iter().map(str::to_owned).chain(long).collect()
}

async fn listed(store: &dyn SessionStore, principal: &str) -> Vec<SessionId> {
    let records = store
        .principals()
        .unwrap()
        .list_of(principal, NOW)
        .await
        .unwrap();
    assert!(
        records
            .iter()
            .all(|listed| listed.record().unwrap().principal() == Some(principal))
    );
    let mut ids: Vec<_> = records.iter().map(|record| record.id()).collect();
    ids.sort_unstable();
    ids
}

/// Each principal has sessions by creation, by sign-in and by a move from its neighbour, in two
/// stores at once.
async fn any_name(site: &Site) {
    let [store, other] = ["any:", "other:"].map(|prefix| site.store(prefix));
    let (store, other) = (store.await, other.await);
    let names = names();
    let mut sessions = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let neighbour = &names[(at + 1) % names.len()];
        let mut ids = [id(), id()];
        create(&store, of(ids[0], name)).await.unwrap();
        create(&store, of(ids[1], neighbour)).await.unwrap();
        assert!(sign_in(&store, of(ids[1], name)).await.unwrap());
        // The same ids in the other store are other sessions.
        create(&other, of(ids[0], name)).await.unwrap();
        ids.sort_unstable();
        sessions.push(ids);
    }
    for (name, ids) in names.iter().zip(&sessions) {
        assert_eq!(listed(&store, name).await, ids, "{name:?}");
    }
    for (at, (name, ids)) in names.iter().zip(&sessions).enumerate() {
        assert_eq!(
            store
                .delete_all_of(name, Some(ids[0]), Ended::default())
                .await
                .unwrap(),
            1,
            "{name:?}"
        );
        assert_eq!(listed(&store, name).await, ids[..1], "{name:?}");
        assert_eq!(heal(&store, name).await, ids[..1], "{name:?}");
        store
            .delete(&RecordKey::Id(ids[0]), Ended::default())
            .await
            .unwrap();
        assert_eq!(listed(&store, name).await, [], "{name:?}");
        assert_eq!(listed(&other, name).await.len(), 1, "{name:?}");
        if let Some(next) = names.get(at + 1) {
            assert_eq!(
                listed(&store, next).await,
                sessions[at + 1],
                "{next:?} after {name:?}"
            );
        }
    }
}

async fn a_principal_may_have_any_name(layout: Layout) {
    any_name(&Site::one(layout)).await;
}

async fn a_principal_may_have_any_name_in_a_cluster(layout: Layout) {
    any_name(&Site::cluster(layout)).await;
}

fn lasting(id: SessionId, absolute: Duration, now: Timestamp) -> Record {
    let lifetime = Lifetime::new(absolute, absolute).unwrap();
    Record::new(id, "test", lifetime, now).with_principal("ann")
}

fn left(site: &Site, key: &str) -> i64 {
    site.masters()[0].command(&["PTTL", key]).integer()
}

async fn an_entry_follows_the_deadline_and_never_ends_before_the_session(layout: Layout) {
    let site = Site::one(layout);
    let store = site.store("t:").await;
    let id = id();
    let score = || site.truth("t:").indexes["ann"][&id];
    let outlives = || {
        let (index, session) = (
            left(&site, "t:principal:ann"),
            left(&site, &format!("t:{}", id.encode())),
        );
        // One was written a moment after the other.
        assert!(
            index + 5_000 > session && session > 0,
            "{index} and {session}"
        );
    };
    create(&store, lasting(id, MINUTE, NOW)).await.unwrap();
    let first = (NOW + MINUTE).as_millis() as f64;
    assert_eq!(score(), first);
    outlives();
    // A fresh authentication moves it.
    assert!(
        sign_in(&store, lasting(id, 60 * MINUTE, NOW))
            .await
            .unwrap()
    );
    let last = (NOW + 60 * MINUTE).as_millis() as f64;
    assert_eq!(score(), last);
    outlives();
    // A shorter lifetime needs no later entry, and no earlier one.
    assert!(sign_in(&store, lasting(id, 2 * MINUTE, NOW)).await.unwrap());
    assert_eq!(score(), last);
    outlives();
    assert_eq!(listed(&store, "ann").await, [id]);
    // Longer again than it is, though not than it was: it lives on probation until it is confirmed.
    assert!(
        sign_in(&store, lasting(id, 30 * MINUTE, NOW))
            .await
            .unwrap()
    );
    assert_eq!(score(), last);
    assert!(left(&site, &format!("t:{}", id.encode())) > 29 * 60_000);
    outlives();
    assert_eq!(
        store
            .delete_all_of("ann", None, Ended::default())
            .await
            .unwrap(),
        1
    );
    assert!(site.truth("t:").indexes.is_empty());
}

async fn clocks_that_differ_by_less_than_a_minute_lose_no_entry(layout: Layout) {
    let site = Site::one(layout);
    let store = site.store("t:").await;
    let (first, second) = (id(), id());
    create(&store, lasting(first, 10 * MINUTE, NOW))
        .await
        .unwrap();
    // Just before its deadline for one server, another one is almost a minute ahead and signs in.
    let deadline = NOW + 10 * MINUTE;
    let before = Timestamp::from_millis(deadline.as_millis() - 1);
    let ahead = before + MINUTE;
    let record = std::sync::Arc::new(lasting(second, 10 * MINUTE, ahead));
    store.create(&record, ahead).await.unwrap();
    let alive = store.list_of("ann", before).await.unwrap();
    let mut alive: Vec<_> = alive.iter().map(|record| record.id()).collect();
    alive.sort_by_key(|id| *id != first);
    assert_eq!(alive, [first, second]);
    assert_eq!(
        store
            .delete_all_of("ann", None, Ended::default())
            .await
            .unwrap(),
        2
    );
}

async fn entries_beyond_their_deadline_go_with_the_next_sign_in(layout: Layout) {
    let site = Site::one(layout);
    let store = site.store("t:").await;
    let (old, new) = (id(), id());
    create(&store, lasting(old, MINUTE, NOW)).await.unwrap();
    site.masters()[0].command(&["DEL", &format!("t:{}", old.encode())]);
    let later = NOW + 26 * 60 * MINUTE;
    let record = std::sync::Arc::new(lasting(new, MINUTE, later));
    store.create(&record, later).await.unwrap();
    assert_eq!(
        site.truth("t:")
            .entries("ann")
            .into_iter()
            .collect::<Vec<_>>(),
        [new]
    );
}

in_both_layouts! {
    a_principal_may_have_any_name,
    a_principal_may_have_any_name_in_a_cluster,
    an_entry_follows_the_deadline_and_never_ends_before_the_session,
    clocks_that_differ_by_less_than_a_minute_lose_no_entry,
    entries_beyond_their_deadline_go_with_the_next_sign_in,
}

//! Indexes that grow: entries whose sessions have ended, members of other programs, more of them
//! than one answer holds.

use std::time::{Duration, Instant};

use session_core::store::{PrincipalIndex, Record, RecordKey, SessionStore};
use session_core::{Ended, SessionId, Timestamp};
use session_redis::Layout;
use session_tests::servers::RedisServer;

use super::site::Site;
use super::steps::{NOW, create, id, of};

const HOUR: Duration = Duration::from_secs(3600);
const INDEX: &str = "stale:principal:ann";
const PREFIX: &str = "stale:";

fn card(site: &Site) -> usize {
    site.truth(PREFIX).entries("ann").len()
}

/// What the server does to a session after its idle timeout.
fn expire(site: &Site, id: SessionId) {
    for server in site.masters() {
        server.command(&["DEL", &format!("{PREFIX}{}", id.encode())]);
    }
}

fn at(id: SessionId, now: Timestamp) -> Record {
    Record::new(id, "test", session_core::Lifetime::default(), now).with_principal("ann".to_owned())
}

async fn sign_in(store: &dyn SessionStore, now: Timestamp) -> SessionId {
    let id = id();
    store.create(&at(id, now).into(), now).await.unwrap();
    id
}

async fn an_hourly_sign_in_leaves_few_entries_beside_those_of_live_sessions(layout: Layout) {
    for site in [Site::one(layout), Site::cluster(layout)] {
        let store = site.store(PREFIX).await;
        let mut live = Vec::new();
        let mut most = 0;
        for hour in 0..14 * 24 {
            let now = NOW + HOUR * hour;
            live.push(sign_in(&store, now).await);
            if live.len() > 2 {
                expire(&site, live.remove(0));
            }
            most = most.max(card(&site));
        }
        assert!(most <= 40, "{}: {most}", site.name());
        // Nobody who lives has lost an entry.
        let now = NOW + HOUR * 14 * 24;
        let entries = site.truth(PREFIX).entries("ann");
        assert!(live.iter().all(|id| entries.contains(id)));
        assert_eq!(
            store
                .delete_all_of("ann", None, Ended::default())
                .await
                .unwrap(),
            2,
            "{now:?}"
        );
    }
}

async fn sessions_that_live_long_hide_no_stale_entries_behind_them(layout: Layout) {
    let site = Site::one(layout);
    let store = site.store(PREFIX).await;
    let mut old = Vec::new();
    for _ in 0..60 {
        old.push(sign_in(&store, NOW).await);
    }
    let mut last = Vec::new();
    for hour in 3..14 * 24 {
        last.push(sign_in(&store, NOW + HOUR * hour).await);
        if last.len() > 2 {
            expire(&site, last.remove(0));
        }
    }
    let entries = site.truth(PREFIX).entries("ann");
    assert!(entries.len() < 60 + 150, "{}", entries.len());
    assert!(old.iter().chain(&last).all(|id| entries.contains(id)));
}

/// Adds members to the index, at these scores.
fn add(server: &RedisServer, members: impl Iterator<Item = (u64, String)>) {
    let members: Vec<_> = members
        .map(|(score, name)| (score.to_string(), name))
        .collect();
    for some in members.chunks(1_000) {
        let mut command = vec!["ZADD", INDEX];
        for (score, name) in some {
            command.extend([&**score, &**name]);
        }
        server.command(&command).integer();
    }
}

async fn all_end_beside_members_of_other_programs_and_sessions_of_others(layout: Layout) {
    for foreign in [1, 499, 500, 501, 1_300] {
        let site = Site::one(layout);
        let server = site.masters()[0];
        let store = site.store(PREFIX).await;
        let mut ids = Vec::new();
        for _ in 0..1_200 {
            let id = id();
            create(&store, of(id, "ann")).await.unwrap();
            ids.push(id);
        }
        let deadline = of(ids[0], "ann").absolute_expiry().as_millis();
        // At the front, among them, and behind them.
        let score = |at: usize| [0, deadline, deadline + 1][at % 3];
        add(
            server,
            (0..foreign).map(|at| (score(at), format!("no id {at}"))),
        );
        let bobs = id();
        create(&store, of(bobs, "bob")).await.unwrap();
        add(server, [(deadline, bobs.encode())].into_iter());

        let listed = store.list_of("ann", NOW).await.unwrap();
        assert_eq!(listed.len(), 1_200, "{foreign}");
        assert_eq!(
            store
                .delete_all_of("ann", Some(ids[7]), Ended::default())
                .await
                .unwrap(),
            1_199,
            "{foreign}"
        );
        let left = store.list_of("ann", NOW).await.unwrap();
        assert_eq!(
            left.iter().map(|listed| listed.id()).collect::<Vec<_>>(),
            [ids[7]]
        );
        assert!(
            store
                .delete_one_of("ann", ids[7], Ended::default())
                .await
                .unwrap()
        );
        assert!(
            store
                .load(&RecordKey::Id(bobs), NOW)
                .await
                .unwrap()
                .is_some()
        );
        assert_eq!(server.command(&["ZCARD", INDEX]).integer(), foreign as i64);
    }
}

async fn a_listing_of_very_many_entries_holds_nobody_up_and_heals(layout: Layout) {
    let site = Site::one(layout);
    let server = site.masters()[0];
    let store = site.store(PREFIX).await;
    let live = sign_in(&store, NOW).await;
    let deadline = of(live, "ann").absolute_expiry().as_millis();
    add(server, (0..50_000).map(|at| (deadline + at, id().encode())));

    let busy = store.clone();
    let listing = tokio::spawn(async move {
        for minutes in [0, 2] {
            let now = NOW + Duration::from_secs(60 * minutes);
            let listed = busy.list_of("ann", now).await.unwrap();
            assert_eq!(
                listed.iter().map(|listed| listed.id()).collect::<Vec<_>>(),
                [live]
            );
        }
    });
    let mut longest = Duration::ZERO;
    while !listing.is_finished() {
        let began = Instant::now();
        store
            .load(&RecordKey::Id(live), NOW)
            .await
            .unwrap()
            .unwrap();
        longest = longest.max(began.elapsed());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    listing.await.unwrap();
    assert!(longest < Duration::from_millis(500), "{longest:?}");
    assert_eq!(server.command(&["ZCARD", INDEX]).integer(), 1);
}

/// No room for anything: whatever asks for memory is refused.
fn fill(site: &Site) {
    for server in site.masters() {
        assert_eq!(
            server.command(&["CONFIG", "SET", "maxmemory", "1"]).text(),
            "OK"
        );
    }
}

async fn sessions_end_on_a_server_that_is_out_of_memory(layout: Layout) {
    for site in [Site::one(layout), Site::cluster(layout)] {
        let store = site.store(PREFIX).await;
        let mut ids = Vec::new();
        for _ in 0..700 {
            ids.push(sign_in(&store, NOW).await);
        }
        let guest = id();
        create(&store, super::steps::anonymous(guest))
            .await
            .unwrap();
        fill(&site);
        let refused = store.create(&at(id(), NOW).into(), NOW).await;
        assert!(refused.is_err(), "{}", site.name());

        let name = site.name();
        store
            .delete(&RecordKey::Id(guest), Ended::default())
            .await
            .unwrap();
        store
            .delete(&RecordKey::Id(ids[0]), Ended::default())
            .await
            .unwrap();
        assert!(
            store
                .delete_one_of("ann", ids[1], Ended::default())
                .await
                .unwrap(),
            "{name}"
        );
        assert_eq!(
            store
                .delete_all_of("ann", Some(ids[2]), Ended::default())
                .await
                .unwrap(),
            697,
            "{name}"
        );
        assert_eq!(
            store
                .delete_all_of("ann", None, Ended::default())
                .await
                .unwrap(),
            1,
            "{name}"
        );
        let truth = site.truth(PREFIX);
        assert!(
            truth.indexes.is_empty() && truth.sessions.is_empty(),
            "{name}"
        );
    }
}

in_both_layouts! {
    an_hourly_sign_in_leaves_few_entries_beside_those_of_live_sessions,
    sessions_that_live_long_hide_no_stale_entries_behind_them,
    all_end_beside_members_of_other_programs_and_sessions_of_others,
    a_listing_of_very_many_entries_holds_nobody_up_and_heals,
    sessions_end_on_a_server_that_is_out_of_memory,
}

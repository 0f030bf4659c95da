//! Reading all that is on the servers, and mending indexes: each damage is found and mended, and
//! nothing that runs at the same time is harmed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use session_core::store::{
    IndexMend, Listed, PrincipalIndex, RecordKey, RecordScan, ScanCursor, SessionStore,
};
use session_core::{Ended, SessionId};
use session_redis::{Layout, RedisStore};
use session_tests::servers::{Engine, RedisServer};

use super::site::{PROBATION, Site, patient};
use super::steps::{LATER, NOW, anonymous, create, id, of, sign_in};

pub(super) const PREFIX: &str = "scan:";
const INDEX: &str = "scan:principal:ann";

/// Sends a command to all masters. Those that do not have its key refuse it.
pub(super) fn on_all(site: &Site, command: &[&str]) {
    for server in site.masters() {
        server.command(command);
    }
}

pub(super) fn key(id: SessionId) -> String {
    format!("{PREFIX}{}", id.encode())
}

pub(super) fn again(cursor: Option<ScanCursor>) -> Option<ScanCursor> {
    cursor.map(|cursor| cursor.to_string().parse().unwrap())
}

pub(super) async fn sessions(store: &dyn RecordScan, most: usize) -> BTreeMap<SessionId, Listed> {
    let (mut all, mut from) = (BTreeMap::new(), None);
    loop {
        let page = store.scan_records(from.as_ref(), most).await.unwrap();
        all.extend(page.sessions.into_iter().map(|it| (it.id(), it)));
        from = again(page.next);
        if from.is_none() {
            return all;
        }
    }
}

pub(super) async fn entries(store: &dyn RecordScan, most: usize) -> BTreeSet<(String, SessionId)> {
    let (mut all, mut from) = (BTreeSet::new(), None);
    loop {
        let page = store.scan_index(from.as_ref(), most).await.unwrap();
        let entries = page.entries.into_iter();
        all.extend(entries.map(|(principal, id)| (principal.to_string(), id)));
        from = again(page.next);
        if from.is_none() {
            return all;
        }
    }
}

async fn each_damage_is_found_and_mended(layout: Layout) {
    for site in [Site::one(layout), Site::cluster(layout)] {
        let store = site.store(PREFIX).await;
        let mut ids = BTreeMap::new();
        for n in 0..240 {
            let id = id();
            let principal = match n % 3 {
                0 => Some("ann".to_owned()),
                1 => Some(format!("user {} *", n % 50)),
                _ => None,
            };
            let record = match &principal {
                Some(principal) => of(id, principal),
                None => anonymous(id),
            };
            create(&store, record).await.unwrap();
            ids.insert(id, principal);
        }
        let other = site.store("scan:other:").await;
        create(&other, of(id(), "ann")).await.unwrap();
        on_all(&site, &["SET", "scan:abcdefghijklmnopqrstu!", "no session"]);
        on_all(&site, &["SET", "scan:principal:no index", "no index"]);

        let all: BTreeSet<_> = ids.keys().copied().collect();
        let indexed = |(id, principal): (&SessionId, &Option<String>)| {
            principal.clone().map(|principal| (principal, *id))
        };
        let right: BTreeSet<_> = ids.iter().filter_map(indexed).collect();
        for most in [1, 7, 1_000_000] {
            let found = sessions(&store, most).await;
            assert_eq!(
                found.keys().copied().collect::<BTreeSet<_>>(),
                all,
                "{most}"
            );
            assert!(found.values().all(|listed| listed.record().is_some()));
            assert_eq!(entries(&store, most).await, right, "{} {most}", site.name());
        }

        let mut theirs = ids
            .iter()
            .filter(|(_, name)| name.as_deref() == Some("ann"));
        let mut next = || *theirs.next().unwrap().0;
        let (lost, damaged, stray) = (next(), next(), id());
        on_all(&site, &["ZREM", INDEX, &lost.encode()]);
        on_all(&site, &["ZADD", INDEX, "4000000000000", &stray.encode()]);
        match layout {
            Layout::Packed => on_all(&site, &["SET", &key(damaged), "5 damaged"]),
            _ => on_all(&site, &["HSET", &key(damaged), "m", "damaged"]),
        }
        let found = sessions(&store, 50).await;
        let unreadable = found.values().filter(|listed| listed.record().is_none());
        assert_eq!(unreadable.map(Listed::id).collect::<Vec<_>>(), [damaged]);
        let named = entries(&store, 50).await;
        let without_session: Vec<_> = named
            .iter()
            .filter(|it| !found.contains_key(&it.1))
            .collect();
        assert_eq!(without_session, [&("ann".to_owned(), stray)]);
        let without_entry: Vec<_> = right.difference(&named).collect();
        assert_eq!(without_entry, [&("ann".to_owned(), lost)]);

        let mend = |id, later| store.mend_index("ann", id, NOW + later);
        let none = Duration::ZERO;
        for (id, later, mended) in [
            (lost, none, IndexMend::EntryAdded),
            (lost, none, IndexMend::Nothing),
            (damaged, none, IndexMend::Nothing),
            (stray, none, IndexMend::EntryWaits),
            (stray, Duration::from_secs(58), IndexMend::EntryWaits),
            (
                stray,
                LATER + Duration::from_secs(1),
                IndexMend::EntryRemoved,
            ),
            (stray, LATER * 2, IndexMend::Nothing),
        ] {
            assert_eq!(mend(id, later).await.unwrap(), mended, "{}", site.name());
        }
        assert_eq!(entries(&store, 50).await, right);
        // It has its deadline again, and no mark.
        let has_deadline = |server: &RedisServer| {
            let score = server.command(&["ZSCORE", INDEX, &lost.encode()]);
            score.text().parse::<f64>().is_ok_and(|score| score > 0.0)
        };
        assert!(site.masters().into_iter().any(has_deadline));
        for id in ids.keys().filter(|id| **id != damaged) {
            let loaded = store.load(&RecordKey::Id(*id), NOW).await.unwrap();
            assert!(loaded.is_some(), "{}", site.name());
        }
        let ended = store.delete_all_of("ann", None, Ended::default()).await;
        assert_eq!(ended.unwrap(), 80, "{}", site.name());
    }
}

/// What the first step of a sign-in has written stays, and what the second one has written is
/// confirmed by nobody else.
async fn a_sign_in_under_way_is_left_alone(layout: Layout) {
    for site in [Site::one(layout), Site::cluster(layout)] {
        let store = site.store(PREFIX).await;
        let coming = id();
        on_all(&site, &["ZADD", INDEX, "4000000000000", &coming.encode()]);
        let mended = store.mend_index("ann", coming, NOW).await.unwrap();
        assert_eq!(mended, IndexMend::EntryWaits);
        create(&store, of(coming, "ann")).await.unwrap();
        let mended = store.mend_index("ann", coming, NOW + LATER * 2).await;
        assert_eq!(mended.unwrap(), IndexMend::Nothing);
        assert!(site.truth(PREFIX).is_indexed(coming, "ann"));

        let unconfirmed = id();
        create(&store, of(unconfirmed, "ann")).await.unwrap();
        on_all(&site, &["ZREM", INDEX, &unconfirmed.encode()]);
        match layout {
            Layout::Packed => on_all(&site, &["SETRANGE", &key(unconfirmed), "0", "1"]),
            _ => on_all(&site, &["HSET", &key(unconfirmed), "w", "1"]),
        }
        let mended = store.mend_index("ann", unconfirmed, NOW).await.unwrap();
        assert_eq!(mended, IndexMend::Nothing);
        assert!(!site.truth(PREFIX).is_indexed(unconfirmed, "ann"));
    }
}

/// Sign-ins, the end of all sessions, and a tool that mends whatever it sees.
async fn mending_beside_all_that_signs_in_and_out_loses_nobody(layout: Layout) {
    for site in [Site::one(layout), Site::cluster(layout)] {
        let store = site.store(PREFIX).await;
        for round in 0..30 {
            let ids: Vec<_> = (0..8).map(|_| id()).collect();
            let sign_ins = ids.iter().map(|id| create(&store, of(*id, "ann")));
            let mends = (0..3)
                .flat_map(|_| &ids)
                .map(|id| store.mend_index("ann", *id, NOW));
            let end = store.delete_all_of("ann", None, Ended::default());
            let (signed_in, mended, ended) =
                futures_util::join!(join_all(sign_ins), join_all(mends), end);
            assert!(mended.iter().all(Result::is_ok), "{mended:?}");
            ended.unwrap();
            let truth = site.truth(PREFIX);
            assert!(truth.lost(PROBATION).is_empty(), "{} {round}", site.name());
            // Each is in the list, or was told that it was ended.
            let listed = store.list_of("ann", NOW).await.unwrap().len();
            let alive = signed_in.iter().filter(|it| it.is_ok()).count();
            assert!(listed <= alive, "{listed} of {alive}");
            store
                .delete_all_of("ann", None, Ended::default())
                .await
                .unwrap();
            assert_eq!(site.truth(PREFIX).of("ann"), BTreeSet::new());
        }
    }
}

/// What a session is asked to do while a tool mends whatever it sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    SignsInAgain,
    GoesToBob,
    IsDeleted,
    Nothing,
}

/// Sessions whose entries are missing, or are those of others, renew, move, end and expire while
/// they are mended. None that is alive ends, or stays out of its index.
async fn mending_beside_renewals_and_ends_hides_nobody(layout: Layout) {
    const ALL: [Does; 4] = [
        Does::SignsInAgain,
        Does::GoesToBob,
        Does::IsDeleted,
        Does::Nothing,
    ];
    for site in [Site::one(layout), Site::cluster(layout)] {
        let store = site.store(PREFIX).await;
        for round in 0..40_usize {
            let ids: Vec<_> = (0..8).map(|_| id()).collect();
            for (n, id) in ids.iter().enumerate() {
                create(&store, of(*id, "ann")).await.unwrap();
                if (n + round) % 3 > 0 {
                    on_all(&site, &["ZREM", INDEX, &id.encode()]);
                }
                let stale = ["ZADD", "scan:principal:bob", "4000000000000", &id.encode()];
                if n % 2 == 0 {
                    on_all(&site, &stale);
                }
            }
            let does = |n: usize| ALL[(n * 7 + round) % ALL.len()];
            let acts = ids.iter().enumerate().map(|(n, &id)| {
                let store = &store;
                async move {
                    for _ in 0..(n * 3 + round) % 5 {
                        tokio::task::yield_now().await;
                    }
                    match does(n) {
                        Does::SignsInAgain => sign_in(store, of(id, "ann")).await.unwrap(),
                        Does::GoesToBob => sign_in(store, of(id, "bob")).await.unwrap(),
                        Does::IsDeleted => {
                            let key = RecordKey::Id(id);
                            store.delete(&key, Ended::default()).await.unwrap();
                            false
                        }
                        Does::Nothing => true,
                    }
                }
            });
            let mends = (0..4).flat_map(|_| &ids).flat_map(|id| {
                let mend = |name| store.mend_index(name, *id, NOW);
                [mend("ann"), mend("bob")]
            });
            let (alive, mended) = futures_util::join!(join_all(acts), join_all(mends));
            assert!(mended.iter().all(Result::is_ok), "{mended:?}");
            for id in &ids {
                for name in ["ann", "bob"] {
                    store.mend_index(name, *id, NOW).await.unwrap();
                }
            }
            let truth = site.truth(PREFIX);
            assert!(truth.lost(PROBATION).is_empty(), "{} {round}", site.name());
            for (n, id) in ids.iter().enumerate() {
                let does = does(n);
                assert_eq!(alive[n], does != Does::IsDeleted, "{does:?}");
                let stored = store.load(&RecordKey::Id(*id), NOW).await.unwrap();
                let owner = stored.as_ref().and_then(|it| it.principal());
                let expected = match does {
                    Does::IsDeleted => None,
                    Does::GoesToBob => Some("bob"),
                    _ => Some("ann"),
                };
                assert_eq!(owner, expected, "{} {round} {does:?}", site.name());
                if let Some(owner) = owner {
                    assert!(
                        truth.is_indexed(*id, owner),
                        "{} {round} {does:?}",
                        site.name()
                    );
                }
            }
            // One that has expired, and is stored still, is nobody's to mend.
            let late = NOW + Duration::from_secs(100 * 24 * 3600);
            on_all(&site, &["ZREM", INDEX, &ids[0].encode()]);
            let mended = store.mend_index("ann", ids[0], late).await.unwrap();
            assert_eq!(mended, IndexMend::Nothing);
            assert!(!site.truth(PREFIX).is_indexed(ids[0], "ann"));
            for id in &ids {
                let key = RecordKey::Id(*id);
                store.delete(&key, Ended::default()).await.unwrap();
            }
            on_all(&site, &["DEL", INDEX]);
            on_all(&site, &["DEL", "scan:principal:bob"]);
        }
    }
}

/// After a restart a cursor means nothing to the server, and the scan returns all the same.
async fn a_scan_gets_over_a_restart(layout: Layout) {
    let server = RedisServer::builder(Engine::Redis7)
        .config("appendonly yes")
        .config("appendfsync always")
        .start();
    let store: RedisStore = patient(RedisStore::builder(server.url()), PREFIX, layout).await;
    let mut ids = BTreeSet::new();
    for n in 0..500 {
        let id = id();
        create(&store, of(id, &format!("user {n}"))).await.unwrap();
        ids.insert(id);
    }
    for _ in 0..3 {
        let (mut found, mut from) = (BTreeSet::new(), None);
        let mut pages = 0;
        loop {
            let page = store.scan_records(from.as_ref(), 50).await.unwrap();
            found.extend(page.sessions.iter().map(Listed::id));
            from = again(page.next);
            pages += 1;
            if pages == 5 {
                server.restart();
            }
            if from.is_none() {
                break;
            }
        }
        assert_eq!(found, ids);
    }
    let truth = entries(&store, 50).await;
    assert_eq!(truth.len(), 500);
}

in_both_layouts![
    each_damage_is_found_and_mended,
    a_sign_in_under_way_is_left_alone,
    mending_beside_all_that_signs_in_and_out_loses_nobody,
    mending_beside_renewals_and_ends_hides_nobody,
    a_scan_gets_over_a_restart,
];

//! Interleavings that chance finds rarely: one process is held before one of its commands while
//! another does all of its own.

use std::time::Duration;

use session_core::store::{PrincipalIndex, RecordKey, SessionStore, StoreError};
use session_core::{Ended, SessionId};
use session_redis::{Layout, RedisStore};
use session_tests::Proxy;
use session_tests::servers::RedisServer;

use super::site::{PROBATION, Site, patient};
use super::steps::{
    LATER, NOW, anonymous, create, heal, id, leave_an_entry, of, of_later, replace, sign_in, touch,
};

const PREFIX: &str = "held:";

/// The text of a script, of its parts.
macro_rules! script {
    ($($part:literal),+) => {
        concat!($(include_str!(concat!("../../../../session-redis/src/lua/", $part, ".lua"))),+)
    };
}

/// The commands and scripts that an operation is made of.
pub(crate) struct Words(Vec<(&'static str, Vec<u8>)>);

impl Words {
    /// Has the server know all scripts, so that calls name them by their hash.
    pub(crate) fn of(server: &RedisServer, layout: Layout) -> Self {
        let scripts = [
            ("create", script!("look", "create")),
            ("delete", script!("look", "delete")),
            ("owner", script!("look", "owner")),
            ("settle", script!("look", "settle")),
            match layout {
                Layout::Packed => ("update", script!("same", "look", "replace")),
                _ => ("update", script!("plain", "update")),
            },
            ("index", script!("index")),
            ("confirm", script!("confirm")),
            ("heal", script!("heal")),
        ];
        let scripts = scripts.map(|(name, code)| {
            let hash = server.command(&["SCRIPT", "LOAD", code]).text();
            (name, hash.into_bytes())
        });
        let commands = ["ZRANGE", "ZADD", "ZREM"];
        let commands = commands.map(|name| (name, format!("\r\n{name}\r\n").into_bytes()));
        Self(scripts.into_iter().chain(commands).collect())
    }

    pub(crate) fn get(&self, name: &str) -> &[u8] {
        let found = self.0.iter().find(|(other, _)| *other == name);
        &found
            .unwrap_or_else(|| panic!("no step is called {name}"))
            .1
    }
}

/// A process that can be held.
struct Held {
    proxy: Proxy,
    store: RedisStore,
}

impl Held {
    async fn new(server: &RedisServer, layout: Layout) -> Self {
        let proxy = Proxy::start(server.address()).await;
        let store = patient(RedisStore::builder(proxy.url()), PREFIX, layout).await;
        Self { proxy, store }
    }

    /// Does something up to this command, and returns when it is held there; the rest comes with
    /// [`Proxy::accept`].
    async fn begin<T: Send + 'static>(
        &self,
        step: &[u8],
        act: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        // What was cut off is sent again as soon as there is a connection, and there is none until
        // then.
        self.proxy.cut_request(step);
        let act = tokio::spawn(act);
        let begin = tokio::time::Instant::now();
        while !self.proxy.has_cut_all() {
            assert!(
                begin.elapsed() < Duration::from_secs(20),
                "the step was never taken"
            );
            assert!(
                !act.is_finished(),
                "it is over and the step was never taken"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.proxy.refuse().await;
        act
    }
}

/// A server, a store of a process that nobody holds, and what steps look like.
async fn all(layout: Layout) -> (Site, RedisStore, Words) {
    let site = Site::one(layout);
    let store = site.store(PREFIX).await;
    let words = Words::of(site.masters()[0], layout);
    (site, store, words)
}

/// A session that is anonymous and has an entry all the same, as after a sign-in that met another
/// writer.
async fn half_signed_in(store: &RedisStore) -> SessionId {
    let id = id();
    create(store, anonymous(id)).await.unwrap();
    leave_an_entry(store, id, "ann").await;
    id
}

fn assert_not_lost(site: &Site, id: SessionId) {
    let truth = site.truth(PREFIX);
    assert!(
        truth.lost(PROBATION).is_empty(),
        "lives outside of the index: {truth:?}"
    );
    assert!(
        truth.sessions.contains_key(&id),
        "a session that nobody ended is gone"
    );
}

async fn the_end_of_all_leaves_the_entry_of_who_signs_in_meanwhile(layout: Layout) {
    let (site, store, words) = all(layout).await;
    let id = half_signed_in(&store).await;
    let held = Held::new(site.masters()[0], layout).await;
    let ending = held.store.clone();
    // All is marked and deleted; now the entries are about to go.
    let ending = held.begin(words.get("heal"), async move {
        ending.delete_all_of("ann", None, Ended::default()).await
    });
    let ending = ending.await;
    assert!(sign_in(&store, of(id, "ann")).await.unwrap());
    held.proxy.accept().await;
    assert_eq!(ending.await.unwrap().unwrap(), 0);
    assert_not_lost(&site, id);
    assert_eq!(
        store
            .delete_all_of("ann", None, Ended::default())
            .await
            .unwrap(),
        1
    );
}

async fn who_signs_in_while_all_is_ended_is_told_that_it_was_in_vain(layout: Layout) {
    let (site, store, words) = all(layout).await;
    let id = id();
    create(&store, anonymous(id)).await.unwrap();
    let held = Held::new(site.masters()[0], layout).await;
    let signing = held.store.clone();
    let signing = held.begin(words.get("confirm"), async move {
        sign_in(&signing, of(id, "ann")).await
    });
    let signing = signing.await;
    let ended = store
        .delete_all_of("ann", None, Ended::default())
        .await
        .unwrap();
    held.proxy.accept().await;
    let signed_in = signing.await.unwrap().unwrap();
    assert_eq!((signed_in, ended), (false, 1));
    assert!(site.truth(PREFIX).sessions.is_empty());
}

async fn who_signs_in_while_that_session_is_ended_is_told_that_it_was_in_vain(layout: Layout) {
    let (site, store, words) = all(layout).await;
    for step in ["confirm", "settle"] {
        let held = Held::new(site.masters()[0], layout).await;
        let (id, creating) = (id(), held.store.clone());
        let act = async move { create(&creating, of(id, "ann")).await };
        let creating = held.begin(words.get(step), act).await;
        assert!(
            store
                .delete_one_of("ann", id, Ended::default())
                .await
                .unwrap(),
            "{step}"
        );
        held.proxy.accept().await;
        let created = creating.await.unwrap();
        assert!(
            matches!(created, Err(StoreError::Unavailable(_))),
            "{step}: {created:?}"
        );
        let truth = site.truth(PREFIX);
        assert!(
            truth.sessions.is_empty() && truth.indexes.is_empty(),
            "{step}: {truth:?}"
        );
    }
}

async fn the_end_of_a_session_that_has_moved_leaves_it_and_its_entry(layout: Layout) {
    let (site, store, words) = all(layout).await;
    let id = id();
    create(&store, of(id, "ann")).await.unwrap();
    let held = Held::new(site.masters()[0], layout).await;
    let ending = held.store.clone();
    let act = async move { ending.delete_one_of("ann", id, Ended::default()).await };
    let ending = held.begin(words.get("delete"), act).await;
    assert!(sign_in(&store, of(id, "bob")).await.unwrap());
    held.proxy.accept().await;
    assert!(!ending.await.unwrap().unwrap());
    assert_not_lost(&site, id);
    assert_eq!(heal(&store, "bob").await, [id]);
    assert!(
        store
            .delete_one_of("bob", id, Ended::default())
            .await
            .unwrap()
    );
    assert!(site.truth(PREFIX).indexes.is_empty());
}

async fn who_looks_with_another_clock_leaves_the_entry_of_who_signs_in_meanwhile(layout: Layout) {
    let (site, store, words) = all(layout).await;
    let id = half_signed_in(&store).await;
    // Both have looked for the session, and are about to say that it is missing.
    let [slow, ahead] = [
        Held::new(site.masters()[0], layout).await,
        Held::new(site.masters()[0], layout).await,
    ];
    let mut looks = Vec::new();
    for (held, now) in [(&slow, NOW), (&ahead, NOW + LATER)] {
        let list = held.store.clone();
        let look = held.begin(
            words.get("heal"),
            async move { list.list_of("ann", now).await },
        );
        looks.push(look.await);
    }
    assert!(sign_in(&store, of(id, "ann")).await.unwrap());
    for (held, look) in [&slow, &ahead].into_iter().zip(looks) {
        held.proxy.accept().await;
        look.await.unwrap().unwrap();
    }
    assert_not_lost(&site, id);
    assert_eq!(heal(&store, "ann").await, [id]);
    assert_not_lost(&site, id);
}

async fn a_session_that_is_looked_for_before_it_is_written_stays(layout: Layout) {
    let (site, store, words) = all(layout).await;
    let held = Held::new(site.masters()[0], layout).await;
    let (id, creating) = (id(), held.store.clone());
    // Indexed, written, and not confirmed; then as if it had not been written yet.
    let creating = held.begin(words.get("confirm"), async move {
        create(&creating, of(id, "ann")).await
    });
    let creating = creating.await;
    let key = format!("{PREFIX}{}", id.encode());
    let server = site.masters()[0];
    let kept = server.command(&["RENAME", &key, "aside"]).text();
    assert_eq!(kept, "OK");
    assert!(store.list_of("ann", NOW).await.unwrap().is_empty());
    assert_eq!(server.command(&["RENAME", "aside", &key]).text(), "OK");
    held.proxy.accept().await;
    creating.await.unwrap().unwrap();
    assert_not_lost(&site, id);
    let scores = &site.truth(PREFIX).indexes["ann"];
    assert_eq!(
        scores[&id],
        of(id, "ann").absolute_expiry().as_millis() as f64,
        "no mark is left"
    );
}

async fn a_session_that_comes_back_to_its_principal_keeps_its_entry(layout: Layout) {
    let (site, store, words) = all(layout).await;
    for step in ["ZADD", "owner", "heal"] {
        let id = id();
        create(&store, of(id, "ann")).await.unwrap();
        let held = Held::new(site.masters()[0], layout).await;
        let moving = held.store.clone();
        let act = async move { sign_in(&moving, of(id, "bob")).await };
        let moving = held.begin(words.get(step), act).await;
        assert!(sign_in(&store, of(id, "ann")).await.unwrap());
        // Meanwhile somebody looks, whose clock is ahead.
        for principal in ["ann", "bob"] {
            store.list_of(principal, NOW + LATER).await.unwrap();
        }
        held.proxy.accept().await;
        assert!(moving.await.unwrap().unwrap());
        assert_not_lost(&site, id);
        assert_eq!(heal(&store, "ann").await, [id], "{step}");
        assert_eq!(heal(&store, "bob").await, [], "{step}");
        assert!(site.truth(PREFIX).entries("bob").is_empty(), "{step}");
        store
            .delete_all_of("ann", None, Ended::default())
            .await
            .unwrap();
    }
}

async fn a_session_that_moves_survives_the_end_of_its_former_principal_only(layout: Layout) {
    let (site, store, words) = all(layout).await;
    for step in ["delete", "heal"] {
        let id = id();
        create(&store, of(id, "ann")).await.unwrap();
        let held = Held::new(site.masters()[0], layout).await;
        let ending = held.store.clone();
        let ending = held.begin(words.get(step), async move {
            ending.delete_all_of("ann", None, Ended::default()).await
        });
        let ending = ending.await;
        let moved = sign_in(&store, of(id, "bob")).await.unwrap();
        assert_eq!(moved, step == "delete", "{step}");
        held.proxy.accept().await;
        assert_eq!(ending.await.unwrap().unwrap(), u64::from(!moved), "{step}");
        let truth = site.truth(PREFIX);
        assert_eq!(
            (truth.of("bob").len(), truth.of("ann").len()),
            (usize::from(moved), 0),
            "{step}"
        );
        assert!(truth.lost(PROBATION).is_empty(), "{truth:?}");
        store
            .delete(&RecordKey::Id(id), Ended::default())
            .await
            .unwrap();
    }
}

async fn what_an_interrupted_end_of_all_has_marked_is_healed(layout: Layout) {
    let (site, store, words) = all(layout).await;
    let ids = [id(), id()];
    for id in ids {
        create(&store, of(id, "ann")).await.unwrap();
    }
    let held = Held::new(site.masters()[0], layout).await;
    let ending = held.store.clone();
    let ending = held.begin(words.get("delete"), async move {
        ending.delete_all_of("ann", None, Ended::default()).await
    });
    ending.await.abort();
    // Nothing was deleted, or one of them; the marks stay.
    store
        .delete(&RecordKey::Id(ids[0]), Ended::default())
        .await
        .unwrap();
    let key = format!("{PREFIX}{}", ids[1].encode());
    site.masters()[0].command(&["DEL", &key]);
    assert!(!site.truth(PREFIX).entries("ann").is_empty());
    assert!(heal(&store, "ann").await.is_empty());
    assert!(site.truth(PREFIX).entries("ann").is_empty());
}

async fn who_signs_in_again_after_an_interrupted_end_of_all_stays_in(layout: Layout) {
    let (site, store, words) = all(layout).await;
    let id = id();
    create(&store, of(id, "ann")).await.unwrap();
    let held = Held::new(site.masters()[0], layout).await;
    let ending = held.store.clone();
    let ending = held.begin(words.get("delete"), async move {
        ending.delete_all_of("ann", None, Ended::default()).await
    });
    ending.await.abort();
    assert!(sign_in(&store, of_later(id, "ann", LATER)).await.unwrap());
    assert_not_lost(&site, id);
    assert_eq!(heal(&store, "ann").await, [id]);
}

async fn who_cannot_undo_a_sign_in_does_not_say_that_nothing_was_written(layout: Layout) {
    let (site, store, words) = all(layout).await;
    let (id, server) = (id(), site.masters()[0]);
    create(&store, anonymous(id)).await.unwrap();
    let held = Held::new(server, layout).await;
    let signing = held.store.clone();
    let act = async move { sign_in(&signing, of(id, "ann")).await };
    let signing = held.begin(words.get("confirm"), act).await;
    // As if all had been ended between the entry and the session; and then the server refuses to
    // end this one.
    server.command(&["DEL", &format!("{PREFIX}principal:ann")]);
    assert_eq!(
        server
            .command(&["ACL", "SETUSER", "default", "-unlink"])
            .text(),
        "OK"
    );
    held.proxy.accept().await;
    let outcome = signing.await.unwrap();
    assert!(
        matches!(outcome, Err(StoreError::OutcomeUnknown(_))),
        "{outcome:?}"
    );
    // It was written, and ends by itself.
    let truth = site.truth(PREFIX);
    let stored = &truth.sessions[&id];
    assert!(
        stored.principal.is_some() && (1..=PROBATION).contains(&stored.ttl),
        "{truth:?}"
    );
}

async fn no_other_writer_ends_a_probation(layout: Layout) {
    let (site, store, words) = all(layout).await;
    let id = id();
    create(&store, anonymous(id)).await.unwrap();
    let held = Held::new(site.masters()[0], layout).await;
    let signing = held.store.clone();
    let signing = held.begin(words.get("confirm"), async move {
        sign_in(&signing, of(id, "ann")).await
    });
    let signing = signing.await;
    // Written, and its writer will never look at the index again. Others touch it, and renew it.
    let key = RecordKey::Id(id);
    let stored = store.load(&key, NOW).await.unwrap().unwrap();
    let seen = NOW + Duration::from_secs(90);
    touch(&store, id, seen).await.unwrap();
    replace(&store, of(id, "ann"), stored.version() + 1)
        .await
        .unwrap();
    let ttl = site.masters()[0].command(&["PTTL", &format!("{PREFIX}{}", id.encode())]);
    let most = PROBATION;
    assert!((1..=most).contains(&ttl.integer()), "{ttl}");
    // But if it looks, the session lives as long as it should.
    held.proxy.accept().await;
    assert!(signing.await.unwrap().unwrap());
    let ttl = site.masters()[0].command(&["PTTL", &format!("{PREFIX}{}", id.encode())]);
    assert!(ttl.integer() > 2 * 3_600_000 - 60_000, "{ttl}");
}

async fn who_gives_a_principal_up_leaves_the_entry_of_who_signs_in_meanwhile(layout: Layout) {
    let (site, store, words) = all(layout).await;
    let id = id();
    create(&store, of(id, "ann")).await.unwrap();
    let held = Held::new(site.masters()[0], layout).await;
    let leaving = held.store.clone();
    // The session is nobody's; now the entry is about to go.
    let leaving = held.begin(words.get("ZADD"), async move {
        replace(&leaving, anonymous(id), 1).await.map(drop)
    });
    let leaving = leaving.await;
    assert!(sign_in(&store, of(id, "ann")).await.unwrap());
    held.proxy.accept().await;
    leaving.await.unwrap().unwrap();
    assert_not_lost(&site, id);
    assert_eq!(
        store
            .delete_all_of("ann", None, Ended::default())
            .await
            .unwrap(),
        1
    );
}

in_both_layouts! {
    the_end_of_all_leaves_the_entry_of_who_signs_in_meanwhile,
    who_signs_in_while_all_is_ended_is_told_that_it_was_in_vain,
    who_signs_in_while_that_session_is_ended_is_told_that_it_was_in_vain,
    the_end_of_a_session_that_has_moved_leaves_it_and_its_entry,
    who_looks_with_another_clock_leaves_the_entry_of_who_signs_in_meanwhile,
    a_session_that_is_looked_for_before_it_is_written_stays,
    a_session_that_comes_back_to_its_principal_keeps_its_entry,
    a_session_that_moves_survives_the_end_of_its_former_principal_only,
    what_an_interrupted_end_of_all_has_marked_is_healed,
    who_signs_in_again_after_an_interrupted_end_of_all_stays_in,
    who_cannot_undo_a_sign_in_does_not_say_that_nothing_was_written,
    no_other_writer_ends_a_probation,
    who_gives_a_principal_up_leaves_the_entry_of_who_signs_in_meanwhile,
}

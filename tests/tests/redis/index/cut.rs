//! What dies half-way: connections that are cut at each step, and processes that end at any moment.

use std::collections::BTreeSet;
use std::time::Duration;

use session_core::store::{PrincipalIndex, RecordKey, SessionStore, StoreError};
use session_core::{Ended, SessionId};
use session_redis::{Layout, RedisStore};
use session_tests::{Proxy, Rng};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::Instant;

use super::held::Words;
use super::site::{PROBATION, Site};
use super::steps::{anonymous, create, heal, id, of, of_later, sign_in};

/// What is interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Create,
    SignIn,
    SignInAgain,
    Move,
    Delete,
    DeleteOne,
    DeleteAll,
}

impl Act {
    /// The commands that it is made of. The last of two updates is the one that comes after the
    /// entry.
    const fn steps(self) -> &'static [&'static str] {
        match self {
            Self::Create => &["index", "create", "confirm", "settle"],
            Self::SignIn | Self::SignInAgain => &["update", "index", "last", "confirm", "settle"],
            Self::Move => &[
                "update", "index", "last", "confirm", "settle", "ZADD", "owner", "heal",
            ],
            Self::Delete | Self::DeleteOne => &["delete", "ZREM"],
            Self::DeleteAll => &["ZRANGE", "ZADD", "delete", "heal"],
        }
    }

    async fn run(self, store: &RedisStore, id: SessionId) -> Result<bool, StoreError> {
        match self {
            Self::Create => create(store, of(id, "ann")).await.map(|()| true),
            Self::SignIn => sign_in(store, of(id, "ann")).await,
            Self::SignInAgain => sign_in(store, of_later(id, "ann", Duration::from_secs(60))).await,
            Self::Move => sign_in(store, of(id, "bob")).await,
            Self::Delete => store
                .delete(&RecordKey::Id(id), Ended::default())
                .await
                .map(|()| true),
            // What a lost answer was about, the next one does not know of.
            Self::DeleteOne => store
                .delete_one_of("ann", id, Ended::default())
                .await
                .map(|_| true),
            Self::DeleteAll => store
                .delete_all_of("ann", None, Ended::default())
                .await
                .map(|_| true),
        }
    }

    /// Who it is signed in as afterwards, if that is known.
    const fn owner(self) -> Option<&'static str> {
        match self {
            Self::Create | Self::SignIn | Self::SignInAgain => Some("ann"),
            Self::Move => Some("bob"),
            Self::Delete | Self::DeleteOne | Self::DeleteAll => None,
        }
    }

    async fn prepare(self, store: &RedisStore) -> SessionId {
        let id = id();
        match self {
            Self::Create => {}
            Self::SignIn => create(store, anonymous(id)).await.unwrap(),
            _ => create(store, of(id, "ann")).await.unwrap(),
        }
        id
    }
}

const ACTS: [Act; 7] = [
    Act::Create,
    Act::SignIn,
    Act::SignInAgain,
    Act::Move,
    Act::Delete,
    Act::DeleteOne,
    Act::DeleteAll,
];

/// What is cut off, and whether there are connections afterwards.
#[derive(Clone, Copy, Debug)]
struct Cut {
    reply: bool,
    for_good: bool,
}

const DEADLINE: Duration = Duration::from_millis(600);
/// Twice the deadline, and 10 s.
const SHORT: i64 = 11_200;

/// A store by way of the proxy, which does not wait long.
async fn hasty(proxy: &Proxy, prefix: &str, layout: Layout) -> RedisStore {
    let store = RedisStore::builder(proxy.url())
        .prefix(prefix)
        .layout(layout)
        .call_timeout(DEADLINE);
    // The answer to the first call may take long on a busy machine; what comes after is about what
    // is cut.
    let store = store.connect_timeout(DEADLINE).lazy().unwrap();
    let begin = Instant::now();
    while store
        .load(&RecordKey::Id(id()), super::steps::NOW)
        .await
        .is_err()
    {
        assert!(begin.elapsed() < Duration::from_secs(20), "cannot connect");
    }
    store
}

/// One operation that is interrupted at one step, under a prefix of its own.
async fn interrupt(
    site: &Site,
    words: &Words,
    direct: RedisStore,
    prefix: &str,
    act: Act,
    step: &str,
    cut: Cut,
) {
    let case = format!("{act:?} at {step}, {cut:?}");
    let session = act.prepare(&direct).await;
    let before = site.truth(prefix);
    let proxy = Proxy::start(site.masters()[0].address()).await;
    let store = hasty(&proxy, prefix, site.layout).await;
    let bytes = match step {
        "last" => format!("\r\n{SHORT}\r\n").into_bytes(),
        name => words.get(name).to_vec(),
    };
    match cut.reply {
        true => proxy.cut_reply_to(&bytes),
        false => proxy.cut_request(&bytes),
    }
    let running = store.clone();
    let running = tokio::spawn(async move { act.run(&running, session).await });
    while !proxy.has_cut_all() && !running.is_finished() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    if cut.for_good {
        proxy.refuse().await;
    }
    let outcome = running.await.unwrap();
    assert!(
        proxy.has_cut_all(),
        "{case}: this step was not taken: {outcome:?}"
    );

    let truth = site.truth(prefix);
    let stored = truth.sessions.get(&session);
    let told = format!("{case}: {outcome:?}, {truth:?}");
    assert!(
        truth.lost(SHORT).is_empty(),
        "lives outside of the index: {told}"
    );
    match (&outcome, act.owner()) {
        (Ok(true), Some(owner)) => {
            let stored = stored.unwrap_or_else(|| panic!("gone: {told}"));
            assert_eq!(stored.principal.as_deref(), Some(owner), "{told}");
            assert!(
                stored.ttl > SHORT && truth.is_indexed(session, owner),
                "{told}"
            );
        }
        (Ok(_), _) => assert_eq!(stored, None, "{told}"),
        (Err(StoreError::Unavailable(_)), Some(_)) => {
            // Nothing was written, it says.
            let was = before
                .sessions
                .get(&session)
                .map(|was| was.principal.clone());
            assert_eq!(stored.map(|stored| stored.principal.clone()), was, "{told}");
        }
        (Err(StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_)), _) => {}
        (Err(_), _) => panic!("another error: {told}"),
    }
    check_healed(site, &direct, prefix, &case).await;
}

/// Whoever looks next leaves no entry without a session.
async fn check_healed(site: &Site, store: &RedisStore, prefix: &str, case: &str) {
    for principal in ["ann", "bob"] {
        let listed = heal(store, principal).await;
        let truth = site.truth(prefix);
        let entries: Vec<_> = truth.entries(principal).into_iter().collect();
        assert_eq!(
            entries.len(),
            listed.len(),
            "{case}, {principal}: {truth:?}"
        );
        assert!(
            entries.iter().all(|id| listed.contains(id)),
            "{case}, {principal}: {truth:?}"
        );
    }
    for principal in ["ann", "bob"] {
        store
            .delete_all_of(principal, None, Ended::default())
            .await
            .unwrap();
    }
    let left = site.truth(prefix);
    assert!(left.indexes.is_empty(), "{case}: {left:?}");
    // What it leaves was on probation and outside of the index, or never signed in.
    let stays = |ttl: i64| !(0..=PROBATION).contains(&ttl);
    let signed_in = left
        .sessions
        .values()
        .filter(|stored| stored.principal.is_some());
    assert!(
        signed_in.clone().all(|stored| !stays(stored.ttl)),
        "{case}: {left:?}"
    );
}

async fn a_connection_that_is_cut_at_any_step_leaves_no_live_session_outside_of_its_index(
    layout: Layout,
) {
    let site = std::sync::Arc::new(Site::one(layout));
    let words = std::sync::Arc::new(Words::of(site.masters()[0], layout));
    let mut cases = Vec::new();
    for act in ACTS {
        for step in act.steps() {
            for (reply, for_good) in [(false, false), (false, true), (true, false), (true, true)] {
                cases.push((act, *step, Cut { reply, for_good }));
            }
        }
    }
    let count = cases.len();
    let mut tasks = JoinSet::new();
    for (number, (act, step, cut)) in cases.into_iter().enumerate() {
        if tasks.len() >= 8 {
            tasks.join_next().await.unwrap().unwrap();
        }
        let (site, words) = (site.clone(), words.clone());
        tasks.spawn(async move {
            let prefix = format!("cut{number}:");
            let direct = site.store(&prefix).await;
            interrupt(&site, &words, direct, &prefix, act, step, cut).await;
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    println!("{count} cuts");
}

async fn the_steps_that_are_cut_are_all_there_are(layout: Layout) {
    let site = Site::one(layout);
    let server = site.masters()[0];
    Words::of(server, layout);
    for act in ACTS {
        let direct = site.store("all:").await;
        let session = act.prepare(&direct).await;
        let proxy = Proxy::start(site.masters()[0].address()).await;
        let store = hasty(&proxy, "all:", layout).await;
        proxy.forget();
        // To sign in one first looks.
        let looks = usize::from(matches!(act, Act::SignIn | Act::SignInAgain | Act::Move));
        assert!(act.run(&store, session).await.unwrap());
        assert_eq!(proxy.passed(b""), act.steps().len() + looks, "{act:?}");
        site.empty();
    }
}

/// What a process does with one principal until it dies.
async fn live(store: RedisStore, rng: Rng, sessions: Vec<SessionId>) {
    let mut tasks = JoinSet::new();
    for _ in 0..12 {
        let (store, session) = (store.clone(), sessions[rng.below(sessions.len())]);
        let (principal, what) = (["ann", "bob"][rng.below(2)], rng.below(9));
        tasks.spawn(async move {
            let _ = match what {
                0 | 1 => create(&store, of(id(), principal)).await.map(|()| true),
                2..=5 => sign_in(&store, of(session, principal)).await,
                6 => store
                    .delete_all_of(principal, None, Ended::default())
                    .await
                    .map(|_| true),
                7 => {
                    store
                        .delete_one_of(principal, session, Ended::default())
                        .await
                }
                _ => store
                    .list_of(principal, super::steps::NOW)
                    .await
                    .map(|_| true),
            };
        });
    }
    while tasks.join_next().await.is_some() {}
}

/// A process of its own with a runtime that is dropped, wherever its tasks are.
fn live_and_die(rng: &Rng, store: impl Future<Output = RedisStore>, sessions: Vec<SessionId>) {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let after = Duration::from_micros(rng.below(6_000) as u64);
    let life = Rng::new(rng.next());
    runtime.block_on(async {
        let store = store.await;
        let _ = tokio::time::timeout(after, live(store, life, sessions)).await;
    });
    runtime.shutdown_background();
}

/// Processes die beside one that lives, and operations of that one are dropped at any moment.
fn die(site: &Site, deaths: usize, seed: u64) {
    const PREFIX: &str = "die:";
    let rng = Rng::new(seed);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = runtime.block_on(site.store(PREFIX));
    let mut outside = BTreeSet::new();
    for death in 0..deaths {
        let sessions: Vec<_> = (0..4).map(|_| id()).collect();
        runtime.block_on(async {
            for id in &sessions {
                create(&store, anonymous(*id)).await.unwrap();
            }
        });
        let survivor = {
            let (store, sessions, life) = (store.clone(), sessions.clone(), Rng::new(rng.next()));
            let after = Duration::from_micros(rng.below(4_000) as u64);
            runtime.spawn(
                async move { tokio::time::timeout(after, live(store, life, sessions)).await },
            )
        };
        std::thread::scope(|scope| {
            let (rng, sessions) = (Rng::new(rng.next()), sessions.clone());
            scope.spawn(move || live_and_die(&rng, site.store(PREFIX), sessions));
        });
        let _ = runtime.block_on(survivor).unwrap();
        // What was dropped is carried on behind the scenes, so it may take a moment.
        let begin = Instant::now();
        loop {
            let truth = site.truth(PREFIX);
            let lost = truth.lost(PROBATION);
            if lost.is_empty() {
                let soon = truth
                    .sessions
                    .iter()
                    .filter(|(_, stored)| stored.ttl <= PROBATION);
                outside.extend(soon.map(|(id, _)| *id));
                break;
            }
            assert!(
                begin.elapsed() < Duration::from_secs(5),
                "death {death}: {lost:?} of {truth:?}"
            );
        }
        if death % 8 == 7 {
            runtime.block_on(async {
                for principal in ["ann", "bob"] {
                    heal(&store, principal).await;
                }
            });
            site.empty();
        }
    }
    println!(
        "{}: {deaths} deaths left {} sessions on probation",
        site.name(),
        outside.len()
    );
    assert!(!outside.is_empty(), "nothing died half-way");
}

async fn a_process_that_dies_at_any_moment_leaves_no_live_session_outside_of_its_index(
    layout: Layout,
) {
    spawn_blocking(move || die(&Site::one(layout), 400, 1))
        .await
        .unwrap();
}

async fn a_process_that_dies_in_a_cluster_leaves_no_live_session_outside_of_its_index(
    layout: Layout,
) {
    spawn_blocking(move || die(&Site::cluster(layout), 150, 2))
        .await
        .unwrap();
}

in_both_layouts! {
    a_connection_that_is_cut_at_any_step_leaves_no_live_session_outside_of_its_index,
    the_steps_that_are_cut_are_all_there_are,
    a_process_that_dies_at_any_moment_leaves_no_live_session_outside_of_its_index,
    a_process_that_dies_in_a_cluster_leaves_no_live_session_outside_of_its_index,
}

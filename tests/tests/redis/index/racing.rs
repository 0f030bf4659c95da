//! Everything at once, again and again, and what must be true afterwards.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use session_core::store::{PrincipalIndex, RecordKey, SessionStore, StoreError};
use session_core::{Ended, SessionId};
use session_redis::{Layout, RedisStore};
use session_tests::Rng;
use tokio::task::JoinSet;

use super::site::{PROBATION, Site, Stored, Truth};
use super::steps::{
    LATER, NOW, anonymous, create, heal, id, insert, leave_an_entry, of, of_later, sign_in,
};

/// How many principals have their races at once.
const AT_ONCE: usize = 48;
const PREFIX: &str = "race:";

/// One thing that is done to the sessions of one principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Create,
    SignIn,
    Move,
    Return,
    Insert,
    Delete,
    DeleteOne,
    DeleteAll { except: bool },
    List { later: bool },
}

/// What was done, and when: `begin` and `end` are places in the order of all that happened.
#[derive(Clone, Copy, Debug)]
struct Done {
    act: Act,
    id: SessionId,
    begin: u64,
    end: u64,
    /// Whether the store said that the session has signed in, or moved.
    signed: bool,
    /// Whether it said that it has ended this one.
    ended: bool,
}

/// The sessions of one principal, and what is done to them.
struct Race {
    principal: String,
    other: String,
    /// Signed in before the race, and anonymous before it.
    settled: [SessionId; 2],
    anonymous: [SessionId; 2],
    acts: Vec<(Act, SessionId)>,
    later: bool,
    done: Mutex<Vec<Done>>,
    /// What was found in the end, by principal.
    listed: Mutex<Vec<(String, Vec<SessionId>)>>,
}

impl Race {
    /// `later` is for whether clocks may be far ahead.
    fn draw(rng: &Rng, name: usize, later: bool) -> Self {
        let [settled, anonymous] = [0; 2].map(|_| [id(), id()]);
        let moves = rng.below(3) == 0;
        let mut acts = Vec::new();
        for _ in 0..6 + rng.below(8) {
            let any = [settled, anonymous][rng.below(2)][rng.below(2)];
            acts.push(match rng.below(17) {
                0..=2 => (Act::Create, id()),
                // Often the same session twice at once.
                3..=6 => (Act::SignIn, anonymous[rng.below(2)]),
                7 => (Act::SignIn, settled[rng.below(2)]),
                8 if moves => (Act::Move, any),
                9 if moves => (Act::Return, any),
                8..=10 => (Act::Insert, anonymous[rng.below(2)]),
                11 => (Act::Delete, any),
                12 | 13 => (
                    Act::DeleteAll {
                        except: rng.below(3) == 0,
                    },
                    settled[0],
                ),
                14 => (Act::DeleteOne, any),
                _ => (
                    Act::List {
                        later: later && rng.below(2) == 0,
                    },
                    any,
                ),
            });
        }
        Self {
            principal: format!("user-{name}"),
            other: format!("other-{name}"),
            settled,
            anonymous,
            acts,
            later,
            done: Mutex::default(),
            listed: Mutex::default(),
        }
    }

    /// How many pairs there are of something that signs in and something that ends or looks.
    fn pairs(&self) -> usize {
        let count =
            |wanted: fn(&Act) -> bool| self.acts.iter().filter(|(act, _)| wanted(act)).count();
        let signs = count(|act| matches!(act, Act::Create | Act::SignIn | Act::Return));
        let ends = count(|act| {
            matches!(
                act,
                Act::Delete | Act::DeleteOne | Act::DeleteAll { .. } | Act::List { .. }
            )
        });
        signs * ends
    }

    async fn prepare(&self, store: &RedisStore, entries: bool) {
        for id in self.settled {
            create(store, of(id, &self.principal)).await.unwrap();
        }
        for id in self.anonymous {
            create(store, anonymous(id)).await.unwrap();
            if entries {
                leave_an_entry(store, id, &self.principal).await;
            }
        }
    }

    async fn act(
        &self,
        store: &RedisStore,
        act: Act,
        id: SessionId,
        after: Duration,
        order: &AtomicU64,
    ) {
        tokio::time::sleep(after).await;
        let begin = order.fetch_add(1, Ordering::SeqCst);
        let (mut signed, mut ended) = (false, false);
        // Each time a later deadline, so that the index is written each time.
        let record = |principal| of_later(id, principal, Duration::from_millis(begin));
        match act {
            // Where all are ended meanwhile it is refused, and nothing is left of it.
            Act::Create => match create(store, of(id, &self.principal)).await {
                Ok(()) => signed = true,
                Err(error) => assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}"),
            },
            Act::SignIn | Act::Return => {
                signed = sign_in(store, record(&self.principal)).await.unwrap();
            }
            Act::Move => signed = sign_in(store, record(&self.other)).await.unwrap(),
            Act::Insert => insert(store, id).await.unwrap(),
            Act::Delete => store
                .delete(&RecordKey::Id(id), Ended::default())
                .await
                .unwrap(),
            Act::DeleteOne => {
                ended = store
                    .delete_one_of(&self.principal, id, Ended::default())
                    .await
                    .unwrap();
            }
            Act::DeleteAll { except } => {
                let except = except.then_some(self.settled[0]);
                store
                    .delete_all_of(&self.principal, except, Ended::default())
                    .await
                    .unwrap();
            }
            Act::List { later } => {
                let now = if later { NOW + LATER } else { NOW };
                store.list_of(&self.principal, now).await.unwrap();
            }
        }
        let end = order.fetch_add(1, Ordering::SeqCst);
        let done = Done {
            act,
            id,
            begin,
            end,
            signed,
            ended,
        };
        self.done.lock().unwrap().push(done);
    }

    /// What the servers hold, held against all that was done.
    fn check(&self, truth: &Truth) {
        let done = self.done.lock().unwrap();
        let created = done.iter().filter(|done| done.act == Act::Create);
        let created: Vec<_> = created.map(|done| done.id).collect();
        for id in self
            .settled
            .into_iter()
            .chain(self.anonymous)
            .chain(created)
        {
            let stored = truth.sessions.get(&id);
            if let Some(wrong) = self.wrong(id, stored, truth, &done) {
                let index = truth.indexes.get(&self.principal);
                panic!(
                    "{}: {wrong}: {id:?}, {stored:?}, {index:?}\n{done:#?}",
                    self.principal
                );
            }
        }
    }

    fn wrong(
        &self,
        id: SessionId,
        stored: Option<&Stored>,
        truth: &Truth,
        done: &[Done],
    ) -> Option<&'static str> {
        let did = |act: Act| done.iter().any(|done| done.act == act && done.id == id);
        let owner = stored.and_then(|stored| stored.principal.as_deref());
        if owner.is_some_and(|owner| !truth.is_indexed(id, owner)) {
            return Some("a live session is outside of the index");
        }
        if stored.is_some_and(|stored| stored.ttl < PROBATION) {
            return Some("a session that was confirmed is on probation");
        }
        if done.iter().any(|done| done.ended && done.id == id) {
            return stored.map(|_| "a session that was ended by itself is back");
        }
        if did(Act::Delete) {
            return stored.map(|_| "a session that was deleted is back");
        }
        if did(Act::Move) || did(Act::Return) {
            return None;
        }
        let signs = |done: &&Done| matches!(done.act, Act::Create | Act::SignIn) && done.id == id;
        let signs: Vec<_> = done.iter().filter(signs).collect();
        let settled = self.settled.contains(&id);
        let ends = |done: &&Done| match done.act {
            Act::DeleteOne => done.id == id,
            Act::DeleteAll { except } => !(except && id == self.settled[0]),
            _ => false,
        };
        let ends: Vec<_> = done.iter().filter(ends).collect();
        let was_in = settled || signs.iter().any(|sign| sign.signed);
        let before = |end: &&Done| signs.iter().all(|sign| sign.end < end.begin);
        if was_in && stored.is_some() && ends.iter().any(before) {
            return Some("a session that was signed in before the end of all is alive");
        }
        let after = |end: &&Done| !settled && signs.iter().all(|sign| end.end < sign.begin);
        // Clocks that are far ahead may cost somebody a sign-in, but nothing else.
        if stored.is_none() && ends.iter().all(after) && !self.later {
            return Some("a session that nobody ended is gone");
        }
        None
    }

    /// An index that was looked at holds its live sessions, and nothing else.
    async fn check_healed(&self, store: &RedisStore) {
        for principal in [&self.principal, &self.other] {
            let mut listed = heal(store, principal).await;
            listed.sort_unstable();
            self.listed
                .lock()
                .unwrap()
                .push((principal.clone(), listed));
        }
    }
}

async fn round(site: &Site, stores: &[RedisStore], rng: &Rng, later: bool) -> usize {
    site.empty();
    let order = Arc::new(AtomicU64::new(0));
    let races: Vec<_> = (0..AT_ONCE)
        .map(|name| Arc::new(Race::draw(rng, name, later)))
        .collect();
    let entries = rng.below(2) == 0;
    let mut tasks = JoinSet::new();
    for race in &races {
        let race = Arc::clone(race);
        let store = stores[rng.below(stores.len())].clone();
        tasks.spawn(async move { race.prepare(&store, entries).await });
    }
    finish(tasks).await;
    let mut tasks = JoinSet::new();
    for race in &races {
        for (act, id) in race.acts.clone() {
            let (race, store, order) = (
                race.clone(),
                stores[rng.below(stores.len())].clone(),
                order.clone(),
            );
            let after = Duration::from_micros(rng.below(3) as u64 * rng.below(2_000) as u64);
            tasks.spawn(async move { race.act(&store, act, id, after, &order).await });
        }
    }
    finish(tasks).await;
    let truth = site.truth(PREFIX);
    races.iter().for_each(|race| race.check(&truth));

    let mut tasks = JoinSet::new();
    for race in &races {
        let race = Arc::clone(race);
        let store = stores[0].clone();
        tasks.spawn(async move { race.check_healed(&store).await });
    }
    finish(tasks).await;
    let truth = site.truth(PREFIX);
    for race in &races {
        for (principal, listed) in race.listed.lock().unwrap().drain(..) {
            assert_eq!(
                truth.of(&principal).into_iter().collect::<Vec<_>>(),
                listed,
                "{principal}"
            );
            assert_eq!(
                truth.entries(&principal).into_iter().collect::<Vec<_>>(),
                listed,
                "{principal}: not healed"
            );
        }
    }
    races.iter().map(|race| race.pairs()).sum()
}

async fn finish(mut tasks: JoinSet<()>) {
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

/// Rounds until there were `pairs` of a sign-in and an end, or a look at the index, of one
/// principal at once.
async fn race(site: &Site, pairs: usize, seed: u64) {
    let rng = Rng::new(seed);
    let mut stores = Vec::new();
    for _ in 0..3 {
        stores.push(site.store(PREFIX).await);
    }
    let (begin, mut raced, mut rounds) = (Instant::now(), 0, 0);
    while raced < pairs {
        raced += round(site, &stores, &rng, rounds % 2 == 0).await;
        rounds += 1;
    }
    println!(
        "{}: {raced} racing pairs in {rounds} rounds, {:?}",
        site.name(),
        begin.elapsed()
    );
}

async fn no_race_leaves_a_live_session_outside_of_its_index(layout: Layout) {
    race(&Site::one(layout), 20_000, 1).await;
}

async fn no_race_in_a_cluster_leaves_a_live_session_outside_of_its_index(layout: Layout) {
    race(&Site::cluster(layout), 10_000, 2).await;
}

in_both_layouts! {
    no_race_leaves_a_live_session_outside_of_its_index,
    no_race_in_a_cluster_leaves_a_live_session_outside_of_its_index,
}

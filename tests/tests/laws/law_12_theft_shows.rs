//! Law 12: theft shows. The table of `Rotation`, case by case (S17).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use session_core::store::SessionStore;
use session_core::{
    Directive, Event, EventKind, KeyRing, ManualClock, OnReuse, Outcome, Rotation, SessionManager,
};
use session_tests::story::clock;
use session_tests::{Backend, Call, Fault, FaultStore, Sim, create, open, token_of};

const TTL: Duration = Duration::from_secs(5);
const OVERLAP: Duration = Duration::from_secs(10);
const MILLI: Duration = Duration::from_millis(1);

/// The kinds of events that were seen, and their reasons.
type Seen = Arc<Mutex<Vec<(EventKind, String)>>>;

struct Stage {
    /// Two processes over one store.
    managers: [SessionManager; 2],
    clock: Arc<ManualClock>,
    seen: Seen,
    name: String,
}

impl Stage {
    fn new(store: &Arc<dyn SessionStore>, signed: bool, policy: OnReuse) -> Self {
        let (clock, seen) = (clock(), Seen::default());
        let build = || {
            let seen = Arc::clone(&seen);
            let builder = SessionManager::builder(Arc::clone(store))
                .clock(Arc::clone(&clock))
                .rotation(Rotation::default())
                .on_reuse(policy)
                .observer(move |event: &Event<'_>| {
                    seen.lock()
                        .unwrap()
                        .push((event.kind, event.reason.to_owned()));
                });
            match signed {
                true => builder
                    .keys(KeyRing::new([7; 32]).unwrap())
                    .build()
                    .unwrap(),
                false => builder.build().unwrap(),
            }
        };
        let managers = [build(), build()];
        Self {
            managers,
            clock,
            seen,
            name: format!("signed {signed}, {policy:?}"),
        }
    }

    fn manager(&self) -> &SessionManager {
        &self.managers[0]
    }

    /// Whether a request with this token goes on with a session, and what it is told.
    async fn request(&self, token: &str) -> (bool, Directive) {
        self.requests(&[token]).await
    }

    async fn requests(&self, tokens: &[&str]) -> (bool, Directive) {
        let session = self.managers[1].begin(tokens).await.unwrap();
        let told = session.finish(Outcome::Success).await.unwrap();
        (!session.is_new(), told)
    }

    /// A request that is told of a successor.
    async fn rotate(&self, token: &str) -> String {
        self.clock.advance(TTL);
        token_of(&self.request(token).await.1)
    }

    /// The events since this was last asked, but for the usual ones.
    fn told(&self) -> Vec<EventKind> {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap());
        let usual = [
            EventKind::Created,
            EventKind::Loaded,
            EventKind::Rotated,
            EventKind::Renewed,
        ];
        let kinds = seen.into_iter().map(|(kind, _)| kind);
        kinds.filter(|kind| !usual.contains(kind)).collect()
    }
}

/// Every store on the server, with and without keys, under each policy.
fn stages() -> impl Iterator<Item = Stage> {
    let backends = Backend::SERVER.into_iter();
    backends.flat_map(|backend| {
        [
            (true, OnReuse::Revoke),
            (true, OnReuse::Report),
            (false, OnReuse::Revoke),
            (false, OnReuse::Report),
        ]
        .map(|(signed, policy)| {
            let mut stage = Stage::new(&backend.store(), signed, policy);
            stage.name = format!("{backend:?}, {}", stage.name);
            stage
        })
    })
}

/// Runs a test on each of them, in one go: nothing in it may wait.
fn each(test: impl AsyncFn(&Stage)) {
    stages().for_each(move |stage| test(&stage).now_or_never().unwrap());
}

const ON: (bool, Directive) = (true, Directive::Nothing);
const WITHOUT: (bool, Directive) = (false, Directive::Nothing);

#[test]
fn the_predecessor_of_an_unconfirmed_successor_is_good_and_rotates_again() {
    each(async |stage| {
        let first = create(stage.manager(), [("n", 1)]).await;
        let lost = stage.rotate(&first).await;
        // For as long as nobody has presented the successor.
        stage.clock.advance(TTL - MILLI);
        assert_eq!(stage.request(&first).await, ON, "{}", stage.name);
        stage.clock.advance(Duration::from_secs(1800));
        let next = token_of(&stage.request(&first).await.1);
        assert_ne!(next, lost);
        stage.clock.advance(Duration::from_secs(1800));
        let last = stage.rotate(&first).await;
        for token in [&first, &lost, &next, &last] {
            assert!(stage.request(token).await.0, "{}", stage.name);
        }
        assert_eq!(stage.told(), [], "{}", stage.name);
    });
}

#[test]
fn superseded_within_the_overlap_goes_on_and_gets_no_token() {
    each(async |stage| {
        let old = create(stage.manager(), [("n", 1)]).await;
        let new = stage.rotate(&old).await;
        assert_eq!(stage.request(&new).await, ON);
        for wait in [Duration::ZERO, TTL, OVERLAP - TTL - MILLI] {
            stage.clock.advance(wait);
            assert_eq!(stage.request(&old).await, ON, "{}", stage.name);
        }
        // Its changes are kept.
        let session = open(stage.manager(), &old).await;
        session.insert("n", 2).unwrap();
        session.finish(Outcome::Success).await.unwrap();
        assert_eq!(open(stage.manager(), &new).await.get("n").unwrap(), Some(2));
        assert_eq!(stage.told(), [], "{}", stage.name);
    });
}

#[test]
fn superseded_beyond_the_overlap_is_reuse() {
    each(async |stage| {
        let old = create(stage.manager(), [("n", 1)]).await;
        let new = stage.rotate(&old).await;
        assert_eq!(stage.request(&new).await, ON);
        stage.clock.advance(OVERLAP);
        assert_eq!(stage.request(&old).await, WITHOUT, "{}", stage.name);
        let revokes = stage.name.contains("Revoke");
        match revokes {
            true => assert_eq!(
                stage.told(),
                [EventKind::Reused, EventKind::Revoked],
                "{}",
                stage.name
            ),
            false => assert_eq!(stage.told(), [EventKind::Reused], "{}", stage.name),
        }
        // For everybody, on all servers at once.
        for manager in &stage.managers {
            assert_eq!(
                open(manager, &new).await.is_new(),
                revokes,
                "{}",
                stage.name
            );
        }
    });
}

#[test]
fn after_many_rotations_only_a_mac_tells_of_reuse() {
    each(async |stage| {
        let first = create(stage.manager(), [("n", 1)]).await;
        let mut tokens = vec![first];
        for _ in 0..8 {
            stage.clock.advance(OVERLAP);
            let next = stage.rotate(tokens.last().unwrap()).await;
            tokens.push(next);
        }
        let (first, last) = (tokens[0].clone(), tokens[8].clone());
        let signed = stage.name.contains("signed true");
        assert_eq!(stage.request(&first).await, WITHOUT, "{}", stage.name);
        let told = stage.told();
        match signed {
            true => assert_eq!(told[0], EventKind::Reused, "{}", stage.name),
            false => assert_eq!(told, [EventKind::Refused], "{}", stage.name),
        }
        let ended = signed && stage.name.contains("Revoke");
        assert_eq!(
            open(stage.manager(), &last).await.is_new(),
            ended,
            "{}",
            stage.name
        );
    });
}

#[test]
fn only_the_last_few_are_accepted_within_the_overlap() {
    for backend in Backend::SERVER {
        let clock = clock();
        let rotation = Rotation::every(Duration::from_secs(1))
            .with_keep(2)
            .with_overlap(Duration::from_secs(60));
        let manager = SessionManager::builder(backend.store())
            .clock(Arc::clone(&clock))
            .rotation(rotation)
            .build()
            .unwrap();
        let run = async {
            let mut tokens = vec![create(&manager, [("n", 1)]).await];
            for _ in 0..5 {
                clock.advance(Duration::from_secs(1));
                let session = open(&manager, tokens.last().unwrap()).await;
                tokens.push(token_of(&session.finish(Outcome::Success).await.unwrap()));
            }
            // The newest one was not presented yet, so the one before is not superseded.
            let mut good = Vec::new();
            for token in &tokens {
                good.push(!open(&manager, token).await.is_new());
            }
            assert_eq!(good, [false, false, true, true, true, true], "{backend:?}");
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn a_token_that_was_never_issued_is_refused_and_nothing_else() {
    each(async |stage| {
        let token = create(stage.manager(), [("n", 1)]).await;
        let mut forged = token.clone().into_bytes();
        // A bit of the secret.
        forged[30] = if forged[30] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        assert_eq!(stage.request(&forged).await, WITHOUT, "{}", stage.name);
        assert_eq!(stage.told(), [EventKind::Refused], "{}", stage.name);
        assert!(stage.request(&token).await.0);
    });
}

#[test]
fn a_token_of_an_earlier_epoch_is_only_reported() {
    each(async |stage| {
        let old = create(stage.manager(), [("n", 1)]).await;
        let rotated = stage.rotate(&old).await;
        assert_eq!(stage.request(&rotated).await, ON);
        let session = open(stage.manager(), &rotated).await;
        session.sign_in("user:1").unwrap();
        let new = token_of(&session.finish(Outcome::Success).await.unwrap());
        stage.told();
        // Just now, and long ago: after the overlap, after the grace, after the hashes are
        // forgotten.
        for wait in [Duration::ZERO, OVERLAP, Duration::from_secs(60)] {
            stage.clock.advance(wait);
            for token in [&old, &rotated] {
                assert_eq!(
                    stage.request(token).await,
                    WITHOUT,
                    "{}, {wait:?}",
                    stage.name
                );
                assert_eq!(
                    stage.told(),
                    [EventKind::Refused],
                    "{}, {wait:?}",
                    stage.name
                );
            }
            assert!(stage.request(&new).await.0, "{}", stage.name);
        }
        let new = stage.rotate(&new).await;
        for token in [&old, &rotated] {
            assert_eq!(stage.request(token).await, WITHOUT, "{}", stage.name);
            assert_eq!(stage.told(), [EventKind::Refused], "{}", stage.name);
        }
        assert!(stage.request(&new).await.0, "{}", stage.name);
    });
}

#[test]
fn beside_an_accepted_token_it_is_no_reuse() {
    each(async |stage| {
        let old = create(stage.manager(), [("n", 1)]).await;
        let new = stage.rotate(&old).await;
        assert_eq!(stage.request(&new).await, ON);
        stage.clock.advance(OVERLAP);
        for tokens in [[old.as_str(), new.as_str()], [new.as_str(), old.as_str()]] {
            let (known, _) = stage.requests(&tokens).await;
            assert!(known, "{}", stage.name);
        }
        assert_eq!(stage.told(), [], "{}", stage.name);
    });
}

#[test]
fn of_two_accepted_tokens_the_newer_one_counts() {
    each(async |stage| {
        let old = create(stage.manager(), [("n", 1)]).await;
        let new = stage.rotate(&old).await;
        assert_eq!(stage.request(&new).await, ON);
        stage.clock.advance(TTL);
        // The superseded one alone would get no successor.
        assert_eq!(stage.request(&old).await, ON);
        let (known, told) = stage.requests(&[&old, &new]).await;
        assert!(known);
        assert!(matches!(told, Directive::Hold(_)), "{}", stage.name);
    });
}

#[test]
fn a_token_of_a_session_that_is_gone_is_refused() {
    each(async |stage| {
        let old = create(stage.manager(), [("n", 1)]).await;
        let new = stage.rotate(&old).await;
        let session = open(stage.manager(), &new).await;
        session.destroy().unwrap();
        session.finish(Outcome::Success).await.unwrap();
        stage.told();
        stage.clock.advance(OVERLAP);
        for token in [&old, &new] {
            assert_eq!(stage.request(token).await, WITHOUT, "{}", stage.name);
            assert_eq!(stage.told(), [EventKind::Refused], "{}", stage.name);
        }
    });
}

#[test]
fn a_thief_and_the_client_cannot_both_go_on() {
    // Whoever is faster, and whatever the other one does: one of them is found out within an
    // overlap of the other's next steps.
    for thief_first in [true, false] {
        for stage in stages().filter(|stage| stage.name.contains("Revoke")) {
            let run = async {
                let stolen = create(stage.manager(), [("n", 1)]).await;
                let (mut client, mut thief) = (stolen.clone(), stolen);
                let mut ended = false;
                for _ in 0..20 {
                    stage.clock.advance(TTL + MILLI);
                    let mut turns = [&mut client, &mut thief];
                    if thief_first {
                        turns.reverse();
                    }
                    for token in turns {
                        let (known, told) = stage.request(token).await;
                        ended |= !known;
                        if let Directive::Hold(next) = told {
                            *token = next.as_str().to_owned();
                        }
                    }
                }
                assert!(ended, "{}", stage.name);
                assert!(stage.told().contains(&EventKind::Reused), "{}", stage.name);
            };
            run.now_or_never().unwrap();
        }
    }
}

#[test]
fn a_revocation_that_the_store_refuses_fails_the_request_and_is_told() {
    // It puts the mark in the place of the record, in one update.
    let store = FaultStore::new(Backend::Memory.store());
    let stage = Stage::new(&(Arc::clone(&store) as _), true, OnReuse::Revoke);
    let run = async {
        let old = create(stage.manager(), [("n", 1)]).await;
        let new = stage.rotate(&old).await;
        assert_eq!(stage.request(&new).await, ON);
        stage.clock.advance(OVERLAP);
        stage.told();
        store.plan(Call::Update, Fault::Unavailable);
        assert!(stage.manager().begin(&[old.as_str()]).await.is_err());
        assert!(stage.told().contains(&EventKind::StoreFailed));
        // The next one does it.
        assert_eq!(stage.request(&old).await, WITHOUT);
        assert!(open(stage.manager(), &new).await.is_new());
    };
    run.now_or_never().unwrap();
}

/// A request that writes into the session of a token, if it opens one, and the token that it is
/// told.
async fn write(manager: SessionManager, token: String, n: u32) -> Option<String> {
    let session = manager.begin(&[token.as_str()]).await.unwrap();
    if session.is_new() {
        return None;
    }
    session.insert("n", n).unwrap();
    match session.finish(Outcome::Success).await {
        Ok(Directive::Hold(token)) => Some(token.as_str().to_owned()),
        _ => None,
    }
}

/// An old token comes back while others write: the session ends all the same, and no token of
/// theirs opens anything.
fn reuse_among_writers(backend: Backend, seed: u64) {
    let mut sim = Sim::new(seed);
    let builder = SessionManager::builder(backend.yielding(seed))
        .clock(sim.clock())
        .rotation(Rotation::default())
        .on_reuse(OnReuse::Revoke);
    let manager = match seed % 2 {
        0 => builder
            .keys(KeyRing::new([7; 32]).unwrap())
            .build()
            .unwrap(),
        _ => builder.build().unwrap(),
    };
    let old = sim.block_on(create(&manager, [("n", 0)]));
    sim.clock().advance(TTL);
    let new = sim
        .block_on(write(manager.clone(), old.clone(), 1))
        .unwrap();
    sim.block_on(write(manager.clone(), new.clone(), 2));
    sim.clock().advance(OVERLAP);
    let writers: Vec<_> = (3..7)
        .map(|n| sim.spawn(write(manager.clone(), new.clone(), n)))
        .collect();
    let thief = {
        let manager = manager.clone();
        sim.spawn(async move { open(&manager, &old).await.is_new() })
    };
    sim.run();
    assert!(thief.take(), "{backend:?}, seed {seed}");
    let told = writers.into_iter().filter_map(|writer| writer.take());
    let tokens: Vec<_> = told.chain([new]).collect();
    for token in tokens {
        let after = sim.block_on(open(&manager, &token));
        assert!(after.is_new(), "{backend:?}, seed {seed}");
    }
}

#[test]
fn a_token_that_comes_back_ends_a_session_that_others_write() {
    for backend in Backend::SERVER {
        (0..250).for_each(|seed| reuse_among_writers(backend, seed));
    }
}

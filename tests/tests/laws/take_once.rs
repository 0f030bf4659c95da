//! A value that is taken now is taken by one request only, in any interleaving.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::FutureExt;
use session_core::store::{MigratingStore, SessionStore, StoreError};
use session_core::{Directive, Outcome, Session, SessionError, SessionGuard, SessionManager};
use session_tests::sim::pause;
use session_tests::{
    Backend, Call, CountingStore, Counts, Fault, FaultStore, Sim, YieldStore, anonymous, create,
    numbers, open,
};

/// What a request beside those that take does to the session.
async fn disturb(session: &Session, what: usize, who: u64) {
    match what {
        0 => {}
        1 => session.insert("other", who).unwrap(),
        2 => drop(
            session
                .update("n", |n: Option<u64>| n.unwrap_or(0) + 1)
                .unwrap(),
        ),
        3 => {
            session.insert("other", who).unwrap();
            session.save().await.unwrap();
        }
        _ => drop(session.get::<u64>("code").unwrap()),
    }
    pause().await;
}

/// What requests that take at once get, and the session after them.
fn race(backend: Backend, seed: u64) -> (Vec<u64>, Vec<String>) {
    let mut sim = Sim::new(seed);
    let store = backend.yielding(seed);
    let processes = [
        sim.manager(Arc::clone(&store)),
        sim.manager(Arc::clone(&store)),
    ];
    let token = sim.block_on(create(&processes[0], [("code", 7), ("kept", 1), ("n", 0)]));
    let takers = 2 + sim.rng().below(3);
    let mut taken = Vec::new();
    for who in 0..takers + 1 {
        let (manager, token) = (processes[who % 2].clone(), token.clone());
        let (before, after) = (sim.rng().below(5), sim.rng().below(5));
        let takes = who < takers;
        taken.push(sim.spawn(async move {
            let session = open(&manager, &token).await;
            disturb(&session, before, who as u64).await;
            let code = match takes {
                true => session.take_now::<u64>("code").await.unwrap(),
                false => None,
            };
            disturb(&session, after, who as u64).await;
            session.finish(Outcome::Success).await.unwrap();
            code
        }));
    }
    sim.run();
    let taken = taken
        .into_iter()
        .filter_map(|output| output.take())
        .collect();
    let left = sim.block_on(async { open(&processes[0], &token).await.keys() });
    (taken, left)
}

#[test]
fn one_of_many_requests_at_once_gets_it_in_any_interleaving() {
    for backend in Backend::SERVER {
        for seed in 0..1_500 {
            let (taken, left) = race(backend, seed);
            assert_eq!(taken, [7], "{backend:?}, seed {seed}");
            assert!(left.contains(&"kept".to_owned()) && !left.contains(&"code".to_owned()));
        }
    }
}

#[test]
fn one_gets_it_while_the_session_moves_to_another_store() {
    for (old, new) in [
        (Backend::Memory, Backend::Replace),
        (Backend::Fields, Backend::Memory),
        (Backend::ReplaceHandsBack, Backend::Fields),
    ] {
        for seed in 0..500 {
            let mut sim = Sim::new(seed);
            let from = old.yielding(seed);
            let to = new.yielding(seed);
            let token = sim.block_on(create(&sim.manager(Arc::clone(&from)), [("code", 7)]));
            let moving = [0, 1].map(|_| {
                let store = MigratingStore::new(Arc::clone(&to), Arc::clone(&from)).unwrap();
                sim.manager(store)
            });
            let taken: Vec<_> = (0..4)
                .map(|who| {
                    let (manager, token) = (moving[who % 2].clone(), token.clone());
                    sim.spawn(async move {
                        let session = open(&manager, &token).await;
                        session.insert(&format!("own{who}"), who).unwrap();
                        let code = session.take_now::<u64>("code").await.unwrap();
                        session.finish(Outcome::Success).await.unwrap();
                        code
                    })
                })
                .collect();
            sim.run();
            let taken: Vec<_> = taken
                .into_iter()
                .filter_map(|output| output.take())
                .collect();
            assert_eq!(taken, [7], "{old:?} to {new:?}, seed {seed}");
            let left = sim.block_on(async { open(&moving[0], &token).await.keys() });
            assert_eq!(
                left,
                ["own0", "own1", "own2", "own3"],
                "{old:?} to {new:?}, seed {seed}"
            );
        }
    }
}

/// Requests that put a value there, and others that take, while the store fails.
fn race_with_faults(backend: Backend, seed: u64) {
    let mut sim = Sim::new(seed);
    let faults = FaultStore::new(backend.store());
    let store = Arc::new(YieldStore::new(Arc::clone(&faults), seed));
    let processes = [
        sim.manager(Arc::clone(&store)),
        sim.manager(Arc::clone(&store)),
    ];
    let token = sim.block_on(create(&processes[0], [("code", 100)]));
    for _ in 0..6 {
        let kinds = [
            Fault::None,
            Fault::None,
            Fault::Unavailable,
            Fault::LostRequest,
            Fault::LostAnswer,
            Fault::Conflict,
        ];
        faults.plan(Call::Update, kinds[sim.rng().below(kinds.len())]);
    }
    let mut outputs = Vec::new();
    for who in 0..6 {
        let (manager, token) = (processes[who % 2].clone(), token.clone());
        let puts = sim.rng().below(3) == 0;
        outputs.push(sim.spawn(async move {
            let session = open(&manager, &token).await;
            pause().await;
            if puts {
                session.insert("code", who as u64).unwrap();
                drop(session.finish(Outcome::Success).await);
                return None;
            }
            let taken = session.take_now::<u64>("code").await.unwrap_or(None);
            session.finish(Outcome::Success).await.ok();
            taken
        }));
    }
    sim.run();
    let taken: Vec<u64> = outputs
        .into_iter()
        .filter_map(|output| output.take())
        .collect();
    let once: BTreeSet<u64> = taken.iter().copied().collect();
    assert_eq!(
        once.len(),
        taken.len(),
        "{backend:?}, seed {seed}: {taken:?}"
    );
    let left = sim.block_on(async { numbers(open(&processes[0], &token).await.session()) });
    let again = left.get("code").is_some_and(|code| once.contains(code));
    assert!(
        !again,
        "{backend:?}, seed {seed}: {taken:?}, and {left:?} is left"
    );
}

#[test]
fn no_value_is_got_twice_while_the_store_fails() {
    for backend in Backend::SERVER {
        (0..1_500).for_each(|seed| race_with_faults(backend, seed));
    }
}

type Faults = FaultStore<Arc<dyn SessionStore>>;

/// A session with a code on each store, its token, the faults and the counts of the store.
struct Fixture {
    sim: Sim,
    faults: Arc<Faults>,
    counts: Arc<CountingStore<Arc<Faults>>>,
    manager: SessionManager,
    token: String,
}

impl Fixture {
    fn new(backend: Backend) -> Self {
        let mut sim = Sim::new(1);
        let faults = FaultStore::new(backend.store());
        let counts = CountingStore::new(Arc::clone(&faults));
        let manager = sim.manager(Arc::clone(&counts));
        let token = sim.block_on(create(&manager, [("code", 7), ("kept", 1)]));
        counts.take();
        Self {
            sim,
            faults,
            counts,
            manager,
            token,
        }
    }

    fn each(run: impl Fn(Self)) {
        Backend::SERVER
            .into_iter()
            .for_each(|backend| run(Self::new(backend)));
    }

    fn open(&mut self) -> SessionGuard {
        self.sim.block_on(open(&self.manager, &self.token))
    }

    fn take(&mut self, session: &Session) -> Result<Option<u64>, SessionError> {
        self.sim.block_on(session.take_now("code"))
    }

    fn commit(&mut self, session: &SessionGuard) -> Result<Directive, SessionError> {
        let finished = self.sim.block_on(session.finish(Outcome::Success));
        finished.map_err(SessionError::from)
    }

    /// The code that the store has.
    fn stored(&mut self) -> Option<u64> {
        self.open().get("code").unwrap()
    }
}

#[test]
fn to_take_now_is_one_write_and_the_commit_adds_none() {
    Fixture::each(|mut fixture| {
        let session = fixture.open();
        assert_eq!(fixture.take(&session).unwrap(), Some(7));
        assert!(!session.contains_key("code"));
        assert_eq!(session.len(), 1);
        assert_eq!(fixture.take(&session).unwrap(), None);
        assert_eq!(fixture.commit(&session).unwrap(), Directive::Nothing);
        assert_eq!(fixture.counts.take(), Counts::LOAD_UPDATE);
        assert_eq!(fixture.stored(), None);
    });
}

#[test]
fn what_is_missing_or_this_request_s_own_costs_nothing() {
    Fixture::each(|mut fixture| {
        let session = fixture.open();
        assert_eq!(
            fixture
                .sim
                .block_on(session.take_now::<u64>("none"))
                .unwrap(),
            None
        );
        session.insert("own", 1).unwrap();
        session
            .update("own", |n: Option<u64>| n.unwrap() + 1)
            .unwrap();
        assert_eq!(
            fixture
                .sim
                .block_on(session.take_now::<u64>("own"))
                .unwrap(),
            Some(2)
        );
        assert_eq!(fixture.commit(&session).unwrap(), Directive::Nothing);
        assert_eq!(fixture.counts.take(), Counts::LOAD);

        let new = fixture.sim.block_on(anonymous(&fixture.manager));
        new.update("code", |_: Option<u64>| 3).unwrap();
        assert_eq!(fixture.take(&new).unwrap(), Some(3));
        assert_eq!(fixture.commit(&new).unwrap(), Directive::Nothing);
        assert_eq!(fixture.counts.take(), Counts::NONE);
    });
}

#[test]
fn what_was_updated_before_is_in_what_is_taken() {
    Fixture::each(|mut fixture| {
        let session = fixture.open();
        session
            .update("code", |n: Option<u64>| n.unwrap() + 1)
            .unwrap();
        session.update("new", |_: Option<u64>| 5_u64).unwrap();
        let rival = fixture.open();
        rival.insert("code", 20).unwrap();
        fixture.commit(&rival).unwrap();
        assert_eq!(
            fixture
                .sim
                .block_on(session.take_now::<u64>("new"))
                .unwrap(),
            Some(5)
        );
        assert_eq!(fixture.take(&session).unwrap(), Some(21));
        fixture.commit(&session).unwrap();
        assert_eq!(fixture.stored(), None);
        assert!(!fixture.open().contains_key("new"));
    });
}

#[test]
fn it_stays_removed_if_the_request_fails() {
    Fixture::each(|mut fixture| {
        let session = fixture.open();
        assert_eq!(fixture.take(&session).unwrap(), Some(7));
        let failed = session.finish(Outcome::Failure);
        fixture.sim.block_on(failed).unwrap();
        assert_eq!(fixture.stored(), None);
    });
}

#[test]
fn a_store_that_fails_leaves_the_value_and_it_can_be_taken_later() {
    Fixture::each(|mut fixture| {
        let session = fixture.open();
        fixture.faults.plan(Call::Update, Fault::Unavailable);
        let refused = fixture.take(&session);
        assert!(matches!(
            refused,
            Err(SessionError::Store(StoreError::Unavailable(_)))
        ));
        assert_eq!((session.get("code").unwrap(), session.len()), (Some(7), 2));
        fixture.commit(&session).unwrap();
        assert_eq!(fixture.stored(), Some(7), "nobody has got it");
        let session = fixture.open();
        session
            .update("code", |n: Option<u64>| n.unwrap() * 2)
            .unwrap();
        fixture.faults.plan(Call::Update, Fault::Unavailable);
        assert!(fixture.take(&session).is_err());
        assert_eq!(session.get("code").unwrap(), Some(14), "the update stays");
        assert_eq!(fixture.take(&session).unwrap(), Some(14));
        assert_eq!(fixture.stored(), None);
    });
}

#[test]
fn a_write_of_unknown_outcome_gives_it_to_nobody() {
    for fault in [Fault::LostRequest, Fault::LostAnswer] {
        Fixture::each(|mut fixture| {
            let session = fixture.open();
            fixture.faults.plan(Call::Update, fault);
            let is_unknown = |outcome: Result<_, SessionError>| {
                assert!(matches!(
                    outcome,
                    Err(SessionError::Store(StoreError::OutcomeUnknown(_)))
                ));
            };
            is_unknown(fixture.take(&session).map(drop));
            is_unknown(fixture.take(&session).map(drop));
            session.insert("code", 1).unwrap();
            is_unknown(fixture.take(&session).map(drop));
            is_unknown(fixture.commit(&session).map(drop));
            let expected = (fault == Fault::LostRequest).then_some(7);
            assert_eq!(fixture.stored(), expected);
        });
    }
}

#[test]
fn a_value_of_another_type_stays() {
    Fixture::each(|mut fixture| {
        let session = fixture.open();
        let wrong = fixture.sim.block_on(session.take_now::<String>("code"));
        assert!(matches!(wrong, Err(SessionError::Decode { .. })));
        assert_eq!(session.get("code").unwrap(), Some(7));
        // The same where another request has put it there since.
        let rival = fixture.open();
        rival.insert("code", "text").unwrap();
        fixture.commit(&rival).unwrap();
        assert!(matches!(
            fixture.take(&session),
            Err(SessionError::Decode { .. })
        ));
        fixture.commit(&session).unwrap();
        assert_eq!(
            fixture.open().get::<String>("code").unwrap().as_deref(),
            Some("text")
        );
    });
}

#[test]
fn a_session_that_ended_gives_nothing() {
    Fixture::each(|mut fixture| {
        let (session, signing) = (fixture.open(), fixture.open());
        let rival = fixture.open();
        rival.destroy().unwrap();
        fixture.commit(&rival).unwrap();
        assert!(matches!(fixture.take(&session), Err(SessionError::Gone)));
        assert!(!session.contains_key("code"));
        signing.insert("code", 7).unwrap();
        signing.sign_in("ann").unwrap();
        assert!(matches!(fixture.take(&signing), Err(SessionError::Gone)));
    });
}

#[test]
fn of_two_clones_at_once_one_gets_it() {
    Fixture::each(|mut fixture| {
        for fault in [Fault::Slow, Fault::Conflict, Fault::Unavailable] {
            let session = fixture.open();
            session.insert("code", 7).unwrap();
            fixture.commit(&session).unwrap();
            let session = fixture.open();
            fixture.faults.plan(Call::Update, fault);
            let [one, other] = [(); 2].map(|()| {
                let session = session.session().clone();
                let take = async move { session.take_now::<u64>("code").await };
                fixture.sim.spawn(take)
            });
            fixture.sim.run();
            let got = [one.take(), other.take()].map(|taken| taken.ok().flatten());
            assert!(
                matches!(got, [Some(7), None] | [None, Some(7)]),
                "{fault:?}: {got:?}"
            );
            assert_eq!(fixture.stored(), None, "{fault:?}");
        }
    });
}

#[test]
fn what_a_clone_puts_there_meanwhile_is_not_lost() {
    Fixture::each(|mut fixture| {
        let session = fixture.open();
        fixture.faults.plan(Call::Update, Fault::Slow);
        let mut take = Box::pin(session.take_now::<u64>("code"));
        assert!((&mut take).now_or_never().is_none());
        session.insert("code", 8).unwrap();
        assert_eq!(fixture.sim.block_on(take).unwrap(), Some(7));
        fixture.commit(&session).unwrap();
        assert_eq!(fixture.stored(), Some(8));
    });
}

#[test]
fn one_that_is_dropped_before_it_was_sent_leaves_the_value() {
    Fixture::each(|mut fixture| {
        let session = fixture.open();
        fixture.faults.plan(Call::Update, Fault::Hang);
        let other = session.clone();
        other.insert("kept", 2).unwrap();
        let mut save = Box::pin(other.save());
        assert!((&mut save).now_or_never().is_none());
        let mut take = Box::pin(session.take_now::<u64>("code"));
        assert!(
            (&mut take).now_or_never().is_none(),
            "it waits for its turn"
        );
        drop(take);
        assert_eq!(session.get("code").unwrap(), Some(7));
        drop(save);
        let session = fixture.open();
        fixture.faults.plan(Call::Update, Fault::Hang);
        let mut take = Box::pin(session.take_now::<u64>("code"));
        assert!((&mut take).now_or_never().is_none());
        drop(take);
        let unknown = fixture.take(&session);
        assert!(matches!(
            unknown,
            Err(SessionError::Store(StoreError::OutcomeUnknown(_)))
        ));
        assert_eq!(fixture.stored(), Some(7));
    });
}

#[test]
fn everything_else_is_saved_with_it_and_a_renewal_waits() {
    Fixture::each(|mut fixture| {
        let session = fixture.open();
        session.insert("kept", 2).unwrap();
        session.renew().unwrap();
        assert_eq!(fixture.take(&session).unwrap(), Some(7));
        let seen = fixture.open();
        assert_eq!(seen.get("kept").unwrap(), Some(2));
        assert!(matches!(
            fixture.commit(&session).unwrap(),
            Directive::Hold(_)
        ));
    });
}

#[test]
fn a_handle_that_is_kept_can_take_too() {
    Fixture::each(|mut fixture| {
        let session = fixture.open();
        fixture.commit(&session).unwrap();
        assert_eq!(fixture.take(&session).unwrap(), Some(7));
        assert_eq!(fixture.stored(), None);
    });
}

#[test]
fn a_sealed_session_cannot_and_says_so() {
    for backend in [Backend::Signed, Backend::Encrypted] {
        let mut fixture = Fixture::new(backend);
        let session = fixture.open();
        let refused = fixture.take(&session).unwrap_err();
        assert!(matches!(
            refused,
            SessionError::Store(StoreError::Unsupported(_))
        ));
        assert!(!refused.is_temporary());
        assert_eq!(
            refused.to_string(),
            "this session store does not support taking a value once, because a client can \
             present an older copy of its session again; keep such values in a store on the server"
        );
        assert_eq!(session.get("code").unwrap(), Some(7));
        assert_eq!(fixture.commit(&session).unwrap(), Directive::Nothing);
        assert_eq!(fixture.counts.take(), Counts::LOAD);
    }
}

#[test]
fn to_take_without_now_is_not_once_among_requests() {
    Fixture::each(|mut fixture| {
        let [one, other] = [fixture.open(), fixture.open()];
        for session in [one, other] {
            assert_eq!(
                session.take::<u64>("code").unwrap(),
                Some(7),
                "as documented"
            );
            fixture.commit(&session).unwrap();
        }
    });
}

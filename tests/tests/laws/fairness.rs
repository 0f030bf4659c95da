//! Many requests of one session at the same time: none is overtaken for ever (law 1).

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use session_core::{
    Clock, Event, EventKind, ManualClock, MemoryStore, Outcome, SessionError, SessionManager,
    Sleep, Timeouts, Timestamp,
};
use session_tests::{Backend, Call, Fault, FaultStore, Sim, SlowStore, create, numbers, open};

/// The clock of a simulation, whose pauses take time as those of a server do.
#[derive(Debug)]
struct Paced(Arc<ManualClock>);

impl Clock for Paced {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        self.0.sleep(duration)
    }
}

/// Many clients of one session, each of which sends one request after the other.
#[derive(Debug)]
struct Crowd {
    backend: Backend,
    processes: usize,
    clients: usize,
    /// Of each client.
    requests: usize,
    latency: Duration,
    seed: u64,
}

/// How long each request waited from its opening to the end of its commit, longest first.
fn waits(crowd: &Crowd) -> Vec<Duration> {
    let mut sim = Sim::new(crowd.seed);
    let store = Arc::new(SlowStore::new(
        crowd.backend.store(),
        sim.clock(),
        crowd.latency,
    ));
    let managers: Vec<_> = (0..crowd.processes)
        .map(|_| {
            SessionManager::builder(Arc::clone(&store))
                .clock(Paced(sim.clock()))
                .build()
                .unwrap()
        })
        .collect();
    let token = sim.block_on(create(&managers[0], [("n", 0)]));
    let waits = Rc::new(RefCell::new(Vec::new()));
    for client in 0..crowd.clients {
        let (manager, token) = (managers[client % crowd.processes].clone(), token.clone());
        let (clock, waits) = (sim.clock(), Rc::clone(&waits));
        let requests = crowd.requests;
        sim.spawn(async move {
            for _ in 0..requests {
                let begun = clock.now();
                let session = open(&manager, &token).await;
                session
                    .update("n", |n: Option<u64>| n.unwrap_or(0) + 1)
                    .unwrap();
                session.finish(Outcome::Success).await.unwrap();
                waits.borrow_mut().push(clock.now().duration_since(begun));
            }
        });
    }
    sim.run();
    let after = sim.block_on(async { numbers(open(&managers[0], &token).await.session()) });
    assert_eq!(after["n"], (crowd.clients * crowd.requests) as u64);
    let mut waits = waits.take();
    waits.sort_unstable_by(|one, other| other.cmp(one));
    waits
}

/// The longest wait is at most this many times the mean one. A queue is in the order of arrival;
/// several take turns.
fn check(crowd: &Crowd, times: f64) {
    let waits = waits(crowd);
    let mean = waits.iter().sum::<Duration>() / waits.len() as u32;
    let worst = waits[0];
    assert!(
        worst.as_secs_f64() <= mean.as_secs_f64() * times,
        "{crowd:?}: worst {worst:?}, mean {mean:?}"
    );
}

#[test]
fn of_five_hundred_at_once_none_gives_up_or_waits_much_longer_than_the_others() {
    for (processes, latency, times) in [(1, 2, 2.0), (2, 2, 2.0), (2, 6, 2.0), (5, 2, 6.0)] {
        for (seed, backend) in [Backend::Memory, Backend::Replace].into_iter().enumerate() {
            let crowd = Crowd {
                backend,
                processes,
                clients: 500,
                requests: 4,
                latency: Duration::from_millis(latency),
                seed: seed as u64,
            };
            check(&crowd, times);
        }
    }
}

/// In any interleaving: a client that sends its next request at once is behind all that wait.
#[test]
fn newcomers_overtake_nobody_that_waits() {
    for seed in 0..32 {
        for (processes, times) in [(1, 2.5), (2, 32.0)] {
            let crowd = Crowd {
                backend: Backend::SERVER[seed as usize % Backend::SERVER.len()],
                processes,
                clients: 16,
                requests: 40,
                latency: Duration::from_millis(2),
                seed,
            };
            check(&crowd, times);
        }
    }
}

/// Of each event that tells of it: the attempts, and for how long they were made.
type Told = Arc<Mutex<Vec<(u64, Duration)>>>;

fn contended(store: Arc<FaultStore<MemoryStore>>, clock: impl Clock) -> (SessionManager, Told) {
    let (told, timeouts) = (Told::default(), Timeouts::default());
    assert_eq!(timeouts.commit(), Duration::from_secs(10));
    let notes = Arc::clone(&told);
    let manager = SessionManager::builder(store)
        .clock(clock)
        .observer(move |event: &Event<'_>| match event.kind {
            EventKind::Contended => {
                assert!(event.session().is_some());
                notes.lock().unwrap().push((event.count, event.waited));
            }
            _ => assert_eq!(event.waited, Duration::ZERO),
        })
        .build()
        .unwrap();
    (manager, told)
}

#[test]
fn a_commit_that_gives_up_tells_how_often_it_tried_and_for_how_long() {
    let mut sim = Sim::new(1);
    let store = FaultStore::new(MemoryStore::new());
    let (manager, told) = contended(Arc::clone(&store), Paced(sim.clock()));
    let token = sim.block_on(create(&manager, [("n", 0)]));
    store.always(Call::Update, Fault::Conflict);
    let [first, second] = [0, 1].map(|_| {
        let session = sim.block_on(open(&manager, &token));
        session.insert("n", 1).unwrap();
        session
            .update("m", |n: Option<u64>| n.unwrap_or(0) + 1)
            .unwrap();
        session
    });
    for session in [first, second] {
        let outcome = sim.block_on(async move { session.finish(Outcome::Success).await });
        let error = outcome.unwrap_err().error;
        assert!(matches!(error, SessionError::Contended), "{error:?}");
        let told = std::mem::take(&mut *told.lock().unwrap());
        let [(attempts, waited)] = told[..] else {
            panic!("{told:?}")
        };
        assert!(attempts > 100, "{attempts}");
        assert!((9_900..=10_000).contains(&waited.as_millis()), "{waited:?}");
    }
}

#[test]
fn a_commit_that_waits_for_a_save_of_its_own_handle_tells_that_it_gave_up() {
    let mut sim = Sim::new(1);
    let store = FaultStore::new(MemoryStore::new());
    let (manager, told) = contended(Arc::clone(&store), Paced(sim.clock()));
    let token = sim.block_on(create(&manager, [("n", 0)]));
    let session = sim.block_on(open(&manager, &token));
    session.insert("n", 1).unwrap();
    store.plan(Call::Update, Fault::Hang);
    let other = session.clone();
    let mut save = Box::pin(async move { other.save().await });
    let waker = std::task::Waker::noop();
    let _ = save
        .as_mut()
        .poll(&mut std::task::Context::from_waker(waker));
    let outcome = sim.block_on(session.finish(Outcome::Success));
    let error = outcome.unwrap_err().error;
    assert!(matches!(error, SessionError::Contended), "{error:?}");
    assert_eq!(*told.lock().unwrap(), [(0, Duration::from_secs(10))]);
}

/// The clock of a test that nobody moves while requests run.
#[test]
fn two_processes_on_a_clock_that_stands_still_pass_each_other() {
    for seed in 0..200 {
        let mut sim = Sim::new(seed);
        let backend = Backend::SERVER[seed as usize % Backend::SERVER.len()];
        let store = backend.yielding(seed);
        let managers = [0, 1].map(|_| {
            SessionManager::builder(Arc::clone(&store))
                .clock(ManualClock::new(Timestamp::from_millis(1_700_000_000_000)))
                .build()
                .unwrap()
        });
        let token = sim.block_on(create(&managers[0], [("n", 0)]));
        for who in 0..8 {
            let (manager, token) = (managers[who % 2].clone(), token.clone());
            sim.spawn(async move {
                let session = open(&manager, &token).await;
                session
                    .update("n", |n: Option<u64>| n.unwrap_or(0) + 1)
                    .unwrap();
                session.finish(Outcome::Success).await.unwrap();
            });
        }
        sim.run();
        let after = sim.block_on(async { numbers(open(&managers[0], &token).await.session()) });
        assert_eq!(after["n"], 8, "seed {seed}");
    }
}

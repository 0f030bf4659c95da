//! Law 1: messages that requests add to one list all survive until they are shown.

use std::sync::{Arc, Mutex};

use session_core::{Outcome, Session};
use session_tests::sim::pause;
use session_tests::{Backend, Sim, create, open};

fn shown(session: &Session) -> Vec<String> {
    session.flashed("notices").unwrap().unwrap_or_default()
}

/// Requests at once that add messages, with some that show what there is. Returns how many messages
/// were shown while others were added.
fn collect(backend: Backend, seed: u64, pages: usize) -> usize {
    let mut sim = Sim::new(seed);
    let store = backend.yielding(seed);
    let processes = [0, 1].map(|_| sim.manager(Arc::clone(&store)));
    let token = sim.block_on(create(&processes[0], [("n", 0)]));
    let writers = 2 + sim.rng().below(3);
    let seen = Arc::new(Mutex::new(Vec::new()));
    for who in 0..writers + pages {
        let (manager, token) = (processes[who % 2].clone(), token.clone());
        let seen = Arc::clone(&seen);
        let pushes_before = sim.rng().below(2) == 0;
        sim.spawn(async move {
            let session = open(&manager, &token).await;
            pause().await;
            if who < writers || pushes_before {
                session.flash_push("notices", format!("{who} a")).unwrap();
                pause().await;
            }
            if who >= writers {
                let page = shown(&session);
                pause().await;
                seen.lock().unwrap().extend(page);
            }
            session.flash_push("notices", format!("{who} b")).unwrap();
            pause().await;
            session.finish(Outcome::Success).await.unwrap();
        });
    }
    sim.run();

    let mut seen = std::mem::take(&mut *seen.lock().unwrap());
    let early = seen.len();
    seen.extend(sim.block_on(async { shown(open(&processes[0], &token).await.session()) }));
    for who in 0..writers + pages {
        let at = |message: &str| seen.iter().position(|it| *it == format!("{who} {message}"));
        assert!(
            at("b").is_some(),
            "{backend:?}, seed {seed}: {seen:?} of {who}"
        );
        if who < writers {
            assert!(
                at("a").is_some_and(|a| Some(a) < at("b")),
                "{backend:?}, seed {seed}: {seen:?} of {who}"
            );
        }
    }
    if pages < 2 {
        let all = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), all, "{backend:?}, seed {seed}: {seen:?}");
    }
    early
}

#[test]
fn messages_all_survive_in_any_interleaving() {
    for backend in Backend::SERVER {
        (0..500).for_each(|seed| assert_eq!(collect(backend, seed, 0), 0));
    }
}

#[test]
fn one_page_shows_each_message_once_and_loses_none_in_any_interleaving() {
    for backend in Backend::SERVER {
        let early: usize = (0..1_000).map(|seed| collect(backend, seed, 1)).sum();
        assert!(early > 100, "the seeds reach it: {early}");
    }
}

#[test]
fn several_pages_at_once_lose_no_message_in_any_interleaving() {
    for backend in Backend::SERVER {
        for seed in 0..1_000 {
            collect(backend, seed, 2);
        }
    }
}

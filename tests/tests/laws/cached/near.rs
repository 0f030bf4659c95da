//! Simulated sites with near caches, over a network that fails.

use std::rc::Rc;

use session_core::store::{NearCache, SessionStore};
use session_tests::feed::Direction;
use session_tests::{FieldStore, ReplaceStore, Rng, Sim};

use super::site::{LEASE, Site, Tally};

/// In all there are four times as many.
const SEEDS: u64 = 25_000;

/// The seeds of one of four tests; fewer, or a single one, by the environment.
fn seeds(part: u64) -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let first = part * SEEDS;
    match (number("SEED"), number("SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, count) => first..first + count.unwrap_or(SEEDS),
    }
}

#[test]
fn nothing_is_older_than_its_lease_over_a_store_that_replaces() {
    let near = NearCache::new(LEASE);
    let tally = run(seeds(0), Some(near), ReplaceStore::new);
    assert!(tally.stale.get() > 0, "what is stale is shown: {tally:?}");
}

#[test]
fn nothing_is_older_than_its_lease_over_a_store_that_merges() {
    let near = NearCache::new(LEASE);
    let tally = run(seeds(1), Some(near), FieldStore::new);
    assert!(tally.stale.get() > 0, "what is stale is shown: {tally:?}");
}

#[test]
fn no_node_shows_what_has_ended_where_ends_wait() {
    let near = NearCache::new(LEASE).with_waiting_ends();
    run(seeds(2), Some(near), ReplaceStore::new);
}

#[test]
fn without_leases_every_read_is_what_the_server_has() {
    let tally = run(seeds(3), None, FieldStore::new);
    assert_eq!(tally.leased.get(), 0);
}

fn run<S: SessionStore>(
    seeds: std::ops::Range<u64>,
    near: Option<NearCache>,
    store: impl Fn() -> S,
) -> Rc<Tally> {
    let tally = Rc::default();
    for seed in seeds {
        simulate(seed, near, store(), &tally);
    }
    let reads = tally.reads.get();
    assert!(tally.ends.get() > reads / 100, "{tally:?}");
    assert!(tally.failed.get() > reads / 100, "{tally:?}");
    assert!(
        near.is_none() || tally.leased.get() > reads / 20,
        "{tally:?}"
    );
    println!("{tally:?}");
    tally
}

/// One site for a few hundred milliseconds.
fn simulate<S: SessionStore>(seed: u64, near: Option<NearCache>, store: S, tally: &Rc<Tally>) {
    let mut sim = Sim::new(seed);
    let site = Site::new(&sim, seed, store, near, tally);
    let rng = Rng::new(seed ^ 0xc11e);
    for node in 0..site.nodes.len() {
        for _ in 0..=rng.below(2) {
            let work = client(Rc::clone(&site), node, rng.next());
            site.spawn(&mut sim, work);
        }
    }
    if rng.below(2) == 0 {
        site.spawn(&mut sim, chaos(Rc::clone(&site), rng.next()));
    }
    site.run(&mut sim);
}

pub(super) async fn client<S: SessionStore>(site: Rc<Site<S>>, node: usize, seed: u64) {
    let rng = Rng::new(seed);
    for _ in 0..4 + rng.below(12) {
        // Most look at the same two.
        let id = site.ids[[0, 0, 0, 1, 1, 2, 3, 4][rng.below(8)]];
        match rng.below(24) {
            0 | 1 => site.create(node, id).await,
            2..=4 => site.update(node, id, rng.next() % 1_000).await,
            5 => site.end(node, id, rng.below(4)).await,
            _ => drop(site.read(node, id).await),
        }
        if rng.below(2) == 0 {
            site.wait(rng.below(24)).await;
        }
    }
}

/// What happens to connections.
async fn chaos<S: SessionStore>(site: Rc<Site<S>>, seed: u64) {
    let rng = Rng::new(seed);
    for _ in 0..=rng.below(4) {
        site.wait(rng.below(80)).await;
        let node = &site.nodes[rng.below(site.nodes.len())];
        let Some(wire) = node.wire() else {
            continue;
        };
        match rng.below(6) {
            0 => wire.close(),
            1 => wire.cut(Direction::ToServer),
            2 => wire.cut(Direction::ToClient),
            3 | 4 => node.replace(),
            _ => {
                wire.cut(Direction::ToServer);
                wire.cut(Direction::ToClient);
            }
        }
    }
}

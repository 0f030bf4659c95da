//! Fail-overs that lose what was written last, under nodes with caches. Versions repeat then.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use session_core::store::NearCache;
use session_tests::feed::Direction;
use session_tests::{Entry, FieldStore, MapStore, ReplaceStore, Rng, Sim};

use super::near::client;
use super::site::{LEASE, Site, Tally};

const SEEDS: u64 = 1_500;

#[test]
fn a_read_that_asks_shows_nothing_that_the_server_has_lost() {
    let tally = Rc::default();
    for seed in 0..SEEDS {
        simulate(seed, None, ReplaceStore::new(), &tally);
        simulate(seed, None, FieldStore::new(), &tally);
    }
    assert!(tally.lost.get() > 1_000, "{tally:?}");
}

#[test]
fn a_lease_ends_with_the_server_that_gave_it() {
    let (tally, near) = (Rc::default(), Some(NearCache::new(LEASE)));
    for seed in 0..SEEDS {
        simulate(seed, near, ReplaceStore::new(), &tally);
        simulate(seed, near, FieldStore::new(), &tally);
    }
    assert!(
        tally.lost.get() > 1_000 && tally.leased.get() > 1_000,
        "{tally:?}"
    );
}

/// A store that compares versions and no tags is found out.
#[test]
fn to_compare_versions_alone_is_not_enough() {
    let tally = Rc::default();
    let mut found = 0;
    for seed in 0..SEEDS / 4 {
        let store = ReplaceStore::that_compares_versions_alone();
        let run = AssertUnwindSafe(|| simulate(seed, None, store, &tally));
        found += u32::from(catch_unwind(run).is_err());
    }
    assert!(found > 0, "of {SEEDS} / 4");
    println!("{found} of {}", SEEDS / 4);
}

fn simulate<E: Entry + Clone + Sync>(
    seed: u64,
    near: Option<NearCache>,
    store: MapStore<E>,
    tally: &Rc<Tally>,
) {
    let mut sim = Sim::new(seed);
    let site = Site::new(&sim, seed, store, near, tally);
    let rng = Rng::new(seed ^ 0xfa11);
    for node in 0..site.nodes.len() {
        let work = client(Rc::clone(&site), node, rng.next());
        site.spawn(&mut sim, work);
    }
    site.spawn(&mut sim, fail_over(Rc::clone(&site), rng.next()));
    site.run(&mut sim);
}

async fn fail_over<E: Entry + Clone + Sync>(site: Rc<Site<MapStore<E>>>, seed: u64) {
    let rng = Rng::new(seed);
    for _ in 0..=rng.below(3) {
        site.wait(rng.below(40)).await;
        let replica = site.server.store().snapshot();
        site.wait(rng.below(60)).await;
        // The new server has told nobody of anything. Some nodes notice at once, and some do not.
        site.server.forget_readers();
        site.server.store().restore(replica);
        let before: usize = site.ids.iter().map(|id| site.server.age(*id)).sum();
        site.server.look(None);
        let after: usize = site.ids.iter().map(|id| site.server.age(*id)).sum();
        site.lost(after - before);
        for wire in site.nodes.iter().filter_map(|node| node.wire()) {
            match rng.below(2) {
                0 => wire.close(),
                _ => {
                    wire.cut(Direction::ToServer);
                    wire.cut(Direction::ToClient);
                }
            }
        }
    }
}

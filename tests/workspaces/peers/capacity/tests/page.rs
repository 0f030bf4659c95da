//! The page is what the program computes, and the law predicts what was measured.

use std::fs;
use std::path::PathBuf;

use session_capacity::law::{self, RedisLaw};
use session_capacity::plan::{Machine, Store, Traffic, nodes};
use session_capacity::{COSTS, Costs, MongoSpace, page};

/// How far the law may be off, as the page says.
const REDIS: f64 = 0.02;
const MONGO: f64 = 0.05;

fn page_text() -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../..");
    fs::read_to_string(root.join(page::PATH)).unwrap()
}

#[test]
fn the_page_has_the_tables_that_the_costs_come_to() {
    let page = page_text();
    let computed = page::fill(&page, &COSTS).unwrap();
    assert!(
        page == computed,
        "run `tests/bench capacity --bless`:\n{computed}"
    );
}

#[test]
fn a_cost_that_changes_changes_the_page() {
    let page = page_text();
    let mut costs: Costs = COSTS;
    costs.packed.requests.load.cpu_us *= 2.0;
    assert_ne!(page::fill(&page, &costs).unwrap(), page);
}

#[test]
fn the_law_predicts_the_memory_of_redis_at_the_largest_size() {
    for redis in [COSTS.packed, COSTS.fields] {
        let (last, smaller) = redis.memory.split_last().unwrap();
        let error = law::error(
            RedisLaw::of(smaller).unwrap().used(last.sessions),
            last.used,
        );
        assert!(error <= REDIS, "off by {error}: {redis:?}");
    }
}

#[test]
fn the_law_predicts_the_space_of_mongodb_at_the_largest_size() {
    let (last, smaller) = COSTS.mongo.space.split_last().unwrap();
    let off = |bytes: fn(&MongoSpace) -> u64| {
        law::error(
            law::mongo(smaller, bytes).unwrap().at(last.sessions),
            bytes(last),
        )
    };
    // The files of indexes are no line at small sizes: the page shows by how much.
    assert!(off(|at| at.data) <= MONGO, "{}", off(|at| at.data));
    assert!(off(|at| at.storage) <= MONGO, "{}", off(|at| at.storage));
    assert!(off(law::cached) <= MONGO, "{}", off(law::cached));
}

/// What law 6 says: one command for a read, two for a write.
#[test]
fn reads_take_one_command_and_writes_two() {
    for store in Store::ALL {
        let requests = store.requests(&COSTS);
        let commands = [requests.load, requests.unchanged, requests.write].map(|r| r.commands);
        assert_eq!(commands, [1.0, 1.0, 2.0], "{}", store.name());
    }
}

#[test]
fn more_of_anything_takes_no_fewer_nodes() {
    let (traffic, machine) = (Traffic::default(), Machine::default());
    for store in Store::ALL {
        let primaries = |traffic: &Traffic, machine: &Machine| {
            nodes(store, &COSTS, traffic, machine).unwrap().primaries
        };
        let site = Traffic {
            sessions: 1_000_000_000,
            ..traffic
        };
        let base = primaries(&site, &machine);
        assert!(base > 1);
        let busy = Traffic {
            requests_per_hour: 120.0,
            ..site
        };
        assert!(primaries(&busy, &machine) > base);
        let cached = Traffic { near: 0.9, ..busy };
        assert!(primaries(&cached, &machine) < primaries(&busy, &machine));
        let small = Machine {
            memory_gib: 2.0,
            ..machine
        };
        assert!(primaries(&site, &small) > base);
        let twice = Traffic {
            sessions: 2 * site.sessions,
            ..site
        };
        let doubled = primaries(&twice, &machine);
        assert!(doubled == 2 * base || doubled + 1 == 2 * base);
    }
}

#[test]
fn a_cluster_of_redis_has_three_primaries_at_least() {
    let traffic = Traffic {
        sessions: 20_000_000,
        ..Traffic::default()
    };
    let of = |store| nodes(store, &COSTS, &traffic, &Machine::default()).unwrap();
    let redis = of(Store::Packed);
    assert_eq!((redis.by_memory, redis.primaries, redis.all), (2, 3, 9));
    assert_eq!(redis.limit(), "memory");
    let mongo = of(Store::Mongo);
    assert_eq!((mongo.by_memory, mongo.primaries), (2, 2));
}

/// Of 32 GiB, MongoDB takes 15.5 as its cache, and evicts from 12.4 on.
#[test]
fn what_mongodb_can_cache_is_less_than_half_of_its_memory() {
    let machine = |memory_gib, headroom| Machine {
        memory_gib,
        headroom,
        ..Machine::default()
    };
    let traffic = Traffic {
        sessions: 1_000_000_000,
        ..Traffic::default()
    };
    let by_memory = |machine| {
        let nodes = nodes(Store::Mongo, &COSTS, &traffic, &machine).unwrap();
        (nodes.by_memory, nodes.demand.memory / f64::from(1 << 30))
    };
    for (machine, usable) in [
        (machine(32.0, 0.5), 12.4),
        (machine(32.0, 0.0), 12.4),
        (machine(32.0, 0.75), 8.0),
        (machine(1.0, 0.5), 0.2),
    ] {
        let (nodes, gib) = by_memory(machine);
        assert_eq!(nodes, (gib / usable).ceil() as u64, "{machine:?}");
    }
}

#[test]
fn shares_that_cannot_be_are_refused() {
    let refused = |change: fn(&mut Traffic)| {
        let mut traffic = Traffic::default();
        change(&mut traffic);
        traffic.check().is_err()
    };
    assert!(!refused(|_| {}));
    assert!(refused(|traffic| traffic.writes = 1.1));
    assert!(refused(|traffic| traffic.writes = 0.98));
    assert!(refused(|traffic| traffic.near = -0.1));
    assert!(refused(
        |traffic| (traffic.near, traffic.unchanged) = (0.6, 0.6)
    ));
    let full = Machine {
        headroom: 1.0,
        ..Machine::default()
    };
    assert!(full.check().is_err());
}

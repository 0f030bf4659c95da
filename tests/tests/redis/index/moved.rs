//! Scans of a Cluster whose slots move meanwhile, and of one of its nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use session_core::SessionId;
use session_core::store::{Listed, RecordScan, ScanCursor, StoreError};
use session_redis::{Layout, RedisStore};
use session_tests::servers::{Engine, RedisCluster, RedisServer};

use super::scan::{PREFIX, again, entries, key};
use super::site::patient;
use super::steps::{anonymous, create, id, of};
use crate::faults_cluster::{begin_to_move, end_to_move};

/// A Cluster, and its primaries in the order of their slots.
struct Nodes {
    cluster: RedisCluster,
    order: Vec<usize>,
}

impl Nodes {
    fn start() -> Self {
        let cluster = RedisCluster::start(Engine::Redis7);
        let mut order: Vec<_> = (0..cluster.nodes().len())
            .filter_map(|i| Some((first_slot(&cluster.nodes()[i])?, i)))
            .collect();
        order.sort_unstable();
        assert_eq!(order.len(), 3);
        Self {
            order: order.into_iter().map(|(_, i)| i).collect(),
            cluster,
        }
    }

    /// The primaries: 0 has the lowest slots.
    fn node(&self, place: usize) -> &RedisServer {
        &self.cluster.nodes()[self.order[place]]
    }

    async fn store(&self, layout: Layout) -> RedisStore {
        patient(RedisStore::builder(self.cluster.url()), PREFIX, layout).await
    }

    /// The names on a primary that have their slots for themselves.
    fn lonely(&self, place: usize) -> Vec<String> {
        let node = self.node(place);
        let names = node.command(&["KEYS", "scan:*"]);
        let names: Vec<_> = names.items().iter().map(ToString::to_string).collect();
        let mut slots = BTreeMap::<i64, Vec<String>>::new();
        for name in names {
            let slot = node.command(&["CLUSTER", "KEYSLOT", &name]).integer();
            slots.entry(slot).or_default().push(name);
        }
        let alone = slots.into_values().filter(|names| names.len() == 1);
        alone.flatten().collect()
    }
}

/// The lowest slot of a primary.
fn first_slot(node: &RedisServer) -> Option<u16> {
    let text = node.command(&["CLUSTER", "NODES"]).text();
    let own = text.lines().find(|line| line.contains("myself"))?;
    let slots = own.split_whitespace().skip(8);
    let first = slots.filter(|it| !it.starts_with('['));
    first
        .filter_map(|it| it.split('-').next()?.parse().ok())
        .min()
}

/// The slot of a name without braces: CRC16/XMODEM, as the specification of the Cluster has it.
fn slot_of(name: &str) -> u16 {
    let crc = name.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| match crc >> 15 {
            0 => crc << 1,
            _ => (crc << 1) ^ 0x1021,
        })
    });
    crc % 16_384
}

async fn fill(store: &RedisStore, count: usize) -> BTreeSet<SessionId> {
    fill_slots(store, count, |_| true).await
}

/// New sessions, all of them in slots of this kind.
async fn fill_slots(
    store: &RedisStore,
    count: usize,
    is_meant: impl Fn(u16) -> bool,
) -> BTreeSet<SessionId> {
    let mut ids = BTreeSet::new();
    while ids.len() < count {
        let id = id();
        if is_meant(slot_of(&key(id))) {
            create(store, anonymous(id)).await.unwrap();
            ids.insert(id);
        }
    }
    ids
}

/// The rest of a scan.
async fn rest(
    store: &dyn RecordScan,
    mut from: Option<ScanCursor>,
    most: usize,
    found: &mut BTreeSet<SessionId>,
) {
    while from.is_some() {
        let page = store.scan_records(from.as_ref(), most).await.unwrap();
        found.extend(page.sessions.iter().map(Listed::id));
        from = again(page.next);
    }
}

/// Each time some slots go from a node that was not read to one that was, from the one that is
/// read, and back.
async fn slots_that_move_are_read_where_they_are(layout: Layout) {
    let nodes = Nodes::start();
    let store = nodes.store(layout).await;
    let ids = fill(&store, 240).await;
    for (most, from, to) in [
        (1_000, 2, 0),
        (1_000, 1, 0),
        (7, 0, 2),
        (7, 2, 0),
        (7, 1, 2),
    ] {
        let mut found = BTreeSet::new();
        let mut page = store.scan_records(None, most).await.unwrap();
        found.extend(page.sessions.iter().map(Listed::id));
        for _ in 0..2 {
            let mut names = nodes.lonely(from);
            names.truncate(3);
            for name in &names {
                begin_to_move(nodes.node(from), nodes.node(to), name);
                end_to_move(nodes.node(from), nodes.node(to), name);
            }
            let Some(next) = again(page.next.take()) else {
                break;
            };
            page = store.scan_records(Some(&next), most).await.unwrap();
            found.extend(page.sessions.iter().map(Listed::id));
        }
        rest(&store, again(page.next), most, &mut found).await;
        let missed = ids.difference(&found).count();
        assert_eq!(missed, 0, "{most} {from} {to}");
    }
}

/// The same for indexes, whose pages have cursors of their own.
async fn indexes_that_move_are_read_where_they_are(layout: Layout) {
    let nodes = Nodes::start();
    let store = nodes.store(layout).await;
    let mut right = BTreeSet::new();
    for n in 0..240 {
        let (id, name) = (id(), format!("user {}", n % 60));
        create(&store, of(id, &name)).await.unwrap();
        right.insert((name, id));
    }
    assert_eq!(entries(&store, 7).await, right);
    for (from, to) in [(2, 0), (0, 1)] {
        let (mut found, mut at, mut number) = (BTreeSet::new(), None, 0);
        loop {
            let page = store.scan_index(at.as_ref(), 5).await.unwrap();
            let entries = page.entries.into_iter();
            found.extend(entries.map(|(name, id)| (name.to_string(), id)));
            at = again(page.next);
            if at.is_none() {
                break;
            }
            number += 1;
            if number % 20 == 1 && number < 90 {
                let mut names = nodes.lonely(from);
                names.retain(|name| name.contains("principal"));
                for name in names.iter().take(2) {
                    begin_to_move(nodes.node(from), nodes.node(to), name);
                    end_to_move(nodes.node(from), nodes.node(to), name);
                }
            }
        }
        assert_eq!(right.difference(&found).count(), 0, "{from} {to}");
    }
}

/// A slot that is half-way between two nodes could be passed over.
async fn a_move_that_is_not_over_is_an_error(layout: Layout) {
    let nodes = Nodes::start();
    let store = nodes.store(layout).await;
    let ids = fill(&store, 120).await;
    let name = nodes.lonely(2).remove(0);
    let mut page = store.scan_records(None, 1_000).await.unwrap();
    let mut found: BTreeSet<_> = page.sessions.iter().map(Listed::id).collect();
    begin_to_move(nodes.node(2), nodes.node(0), &name);
    let (error, cursor) = loop {
        let next = again(page.next).unwrap();
        match store.scan_records(Some(&next), 1_000).await {
            Ok(more) => page = more,
            Err(error) => break (error, next),
        }
        found.extend(page.sessions.iter().map(Listed::id));
    };
    let StoreError::Unavailable(reason) = &error else {
        panic!("{error:?}")
    };
    assert!(
        reason
            .to_string()
            .contains("continue the scan, or begin it again"),
        "{reason}"
    );
    end_to_move(nodes.node(2), nodes.node(0), &name);
    rest(&store, Some(cursor), 1_000, &mut found).await;
    assert_eq!(found, ids);
    assert!(found.iter().any(|id| key(*id) == name));
}

/// The node that the slot goes to answers for the slot by which the scan looks for the next node.
async fn a_move_of_the_lowest_slot_of_a_node_is_an_error(layout: Layout) {
    let nodes = Nodes::start();
    let store = nodes.store(layout).await;
    let first = first_slot(nodes.node(1)).unwrap();
    // A move takes one name along, so the slot has no other.
    let lowest = fill_slots(&store, 1, |slot| slot == first).await;
    let mut ids = fill_slots(&store, 120, |slot| slot != first).await;
    let name = key(*lowest.first().unwrap());
    ids.extend(lowest);
    let page = store.scan_records(None, 1_000).await.unwrap();
    let mut found: BTreeSet<_> = page.sessions.iter().map(Listed::id).collect();
    begin_to_move(nodes.node(1), nodes.node(0), &name);
    let (mut cursor, mut pages) = (again(page.next).unwrap(), 0);
    let error = loop {
        match store.scan_records(Some(&cursor), 1_000).await {
            Ok(page) => {
                found.extend(page.sessions.iter().map(Listed::id));
                cursor = again(page.next).unwrap();
            }
            Err(error) => break error,
        }
        pages += 1;
        assert!(pages < 100, "it does not end");
    };
    let StoreError::Unavailable(reason) = &error else {
        panic!("{error:?}")
    };
    assert!(reason.to_string().contains("moving slots"), "{reason}");
    end_to_move(nodes.node(1), nodes.node(0), &name);
    rest(&store, Some(cursor), 1_000, &mut found).await;
    assert_eq!(found, ids);
}

/// A replica takes over while its primary, or another one, is read.
async fn a_fail_over_is_no_gap(layout: Layout) {
    let nodes = RedisCluster::start_to_fail_over(&RedisServer::builder(Engine::Redis7));
    let store = patient(RedisStore::builder(nodes.url()), PREFIX, layout).await;
    let store = Arc::new(store);
    let ids = fill(&store, 240).await;
    for place in 0..2 {
        let mut primaries: Vec<_> = (0..nodes.nodes().len())
            .filter_map(|i| Some((first_slot(&nodes.nodes()[i])?, i)))
            .collect();
        primaries.sort_unstable();
        let page = store.scan_records(None, 7).await.unwrap();
        let mut found: BTreeSet<_> = page.sessions.iter().map(Listed::id).collect();
        let new = nodes.order_fail_over(primaries[place].1);
        nodes.nodes()[new].wait_until(&["ROLE"], |role| role.items()[0].text() == "master");
        let mut next = again(page.next);
        while let Some(from) = next.take() {
            // The driver may need a moment to find the new one.
            match store.scan_records(Some(&from), 7).await {
                Ok(page) => {
                    found.extend(page.sessions.iter().map(Listed::id));
                    next = again(page.next);
                }
                Err(StoreError::Unavailable(_)) => {
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    next = Some(from);
                }
                Err(error) => panic!("{error:?}"),
            }
        }
        assert_eq!(ids.difference(&found).count(), 0, "{place}");
        nodes.wait_ok();
    }
}

/// It would return a third, and nobody would know.
async fn a_connection_to_one_node_is_no_scan_of_the_cluster(layout: Layout) {
    let nodes = Nodes::start();
    fill(&nodes.store(layout).await, 60).await;
    for place in 0..3 {
        // To connect may be refused already: by all nodes that lack one slot.
        let one = RedisStore::builder(nodes.node(place).url());
        let one = one.prefix(PREFIX).layout(layout).lazy().unwrap();
        for error in [
            one.scan_records(None, 100).await.map(drop).unwrap_err(),
            one.scan_index(None, 100).await.map(drop).unwrap_err(),
        ] {
            assert!(matches!(error, StoreError::Unsupported(_)), "{error:?}");
            assert!(error.to_string().contains("redis-cluster://"), "{error}");
        }
    }
}

in_both_layouts![
    slots_that_move_are_read_where_they_are,
    indexes_that_move_are_read_where_they_are,
    a_move_that_is_not_over_is_an_error,
    a_move_of_the_lowest_slot_of_a_node_is_an_error,
    a_fail_over_is_no_gap,
    a_connection_to_one_node_is_no_scan_of_the_cluster,
];

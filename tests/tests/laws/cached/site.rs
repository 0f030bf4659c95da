//! Nodes with caches over one server, and what each of them may show.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use session_core::store::{
    Changes, Metadata, NearCache, PrincipalIndex, Record, RecordKey, SessionStore, Update, Updated,
};
use session_core::{Codec, EndReason, Ended, Lifetime, ManualClock, SessionId, Timestamp};
use session_tests::feed::{Content, Node, Server, Settings};
use session_tests::{Rng, Sim};

pub(crate) const LEASE: Duration = Duration::from_millis(40);
pub(crate) const CAPACITY: usize = 16 * 5_000;
/// Whose sessions all are but one.
const PRINCIPAL: &str = "ann";
const ANONYMOUS: u8 = 1;

/// What was seen, so that a simulation that shows nothing is noticed.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) reads: Cell<u64>,
    pub(crate) leased: Cell<u64>,
    pub(crate) stale: Cell<u64>,
    pub(crate) failed: Cell<u64>,
    pub(crate) ends: Cell<u64>,
    pub(crate) lost: Cell<u64>,
}

/// Nodes over one server.
pub(crate) struct Site<S> {
    seed: u64,
    pub(crate) server: Arc<Server<S>>,
    pub(crate) nodes: Vec<Arc<Node<S>>>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) ids: Vec<SessionId>,
    settings: Settings,
    /// The change of a session that a node shows at least.
    floors: RefCell<HashMap<(usize, SessionId), usize>>,
    pub(crate) tally: Rc<Tally>,
    at_work: Cell<usize>,
}

impl<S: SessionStore> Site<S> {
    pub(crate) fn new(
        sim: &Sim,
        seed: u64,
        store: S,
        near: Option<NearCache>,
        tally: &Rc<Tally>,
    ) -> Rc<Self> {
        let (clock, rng) = (sim.clock(), Rng::new(seed));
        // All but one are in the same part of a cache, which has room for two or three.
        let ids =
            [[16; 16], [32; 16], [48; 16], [64; 16], [ANONYMOUS; 16]].map(SessionId::from_bytes);
        let server = Server::new(store, &ids, Arc::clone(&clock));
        let settings = Settings {
            near,
            capacity: CAPACITY,
            timeout: LEASE * 2,
        };
        let nodes = (0..2 + rng.below(3))
            .map(|_| Node::new(&server, settings, Arc::clone(&clock), rng.next()))
            .collect();
        Rc::new(Self {
            seed,
            server,
            nodes,
            clock,
            ids: ids.to_vec(),
            settings,
            floors: RefCell::default(),
            tally: Rc::clone(tally),
            at_work: Cell::new(0),
        })
    }

    /// Has `work` done, and ends the nodes once all such work is done.
    pub(crate) fn spawn(self: &Rc<Self>, sim: &mut Sim, work: impl Future<Output = ()> + 'static) {
        self.at_work.set(self.at_work.get() + 1);
        let site = Rc::clone(self);
        sim.spawn(async move {
            work.await;
            site.at_work.set(site.at_work.get() - 1);
            if site.at_work.get() == 0 {
                site.nodes.iter().for_each(|node| node.stop());
            }
        });
    }

    pub(crate) fn run(self: &Rc<Self>, sim: &mut Sim) {
        for node in &self.nodes {
            sim.spawn(Arc::clone(node).run());
        }
        sim.run();
        for node in &self.nodes {
            let stats = node.store.stats();
            add(&self.tally.leased, stats.leased);
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) async fn wait(&self, millis: usize) {
        use session_core::Clock;
        let time = Duration::from_millis(millis as u64);
        self.clock.sleep(time).await;
    }

    fn lease(&self) -> Option<Duration> {
        self.settings.near.map(|near| near.lease())
    }

    fn waits(&self) -> bool {
        self.settings
            .near
            .is_some_and(|near| near.waits_for_leases())
    }

    fn floor(&self, node: usize, id: SessionId) -> usize {
        let floors = self.floors.borrow();
        floors.get(&(node, id)).copied().unwrap_or(0)
    }

    /// From now on a node shows at least this change.
    fn raise(&self, node: usize, id: SessionId, age: usize) {
        let mut floors = self.floors.borrow_mut();
        let floor = floors.entry((node, id)).or_default();
        *floor = age.max(*floor);
    }

    /// Loads, and looks whether that may be shown.
    pub(crate) async fn read(&self, node: usize, id: SessionId) -> Option<Arc<Record>> {
        let begun = self.now();
        let at_begin = self.server.age(id);
        let oldest = match self.lease() {
            Some(lease) => {
                let millis = begun.as_millis() - u64::try_from(lease.as_millis()).unwrap();
                let within = self.server.age_at(id, Timestamp::from_millis(millis));
                within.max(self.floor(node, id))
            }
            None => at_begin,
        };
        let before = self.nodes[node].store.stats().leased;
        let loaded = self.nodes[node].store.load(&RecordKey::Id(id), begun).await;
        self.check_size(node);
        add(&self.tally.reads, 1);
        let Ok(found) = loaded else {
            add(&self.tally.failed, 1);
            return None;
        };
        let shown = Content::of(found.as_deref());
        // What is not there, or has ended, is never from a cache.
        let since = match shown.is_live() {
            true => oldest,
            false => at_begin,
        };
        assert!(
            self.server.had_since(id, since, shown),
            "seed {}: node {node} shows {shown:?} of {id:?}, which is older than change {since} of \
             {}; asked at {begun:?}",
            self.seed,
            self.server.age(id),
        );
        if self.server.content(id) != shown && self.nodes[node].store.stats().leased > before {
            add(&self.tally.stale, 1);
        }
        found.filter(|record| record.ended().is_none())
    }

    /// The server has lost this many contents. An end that was acknowledged may be one of them.
    pub(crate) fn lost(&self, count: usize) {
        add(&self.tally.lost, count as u64);
        self.floors.borrow_mut().clear();
    }

    fn check_size(&self, node: usize) {
        let stats = self.nodes[node].store.stats();
        assert!(stats.bytes <= CAPACITY, "seed {}: {stats:?}", self.seed);
    }

    /// An own write is over, whatever came of it: what is read from now on is not from before.
    fn wrote(&self, node: usize, id: SessionId) {
        self.raise(node, id, self.server.age(id));
        self.check_size(node);
    }

    pub(crate) async fn create(&self, node: usize, id: SessionId) {
        let mut record = Record::new(id, "id", Lifetime::default(), self.now());
        if id.as_bytes()[0] != ANONYMOUS {
            record = record.with_principal(PRINCIPAL);
        }
        let store = &self.nodes[node].store;
        let _ = store.create(&Arc::new(record), self.now()).await;
        self.wrote(node, id);
    }

    /// A change of what the node shows.
    pub(crate) async fn update(&self, node: usize, id: SessionId, n: u64) {
        let Some(base) = self.read(node, id).await else {
            return;
        };
        let mut changes = Changes::new();
        changes = match n % 3 {
            0 => changes.with_metadata(Metadata::Touched(self.now())),
            _ => changes.set(format!("k{}", n % 2), Codec::Json.encode(&n).unwrap()),
        };
        let record = Arc::new(changes.apply(&base));
        let update = Update::new(record, changes, base.epoch())
            .with_base_tag(base.tag())
            .with_expected_version(n.is_multiple_of(4).then_some(base.version()));
        let store = &self.nodes[node].store;
        let _ = store.update(&RecordKey::Id(id), &update, self.now()).await;
        self.wrote(node, id);
    }

    /// Ends a session in one of the ways there are.
    pub(crate) async fn end(&self, node: usize, id: SessionId, how: usize) {
        let ended = Ended::new(EndReason::Destroyed, self.now());
        let key = RecordKey::Id(id);
        let store = &self.nodes[node].store;
        let theirs = |id: &SessionId| id.as_bytes()[0] != ANONYMOUS;
        let ids: Vec<_> = match how % 4 {
            0 => vec![id],
            1 => [id].into_iter().filter(theirs).collect(),
            2 => self.ids.iter().copied().filter(theirs).collect(),
            _ => vec![id],
        };
        // What is not there yet may come and go while the call waits.
        let there = |id: &SessionId| self.server.content(*id) != Content::Absent;
        let concerns: Vec<_> = ids.iter().copied().filter(there).collect();
        let is_over = match how % 4 {
            0 => store.delete(&key, ended).await.is_ok(),
            1 => store.delete_one_of(PRINCIPAL, id, ended).await.is_ok(),
            2 => store.delete_all_of(PRINCIPAL, None, ended).await.is_ok(),
            _ => {
                let Some(base) = self.read(node, id).await else {
                    return;
                };
                let mark = ended.mark(id).with_version(base.version() + 1);
                let changes = Changes::new().clear().with_metadata(Metadata::Replaced);
                let update = Update::new(Arc::new(mark), changes, base.epoch())
                    .with_base_tag(base.tag())
                    .with_expected_version(base.version());
                let answer = store.update(&key, &update, self.now()).await;
                matches!(answer, Ok(Updated::Saved { .. } | Updated::Gone))
            }
        };
        if !self.waits() {
            ids.iter().for_each(|id| self.wrote(node, *id));
        }
        let ended = |id: &SessionId| is_over && self.server.content(*id) == Content::Ended;
        for id in concerns.into_iter().filter(ended) {
            add(&self.tally.ends, 1);
            let nodes = match self.waits() {
                true => 0..self.nodes.len(),
                false => node..node + 1,
            };
            nodes.for_each(|node| self.raise(node, id, self.server.age(id)));
        }
    }
}

pub(crate) fn add(cell: &Cell<u64>, n: u64) {
    cell.set(cell.get() + n);
}

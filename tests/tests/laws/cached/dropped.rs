//! Writes that nobody has waited for, that panicked, or whose outcome is unknown: what is cached
//! counts no more.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use futures_util::FutureExt;
use session_core::store::{
    CachedStore, ChangeFeed, Changes, NearCache, Record, RecordKey, SessionStore, StoreError,
    Update, index_of,
};
use session_core::{Codec, EndReason, Ended, Lifetime, SessionId};
use session_tests::{Around, Call, Fault, FaultStore, Hook, ReplaceStore, YieldStore, sim};

const ID: SessionId = SessionId::from_bytes([7; 16]);
const KEY: RecordKey = RecordKey::Id(ID);

/// A near cache that has a lease on a session, and what tells it.
fn leased<S: SessionStore>(store: S) -> (CachedStore<S>, ChangeFeed) {
    let near = NearCache::new(Duration::from_secs(3_600));
    let cached = CachedStore::new(store).with_near_cache(near);
    let invalidations = cached.invalidations();
    let feed = invalidations.begin();
    feed.renew(invalidations.now());
    let record = Record::new(ID, "id", Lifetime::default(), sim::START).with_principal("ann");
    run(cached.create(&Arc::new(record), sim::START)).unwrap();
    run(cached.load(&KEY, sim::START)).unwrap();
    run(cached.load(&KEY, sim::START)).unwrap();
    assert_eq!(cached.stats().leased, 1);
    (cached, feed)
}

/// Polls a future that is woken at once until it is over.
fn run<T>(future: impl Future<Output = T>) -> T {
    sim::Sim::new(0).block_on(future)
}

/// One of the writes that there are.
async fn write(
    store: &impl SessionStore,
    how: usize,
    base: &Arc<Record>,
) -> Result<(), StoreError> {
    let ended = Ended::new(EndReason::Destroyed, sim::START);
    match how {
        0 => {
            let changes = Changes::new().set("n", Codec::Json.encode(&how).unwrap());
            let update = Update::new(Arc::new(changes.apply(base)), changes, 0);
            store.update(&KEY, &update, sim::START).await.map(drop)
        }
        1 => store.delete(&KEY, ended).await,
        2 => index_of(store)?
            .delete_one_of("ann", ID, ended)
            .await
            .map(drop),
        _ => index_of(store)?
            .delete_all_of("ann", None, ended)
            .await
            .map(drop),
    }
}

fn shows_what_is_stored<S: SessionStore>(cached: &CachedStore<S>, what: &str) {
    let stored = run(cached.inner().load(&KEY, sim::START)).unwrap().unwrap();
    let shown = run(cached.load(&KEY, sim::START)).unwrap().unwrap();
    assert_eq!(shown, stored, "{what}");
}

#[test]
fn a_write_that_is_dropped_at_any_point_leaves_no_lease() {
    for seed in 0..32 {
        for (how, polls) in (0..4).flat_map(|how| (0..8).map(move |polls| (how, polls))) {
            let (cached, _feed) = leased(YieldStore::new(ReplaceStore::new(), seed));
            let base = run(cached.load(&KEY, sim::START)).unwrap().unwrap();
            {
                let mut writing = pin!(write(&cached, how, &base));
                let mut context = Context::from_waker(Waker::noop());
                let mut over = false;
                for _ in 0..polls {
                    over = over || writing.as_mut().poll(&mut context).is_ready();
                }
            }
            shows_what_is_stored(
                &cached,
                &format!("write {how}, dropped after {polls} polls"),
            );
        }
    }
}

#[test]
fn a_write_of_unknown_outcome_leaves_no_lease() {
    for (how, fault) in (0..4).flat_map(|how| {
        [Fault::LostRequest, Fault::LostAnswer, Fault::Unavailable].map(|fault| (how, fault))
    }) {
        let (cached, _feed) = leased(FaultStore::new(ReplaceStore::new()));
        let base = run(cached.load(&KEY, sim::START)).unwrap().unwrap();
        let call = [
            Call::Update,
            Call::Delete,
            Call::DeleteMany,
            Call::DeleteMany,
        ][how];
        cached.inner().plan(call, fault);
        let answer = run(write(&cached, how, &base));
        assert!(answer.is_err(), "write {how}, {fault:?}");
        shows_what_is_stored(&cached, &format!("write {how}, {fault:?}"));
    }
}

#[test]
fn a_write_that_panics_leaves_no_lease_and_no_lock() {
    for how in 0..4 {
        let inner = ReplaceStore::new();
        let (cached, _feed) = leased(Around::with_hook(inner, PanicsAfterWrites));
        let base = run(cached.load(&KEY, sim::START)).unwrap().unwrap();
        let writing = AssertUnwindSafe(|| write(&cached, how, &base).now_or_never());
        assert!(catch_unwind(writing).is_err());
        shows_what_is_stored(&cached, &format!("write {how}"));
    }
}

#[derive(Debug)]
struct PanicsAfterWrites;

impl Hook for PanicsAfterWrites {
    async fn around<T: Send>(
        &self,
        call: Call,
        inner: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let answer = inner.await;
        match call {
            Call::Load | Call::List | Call::Create => answer,
            Call::Update | Call::Delete | Call::DeleteMany => panic!("on purpose"),
        }
    }
}

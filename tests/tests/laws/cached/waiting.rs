//! Ends that wait for the leases of other processes.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use futures_util::FutureExt;
use session_core::store::{
    CachedStore, Changes, Metadata, NearCache, PrincipalIndex, Record, RecordKey, SessionStore,
    Update,
};
use session_core::{EndReason, Ended, Lifetime, SessionId};
use session_tests::{ReplaceStore, sim, story};

use super::site::LEASE;

const ID: SessionId = SessionId::from_bytes([7; 16]);
const KEY: RecordKey = RecordKey::Id(ID);
const ENDED: Ended = Ended::new(EndReason::Destroyed, sim::START);

/// If another call was faster, it may have been so a moment ago.
#[test]
fn every_end_outwaits_the_leases_of_others_and_so_does_one_that_comes_second() {
    for (how, comes_second) in (0..4).flat_map(|how| [(how, false), (how, true)]) {
        let clock = story::clock();
        let near = NearCache::new(LEASE).with_waiting_ends();
        let cached = CachedStore::new(ReplaceStore::new())
            .with_near_cache(near)
            .with_clock(Arc::clone(&clock));
        let record = Record::new(ID, "id", Lifetime::default(), sim::START).with_principal("ann");
        let record = Arc::new(record);
        cached
            .create(&record, sim::START)
            .now_or_never()
            .unwrap()
            .unwrap();
        if comes_second {
            cached
                .inner()
                .delete(&KEY, ENDED)
                .now_or_never()
                .unwrap()
                .unwrap();
        }
        let mut ending = pin!(end(&cached, how, &record));
        let mut is_over = || {
            let mut context = Context::from_waker(Waker::noop());
            ending.as_mut().poll(&mut context).is_ready()
        };
        let (last, what) = (Duration::from_millis(1), (how, comes_second));
        assert!(!is_over(), "{what:?}");
        clock.advance(LEASE - last);
        assert!(!is_over(), "{what:?}");
        clock.advance(last);
        assert!(is_over(), "{what:?}");
    }
}

async fn end(cached: &CachedStore<ReplaceStore>, how: usize, base: &Record) {
    match how {
        0 => cached.delete(&KEY, ENDED).await.unwrap(),
        1 => drop(cached.delete_one_of("ann", ID, ENDED).await.unwrap()),
        2 => drop(cached.delete_all_of("ann", None, ENDED).await.unwrap()),
        _ => {
            let mark = ENDED.mark(ID).with_version(base.version() + 1);
            let changes = Changes::new().clear().with_metadata(Metadata::Replaced);
            let update = Update::new(Arc::new(mark), changes, base.epoch());
            drop(cached.update(&KEY, &update, sim::START).await.unwrap());
        }
    }
}

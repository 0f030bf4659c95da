//! `SessionManager::sweep_every` removes what has expired, and goes on when the store fails.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use session_core::{Event, EventKind, MemoryStore};
use session_tests::{Call, Fault, FaultStore, create, stage};

const MINUTE: Duration = Duration::from_secs(60);
const MILLI: Duration = Duration::from_millis(1);

#[test]
fn a_sweep_comes_at_once_and_then_each_minute_whatever_the_store_answers() {
    let records = Arc::new(MemoryStore::new());
    let faults = FaultStore::new(Arc::clone(&records));
    let failed = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&failed);
    let (manager, store, clock) = stage(Arc::clone(&faults), |builder| {
        builder.observer(move |event: &Event<'_>| {
            if event.kind == EventKind::StoreFailed {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        })
    });
    let mut sweeping = pin!(manager.sweep_every(MINUTE));
    let mut sweeps = || {
        assert!(sweeping.as_mut().now_or_never().is_none());
        store.take().others
    };
    assert_eq!(sweeps(), 1);
    for fault in [
        Fault::None,
        Fault::Unavailable,
        Fault::LostAnswer,
        Fault::None,
    ] {
        faults.plan(Call::DeleteMany, fault);
        clock.advance(MINUTE - MILLI);
        assert_eq!(sweeps(), 0);
        clock.advance(MILLI);
        assert_eq!(sweeps(), 1, "{fault:?}");
    }
    assert_eq!(failed.load(Ordering::Relaxed), 2);
    // One that hangs is given up after a minute, and tried again a minute later.
    faults.plan(Call::DeleteMany, Fault::Hang);
    clock.advance(MINUTE);
    assert_eq!(sweeps(), 1);
    clock.advance(MINUTE - MILLI);
    assert_eq!((sweeps(), failed.load(Ordering::Relaxed)), (0, 2));
    clock.advance(MILLI);
    assert_eq!((sweeps(), failed.load(Ordering::Relaxed)), (0, 3));
    clock.advance(MINUTE);
    assert_eq!(sweeps(), 1);

    create(&manager, [("n", 1)]).now_or_never().unwrap();
    assert_eq!(records.len(), 1);
    clock.advance(manager.lifetime().idle());
    assert_eq!((sweeps(), records.len()), (1, 0));
}

#[test]
fn nobody_sweeps_more_often_than_once_a_second() {
    let (manager, store, clock) = stage(Arc::new(MemoryStore::new()), |builder| builder);
    let mut sweeping = pin!(manager.sweep_every(Duration::ZERO));
    assert!(sweeping.as_mut().now_or_never().is_none());
    clock.advance(Duration::from_secs(1) - MILLI);
    assert!(sweeping.as_mut().now_or_never().is_none());
    assert_eq!(store.take().others, 1);
    clock.advance(MILLI);
    assert!(sweeping.as_mut().now_or_never().is_none());
    assert_eq!(store.take().others, 1);
}

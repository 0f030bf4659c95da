//! Instants, and the clocks that they come from.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use session_core::{Clock, ManualClock, Sleep, SystemClock, Timestamp};

const SECOND: Duration = Duration::from_secs(1);

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

#[test]
fn instants_never_leave_their_range() {
    assert_eq!(at(5).as_millis(), 5);
    assert_eq!(at(5) + SECOND, at(1_005));
    assert_eq!(at(5) + Duration::from_micros(1_999), at(6));
    assert_eq!(at(u64::MAX - 1_000) + SECOND, at(u64::MAX));
    assert_eq!(at(u64::MAX - 999) + SECOND, at(u64::MAX));
    assert_eq!(at(0) + Duration::MAX, at(u64::MAX));
    assert_eq!(at(1_005).duration_since(at(5)), SECOND);
    assert_eq!(at(5).duration_since(at(5)), Duration::ZERO);
    assert_eq!(at(5).duration_since(at(1_005)), Duration::ZERO);
    assert_eq!(Timestamp::default(), at(0));
    assert!(at(1) < at(2));
}

#[test]
fn system_time_there_and_back() {
    let time = UNIX_EPOCH + Duration::from_micros(1_234_567);
    assert_eq!(Timestamp::from(time), at(1_234));
    assert_eq!(
        SystemTime::from(at(1_234)),
        UNIX_EPOCH + Duration::from_millis(1_234)
    );
    assert_eq!(Timestamp::from(UNIX_EPOCH - SECOND), at(0));
    assert_eq!(SystemTime::from(at(0)), UNIX_EPOCH);
}

#[test]
fn an_instant_is_stored_as_its_number() {
    assert_eq!(serde_json::to_string(&at(1_234)).unwrap(), "1234");
    assert_eq!(
        serde_json::from_str::<Timestamp>("1234").unwrap(),
        at(1_234)
    );
}

/// Notes who was woken, in order.
struct Bell {
    name: usize,
    rung: Arc<Mutex<Vec<usize>>>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.lock().unwrap().push(self.name);
    }
}

fn poll(sleep: &mut Sleep, waker: &Waker) -> bool {
    sleep
        .as_mut()
        .poll(&mut Context::from_waker(waker))
        .is_ready()
}

#[test]
fn a_manual_clock_stands_still_until_it_is_moved() {
    let clock = ManualClock::new(at(1_000));
    assert_eq!(clock.now(), at(1_000));
    assert_eq!(Clock::now(&clock), at(1_000));
    clock.advance(SECOND);
    clock.advance(Duration::ZERO);
    assert_eq!(Clock::now(&clock), at(2_000));
    assert_eq!(
        format!("{clock:?}"),
        "ManualClock { now: Timestamp(2000), .. }"
    );
}

#[test]
fn a_manual_clock_wakes_whoever_is_due() {
    let clock = ManualClock::new(at(1_000));
    let rung = Arc::new(Mutex::new(Vec::new()));
    let mut sleeps: Vec<_> = [1, 2, 3]
        .map(|n| {
            let rung = Arc::clone(&rung);
            let waker = Waker::from(Arc::new(Bell {
                name: n as usize,
                rung,
            }));
            (clock.sleep(SECOND * n), waker)
        })
        .into();
    for (sleep, waker) in &mut sleeps {
        assert!(!poll(sleep, waker));
    }
    let rung = || std::mem::take(&mut *rung.lock().unwrap());
    clock.advance(Duration::from_millis(999));
    assert!(rung().is_empty());
    clock.advance(Duration::from_millis(1));
    assert_eq!(rung(), [1]);
    let ready: Vec<_> = sleeps
        .iter_mut()
        .map(|(sleep, waker)| poll(sleep, waker))
        .collect();
    assert_eq!(ready, [true, false, false]);
    rung();
    clock.advance(SECOND * 10);
    let woken = rung();
    assert_eq!(woken.first(), Some(&2));
    assert_eq!(woken.last(), Some(&3));
    assert!(
        sleeps
            .iter_mut()
            .skip(1)
            .all(|(sleep, waker)| poll(sleep, waker))
    );
}

#[test]
fn a_sleep_counts_from_when_it_was_asked_for() {
    let clock = ManualClock::new(at(1_000));
    let mut sleep = clock.sleep(SECOND);
    let mut none = clock.sleep(Duration::ZERO);
    assert!(poll(&mut none, Waker::noop()));
    clock.advance(SECOND);
    assert!(poll(&mut sleep, Waker::noop()), "nobody had looked before");
}

/// Runs a future on this thread, without tokio.
fn block_on<F: Future + Unpin>(mut future: F) -> (F::Output, usize) {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let polls = AtomicUsize::new(0);
    loop {
        polls.fetch_add(1, Ordering::Relaxed);
        if let Poll::Ready(output) = Pin::new(&mut future).poll(&mut Context::from_waker(&waker)) {
            return (output, polls.into_inner());
        }
        std::thread::park_timeout(SECOND * 10);
    }
}

#[test]
fn the_system_clock_sleeps_outside_of_tokio() {
    let begun = Instant::now();
    let sleep = SystemClock.sleep(Duration::from_millis(5));
    let ((), polls) = block_on(sleep);
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(5), "{took:?}");
    assert!(took < SECOND * 5, "it was woken: {took:?}");
    assert!(polls < 10);
}

#[tokio::test]
async fn the_system_clock_sleeps_inside_of_tokio() {
    let begun = Instant::now();
    SystemClock.sleep(Duration::from_millis(1)).await;
    assert!(begun.elapsed() >= Duration::from_millis(1));
}

#[test]
fn the_system_clock_shows_the_time() {
    let before = Timestamp::from(SystemTime::now());
    let now = SystemClock.now();
    let after = Timestamp::from(SystemTime::now());
    assert!(before <= now && now <= after);
}

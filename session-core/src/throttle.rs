//! How much of one kind the log gets.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Timestamp;

const WINDOW_MILLIS: u64 = 60_000;
const PER_WINDOW: u64 = 60;

/// Admits 60 events a minute and counts the rest.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    window: AtomicU64,
    count: AtomicU64,
}

impl Throttle {
    /// `None` to stay silent; otherwise how many were silenced in the window before.
    /// Two threads at the turn of a window may admit one more or miscount by one.
    pub(crate) fn admit(&self, now: Timestamp) -> Option<u64> {
        let window = now.as_millis() / WINDOW_MILLIS;
        if self.window.swap(window, Ordering::Relaxed) != window {
            let before = self.count.swap(1, Ordering::Relaxed);
            return Some(before.saturating_sub(PER_WINDOW));
        }
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        (count < PER_WINDOW).then_some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted() {
        let throttle = Throttle::default();
        let at = |minute: u64| Timestamp::from_millis(minute * WINDOW_MILLIS + 5);
        let admitted = (0..1_000).filter(|_| throttle.admit(at(3)).is_some()).count();
        assert_eq!(admitted, 60);
        assert_eq!(throttle.admit(at(4)), Some(940));
        assert_eq!(throttle.admit(at(4)), Some(0));
        assert_eq!(throttle.admit(at(5)), Some(0));
    }
}

//! How many lines of each kind the log gets.

use std::sync::{Mutex, PoisonError};

use crate::event::EventKind;
use crate::time::Timestamp;

const WINDOW_MILLIS: u64 = 60_000;
const PER_WINDOW: u64 = 60;
/// Room for the usual number of kinds and reasons, so that an event allocates nothing.
const USUAL: usize = 48;

/// Allows 60 lines a minute of each kind and reason, and counts the others.
///
/// Each has its own budget, so a client that causes thousands of one kind suppresses no other.
/// There are few, because the reasons are constants of the program.
#[derive(Debug)]
pub(crate) struct Throttles(Mutex<Vec<Throttle>>);

#[derive(Debug)]
struct Throttle {
    of: (EventKind, &'static str),
    window: u64,
    count: u64,
}

impl Default for Throttles {
    fn default() -> Self {
        Self(Mutex::new(Vec::with_capacity(USUAL)))
    }
}

impl Throttles {
    /// `None` if the line has to be suppressed; otherwise how many were since the last one.
    pub(crate) fn allow(
        &self,
        kind: EventKind,
        reason: &'static str,
        now: Timestamp,
    ) -> Option<u64> {
        let window = now.as_millis() / WINDOW_MILLIS;
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all
            .iter_mut()
            .find(|throttle| throttle.of == (kind, reason))
        {
            Some(throttle) => throttle.allow(window),
            None => {
                all.push(Throttle {
                    of: (kind, reason),
                    window,
                    count: 1,
                });
                Some(0)
            }
        }
    }
}

impl Throttle {
    fn allow(&mut self, window: u64) -> Option<u64> {
        // A thread that read the clock a moment earlier belongs to this window. A clock that was
        // set back starts a new one.
        if window == self.window || window + 1 == self.window {
            self.count += 1;
            return (self.count <= PER_WINDOW).then_some(0);
        }
        self.window = window;
        let before = std::mem::replace(&mut self.count, 1);
        Some(before.saturating_sub(PER_WINDOW))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [(EventKind, &str); 4] = [
        (EventKind::Created, ""),
        (EventKind::Refused, ""),
        (EventKind::Refused, "forged"),
        (EventKind::Refused, "ambiguous"),
    ];

    fn at(minute: u64) -> Timestamp {
        Timestamp::from_millis(minute * WINDOW_MILLIS + 5)
    }

    #[test]
    fn a_flood_of_each_kind_is_cut_and_counted_and_silences_no_other() {
        let throttles = Throttles::default();
        for (kind, reason) in KINDS {
            let admit = |minute| throttles.allow(kind, reason, at(minute));
            let admitted = (0..1_000).filter(|_| admit(3).is_some()).count();
            assert_eq!(admitted, 60, "{kind:?} {reason}");
        }
        for (kind, reason) in KINDS {
            let admit = |minute| throttles.allow(kind, reason, at(minute));
            assert_eq!(admit(4), Some(940), "{kind:?} {reason}");
            assert_eq!(admit(4), Some(0));
            assert_eq!(admit(9), Some(0));
        }
    }

    #[test]
    fn a_clock_that_was_set_back_silences_nobody() {
        let throttles = Throttles::default();
        let admitted = |minute| {
            let admit = |_: &u32| {
                throttles
                    .allow(EventKind::Created, "", at(minute))
                    .is_some()
            };
            (0..100).filter(admit).count()
        };
        for minute in [1_000_000, 3, 4, 2_000, 1] {
            assert_eq!(admitted(minute), 60, "{minute}");
        }
    }

    #[test]
    fn threads_at_the_turn_of_a_minute_share_one_budget() {
        let throttles = Throttles::default();
        let admit = |n: &u64| {
            throttles
                .allow(EventKind::Created, "", at(7 + n % 2))
                .is_some()
        };
        assert_eq!((0..1_000).filter(admit).count(), 1 + 60);
    }
}

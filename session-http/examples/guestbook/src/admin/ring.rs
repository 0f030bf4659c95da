//! What happened in the last 15 minutes, in intervals of fixed length.

use std::time::Duration;

use session_core::Timestamp;

/// How long an interval is: one bar of a plot.
pub(super) const INTERVAL: Duration = Duration::from_secs(15);
/// How many intervals are kept, with the one that has just begun.
pub(super) const INTERVALS: usize = 60;

/// An event can be noticed so many intervals after a later one. Whatever is further ahead of the
/// clock is from before it was set back.
const LATE: u64 = 4;

/// A value for each of the last [`INTERVALS`]. It never grows: a new interval takes the place of
/// the oldest one.
#[derive(Debug)]
pub(super) struct Ring<T> {
    slots: Vec<Slot<T>>,
    /// No slot has a later interval.
    latest: u64,
}

#[derive(Debug, Default)]
struct Slot<T> {
    /// Which interval it holds, counted from 1970. 0 if none.
    number: u64,
    value: T,
}

impl<T: Default> Default for Ring<T> {
    fn default() -> Self {
        Self {
            slots: (0..INTERVALS).map(|_| Slot::default()).collect(),
            latest: 0,
        }
    }
}

impl<T: Default> Ring<T> {
    /// Changes the value of the interval that holds this moment.
    ///
    /// The slot is emptied if it has any other interval, even a later one. Then the clock was set
    /// back, and what the slot has would otherwise block it until the clock is there again.
    pub(super) fn change(&mut self, at: Timestamp, change: impl FnOnce(&mut T)) {
        self.look_at(at);
        let number = number(at);
        let slot = self.slots.get_mut(index(number));
        // There is a slot for each index.
        if let Some(slot) = slot {
            if slot.number != number {
                *slot = Slot {
                    number,
                    value: T::default(),
                };
            }
            change(&mut slot.value);
        }
    }

    /// Forgets what is ahead of this time, if the clock was set back. Otherwise it would be shown
    /// as new when the clock is there again.
    pub(super) fn look_at(&mut self, now: Timestamp) {
        let number = number(now);
        if number.saturating_add(LATE) < self.latest {
            for slot in self.slots.iter_mut().filter(|slot| slot.number > number) {
                *slot = Slot::default();
            }
            self.latest = number;
        }
        self.latest = self.latest.max(number);
    }

    /// The values of the last [`INTERVALS`], the oldest first. `None` where nothing happened.
    pub(super) fn recent(&self, now: Timestamp) -> [Option<&T>; INTERVALS] {
        let last = number(now);
        std::array::from_fn(|at| {
            let number = last.checked_sub((INTERVALS - 1 - at) as u64)?;
            let slot = self.slots.get(index(number))?;
            (slot.number == number).then_some(&slot.value)
        })
    }
}

/// When the interval began that is the `at`th of those that `recent` returns.
pub(super) fn begin(at: usize, now: Timestamp) -> Timestamp {
    let before = (INTERVALS - 1).saturating_sub(at) as u64;
    let number = number(now).saturating_sub(before);
    Timestamp::from_millis(number.saturating_sub(1) * millis())
}

/// From 1, since 0 is an empty slot.
fn number(at: Timestamp) -> u64 {
    at.as_millis() / millis() + 1
}

fn index(number: u64) -> usize {
    (number % INTERVALS as u64) as usize
}

const fn millis() -> u64 {
    INTERVAL.as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_millis(1_764_504_000_000);
    const WINDOW: Duration = Duration::from_secs(15 * 60);

    fn counts(ring: &Ring<u32>, now: Timestamp) -> [u32; INTERVALS] {
        ring.recent(now)
            .map(|count| count.copied().unwrap_or_default())
    }

    #[test]
    fn an_interval_is_counted_for_fifteen_minutes() {
        let mut ring = Ring::default();
        ring.change(NOON, |count: &mut u32| *count += 1);
        ring.change(NOON + INTERVAL / 2, |count| *count += 1);
        ring.change(NOON + INTERVAL, |count| *count += 5);
        let now = counts(&ring, NOON + INTERVAL);
        assert_eq!(now[INTERVALS - 2..], [2, 5]);
        assert_eq!(now.iter().sum::<u32>(), 7);
        let later = counts(&ring, NOON + WINDOW - Duration::from_millis(1));
        assert_eq!((later[0], later[1]), (2, 5));
        assert_eq!(counts(&ring, NOON + WINDOW)[0], 5);
        assert_eq!(counts(&ring, NOON + WINDOW * 2), [0; INTERVALS]);
    }

    #[test]
    fn a_new_interval_takes_the_place_of_the_oldest_one() {
        let mut ring = Ring::default();
        for step in 0..10 * INTERVALS as u32 {
            ring.change(NOON + INTERVAL * step, |count: &mut u32| *count += step);
        }
        let last = 10 * INTERVALS as u32 - 1;
        let expected: Vec<_> = (last - 59..=last).collect();
        assert_eq!(counts(&ring, NOON + INTERVAL * last), expected[..]);
        assert_eq!(ring.slots.len(), INTERVALS);
    }

    #[test]
    fn late_and_early_times_do_no_harm() {
        let mut ring = Ring::default();
        ring.change(NOON, |count: &mut u32| *count += 1);
        ring.change(NOON - INTERVAL, |count| *count += 2); // noticed late
        assert_eq!(counts(&ring, NOON)[INTERVALS - 2..], [2, 1]);
        // The clock is set back by a day: nothing blocks the ring.
        let back = NOON - Duration::from_secs(86_400);
        ring.change(back, |count| *count += 3);
        assert_eq!(counts(&ring, back)[INTERVALS - 1], 3);
        // Both ends of time.
        for at in [0, u64::MAX] {
            let at = Timestamp::from_millis(at);
            ring.change(at, |count| *count += 4);
            assert_eq!(counts(&ring, at)[INTERVALS - 1], 4);
        }
    }

    #[test]
    fn what_a_clock_that_was_set_back_has_left_is_no_news() {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        for looked_at in [true, false] {
            let mut ring = Ring::default();
            ring.change(NOON, |count: &mut u32| *count += 7);
            // Not by a multiple of 15 minutes, so that another slot is used.
            let back = NOON - minutes(70);
            if looked_at {
                ring.look_at(back);
            } else {
                ring.change(back, |count| *count += 1);
            }
            assert_eq!(counts(&ring, back)[INTERVALS - 1], u32::from(!looked_at));
            assert_eq!(counts(&ring, NOON), [0; INTERVALS]);
            ring.change(NOON, |count| *count += 1);
            assert_eq!(counts(&ring, NOON)[INTERVALS - 1], 1);
        }
        // What is noticed late forgets nothing.
        let mut ring = Ring::default();
        ring.change(NOON, |count: &mut u32| *count += 7);
        ring.change(NOON - minutes(1), |count| *count += 1);
        assert_eq!(counts(&ring, NOON)[INTERVALS - 1], 7);
    }

    #[test]
    fn intervals_begin_at_whole_quarters_of_a_minute() {
        let now = NOON + Duration::from_secs(7);
        assert_eq!(begin(INTERVALS - 1, now), NOON);
        assert_eq!(begin(0, now), NOON - INTERVAL * 59);
        assert_eq!(begin(0, Timestamp::from_millis(0)).as_millis(), 0);
    }
}

//! Some slots of a Cluster.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::slot::SLOTS;

/// What stands for no slots at all.
const NONE: &str = "-";

/// Ranges in order, with a gap after each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slots(Vec<RangeInclusive<u16>>);

impl Slots {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn contains(&self, slot: u16) -> bool {
        self.0.iter().any(|range| range.contains(&slot))
    }

    /// The lowest slot that is not one of these.
    pub(crate) fn first_missing(&self) -> Option<u16> {
        let first = match self.0.first() {
            Some(range) if *range.start() == 0 => *range.end() + 1,
            _ => 0,
        };
        (first < SLOTS).then_some(first)
    }

    pub(crate) fn add(&mut self, others: &Self) {
        self.0.extend(others.0.iter().cloned());
        self.join();
    }

    fn join(&mut self) {
        self.0.sort_by_key(|range| *range.start());
        let mut joined: Vec<RangeInclusive<u16>> = Vec::with_capacity(self.0.len());
        for range in self.0.drain(..) {
            match joined.last_mut() {
                Some(last) if *range.start() <= *last.end() + 1 => {
                    *last = *last.start()..=*range.end().max(last.end());
                }
                _ => joined.push(range),
            }
        }
        self.0 = joined;
    }
}

impl FromIterator<RangeInclusive<u16>> for Slots {
    fn from_iter<I: IntoIterator<Item = RangeInclusive<u16>>>(ranges: I) -> Self {
        let mut slots = Self(ranges.into_iter().collect());
        slots.join();
        slots
    }
}

/// `5` or `0-5460`, as `CLUSTER NODES` has it.
pub(crate) fn range_of(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last && last < SLOTS).then_some(first..=last)
}

impl fmt::Display for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str(NONE);
        }
        for (number, range) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(f, "{comma}{}-{}", range.start(), range.end())?;
        }
        Ok(())
    }
}

impl FromStr for Slots {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            NONE => Ok(Self::default()),
            _ => text.split(',').map(|it| range_of(it).ok_or(())).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "these are tests")]

    use super::*;

    #[test]
    fn slots_are_added_and_read_as_they_were_written() {
        let mut slots: Slots = "5-7,0-1".parse().unwrap();
        assert_eq!(slots.first_missing(), Some(2));
        slots.add(&"2-3".parse().unwrap());
        assert_eq!(slots.to_string(), "0-3,5-7");
        assert_eq!(slots.first_missing(), Some(4));
        assert!(slots.contains(3) && slots.contains(5) && !slots.contains(4));
        slots.add(&"4,2-6,9-16383".parse().unwrap());
        assert_eq!(slots.first_missing(), Some(8));
        slots.add(&"8".parse().unwrap());
        assert_eq!(slots.to_string(), "0-16383");
        assert_eq!(slots.first_missing(), None);
        let none: Slots = "-".parse().unwrap();
        assert_eq!(
            (none.to_string(), none.first_missing()),
            ("-".into(), Some(0))
        );
        for text in ["", "16384", "7-6", "1-2-3", "x", "1,", "-1"] {
            assert!(text.parse::<Slots>().is_err(), "{text}");
        }
    }
}

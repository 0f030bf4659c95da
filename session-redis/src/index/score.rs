//! What the score of an entry says.

use session_core::Timestamp;
use session_core::store::StoreError;

use crate::commands::{Entry, Repair};

/// How many seconds a session must have been missing before its entry is removed. A sign-in takes
/// no longer.
pub(super) const MISSED: u64 = 60;
/// From here down an entry is revoked; `confirm.lua` knows it too. Timestamps do not get there.
const REVOKED: i64 = -(1 << 52);
/// How many bits of a mark are random, so that nobody else makes the same one in the same second.
const DRAWN: u32 = 20;

/// What a score says. No two marks are the same, so a mark that is there has been there all the
/// time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Score {
    /// The session's deadline, in milliseconds.
    Deadline,
    /// A mark: the session was not found, in this second of somebody's clock.
    Missed(u64),
    /// A mark: all sessions of the principal were ended.
    Revoked,
}

impl Score {
    /// What a score says, whoever has put it there.
    pub(super) fn of(score: f64) -> Self {
        if score >= 0.0 {
            Self::Deadline
        } else if score > REVOKED as f64 {
            Self::Missed(((-score) as u64) >> DRAWN)
        } else {
            Self::Revoked
        }
    }

    /// A new mark: the session was not found.
    pub(super) fn missed(now: Timestamp) -> Result<i64, StoreError> {
        let drawn = i64::from(getrandom::u32().map_err(failed)? >> (u32::BITS - DRAWN)) | 1;
        Ok(-((i64::from(seconds(now)) << DRAWN) | drawn))
    }

    /// The scores of entries whose sessions were found missing more than this many seconds ago.
    pub(super) fn missed_before(now: Timestamp, age: u64) -> [String; 2] {
        let when = u64::from(seconds(now)).saturating_sub(age + 1);
        let oldest = (when << DRAWN) | ((1 << DRAWN) - 1);
        [format!("-{oldest}"), "(0".to_owned()]
    }

    /// The scores of entries that are revoked.
    pub(super) fn all_revoked() -> [String; 2] {
        ["-inf".to_owned(), REVOKED.to_string()]
    }

    /// A new mark: the session is about to be ended.
    pub(super) fn revoked() -> Result<i64, StoreError> {
        let drawn = getrandom::u64().map_err(failed)? >> 12;
        Ok(REVOKED.saturating_sub_unsigned(drawn))
    }
}

fn seconds(now: Timestamp) -> u32 {
    u32::try_from(now.as_millis() / 1000).unwrap_or(u32::MAX)
}

/// What to do with entries whose sessions are missing. A session may be about to be written, so the
/// first time its entry is only marked.
pub(super) fn repairs_of_missing(entries: &[Entry], now: Timestamp) -> Vec<Repair> {
    let repair = |&entry: &Entry| match Score::of(entry.score) {
        Score::Deadline => Some(Repair::Mark(entry, Score::missed(now).ok()?)),
        Score::Missed(when) if u64::from(seconds(now)).saturating_sub(when) <= MISSED => None,
        Score::Missed(_) | Score::Revoked => Some(Repair::Remove(entry)),
    };
    entries.iter().filter_map(repair).collect()
}

fn failed(error: getrandom::Error) -> StoreError {
    StoreError::unavailable(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_told_apart_whatever_the_time() {
        for millis in [
            0,
            999,
            1_700_000_000_000,
            u64::from(u32::MAX) * 1000,
            u64::MAX,
        ] {
            let now = Timestamp::from_millis(millis);
            for _ in 0..1_000 {
                let missed = Score::missed(now).unwrap() as f64;
                assert_eq!(Score::of(missed), Score::Missed(u64::from(seconds(now))));
                assert_eq!(Score::of(Score::revoked().unwrap() as f64), Score::Revoked);
            }
        }
        assert_eq!(Score::of(0.0), Score::Deadline);
    }

    #[test]
    fn a_server_that_counts_in_floats_loses_no_bit_of_a_mark() {
        for _ in 0..1_000 {
            for mark in [
                Score::revoked(),
                Score::missed(Timestamp::from_millis(u64::MAX)),
            ] {
                let mark = mark.unwrap();
                assert_eq!(mark as f64 as i64, mark);
            }
        }
    }

    #[test]
    fn no_two_marks_are_the_same() {
        assert_ne!(Score::revoked().unwrap(), Score::revoked().unwrap());
    }
}

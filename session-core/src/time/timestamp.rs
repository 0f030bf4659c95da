//! Points in time.

use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A point in time: whole milliseconds since the Unix epoch.
///
/// It prints as RFC 3339 in UTC. Adding and subtracting never fails: the result stays between the
/// epoch and the last instant that can be represented. Only the whole milliseconds of a duration
/// count.
///
/// ```
/// use session_core::Timestamp;
/// use std::time::Duration;
///
/// let noon = Timestamp::from_millis(43_200_000);
/// let later = noon + Duration::from_secs(2);
/// assert_eq!(later.as_millis(), 43_202_000);
/// assert_eq!(later.duration_since(noon), Duration::from_secs(2));
/// assert_eq!(noon.duration_since(later), Duration::ZERO); // never negative
/// assert_eq!(later - Duration::from_secs(2), noon);
/// assert_eq!(later.to_string(), "1970-01-01T12:00:02.000Z");
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The instant this many milliseconds after the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not after it.
    ///
    /// [`Timestamp`] has an example.
    pub fn duration_since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    /// This instant moved forward, at most to the last representable one.
    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(whole_millis(by)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    /// This instant moved backward, at most to the epoch.
    fn sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(whole_millis(by)))
    }
}

impl AddAssign<Duration> for Timestamp {
    fn add_assign(&mut self, by: Duration) {
        *self = *self + by;
    }
}

impl SubAssign<Duration> for Timestamp {
    fn sub_assign(&mut self, by: Duration) {
        *self = *self - by;
    }
}

fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds. A year after 9999, which RFC 3339 cannot write, has five
    /// digits or more.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAY: u64 = 86_400_000;
        let (year, month, day) = civil_date(self.0 / DAY);
        let (seconds, millis) = (self.0 % DAY / 1_000, self.0 % 1_000);
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        let text = format_args!(
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"
        );
        // As one piece, so that a width or an alignment applies.
        f.pad(&text.to_string())
    }
}

/// Year, month and day of the Gregorian calendar, this many days after the Unix epoch.
///
/// The year is taken to begin in March, so that the leap day is its last one. Then 400 years, 100
/// years, 4 years and a year are of equal length but for their last day.
fn civil_date(days: u64) -> (u64, u64, u64) {
    const DAYS_BEFORE_EPOCH: u64 = 719_468; // from 0000-03-01
    const DAYS_OF_400_YEARS: u64 = 146_097;
    const DAYS_OF_100_YEARS: u64 = 36_524;
    const DAYS_OF_4_YEARS: u64 = 1_461;
    const DAYS_OF_YEAR: u64 = 365;
    let days = days + DAYS_BEFORE_EPOCH;
    let (cycles, days) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    let centuries = (days / DAYS_OF_100_YEARS).min(3);
    let days = days - centuries * DAYS_OF_100_YEARS;
    let (leaps, days) = (days / DAYS_OF_4_YEARS, days % DAYS_OF_4_YEARS);
    let years = (days / DAYS_OF_YEAR).min(3);
    let day_of_year = days - years * DAYS_OF_YEAR;
    // March, April, .. have 31, 30, 31, 30, 31 days, and again: 153 in five months.
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let (month, next_year) = match from_march {
        0..=9 => (from_march + 3, 0),
        _ => (from_march - 9, 1),
    };
    let year = 400 * cycles + 100 * centuries + 4 * leaps + years + next_year;
    (year, month, day)
}

impl From<SystemTime> for Timestamp {
    /// Times before the epoch become the epoch.
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self(0) + since
    }
}

impl From<Timestamp> for SystemTime {
    /// Instants that the platform cannot represent become the epoch.
    fn from(at: Timestamp) -> Self {
        UNIX_EPOCH
            .checked_add(Duration::from_millis(at.0))
            .unwrap_or(UNIX_EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The calendar told by counting, day by day.
    #[test]
    fn every_day_of_a_thousand_years_has_its_date() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..365_250 {
            assert_eq!(
                civil_date(days),
                (year, month, day),
                "{days} days after 1970-01-01"
            );
            let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let last = match month {
                2 if is_leap => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            (year, month, day) = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                (_, day) if day == last => (year, month + 1, 1),
                _ => (year, month, day + 1),
            };
        }
    }

    #[test]
    fn it_prints_as_rfc_3339() {
        let text = |millis| Timestamp::from_millis(millis).to_string();
        assert_eq!(text(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(text(951_868_799_999), "2000-02-29T23:59:59.999Z");
        assert_eq!(text(1_234_567_890_123), "2009-02-13T23:31:30.123Z");
        assert_eq!(text(253_402_300_800_000), "10000-01-01T00:00:00.000Z");
        assert!(
            text(u64::MAX).ends_with("T14:25:51.615Z"),
            "{}",
            text(u64::MAX)
        );
        assert_eq!(
            format!("[{:>26}]", Timestamp::default()),
            "[  1970-01-01T00:00:00.000Z]"
        );
    }

    #[test]
    fn adding_and_subtracting_stays_in_range() {
        let (first, last) = (Timestamp::default(), Timestamp::from_millis(u64::MAX));
        assert_eq!(last + Duration::from_secs(1), last);
        assert_eq!(last + Duration::MAX, last);
        assert_eq!(first - Duration::MAX, first);
        let mut at = Timestamp::from_millis(500);
        at += Duration::from_secs(1);
        assert_eq!(at.as_millis(), 1_500);
        at -= Duration::from_millis(1_499);
        assert_eq!(at.as_millis(), 1);
    }
}

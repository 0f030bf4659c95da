//! Points in time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A point in time: whole milliseconds since the Unix epoch.
///
/// ```
/// use session_core::Timestamp;
/// use std::time::Duration;
///
/// let noon = Timestamp::from_millis(43_200_000);
/// let later = noon.plus(Duration::from_secs(2));
/// assert_eq!(later.as_millis(), 43_202_000);
/// assert_eq!(later.since(noon), Duration::from_secs(2));
/// assert_eq!(noon.since(later), Duration::ZERO); // never negative
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

    /// This instant moved forward, at most to the last representable one.
    ///
    /// ```
    /// use session_core::Timestamp;
    /// use std::time::Duration;
    ///
    /// let last = Timestamp::from_millis(u64::MAX);
    /// assert_eq!(Timestamp::from_millis(500).plus(Duration::from_secs(1)).as_millis(), 1_500);
    /// assert_eq!(last.plus(Duration::from_secs(1)), last);
    /// ```
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    ///
    /// [`Timestamp`] has an example.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl From<SystemTime> for Timestamp {
    /// Times before the epoch become the epoch.
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self(0).plus(since)
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

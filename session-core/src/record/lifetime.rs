//! How long a session lives.

use std::time::Duration;

use crate::config_error::ConfigError;
use crate::time::Timestamp;

/// How long a session lives: an idle timeout, an absolute timeout, and whether the client should
/// keep its token when the browser closes.
///
/// The server enforces both timeouts, whatever the cookie says. Activity restarts the idle timeout.
/// Only a fresh authentication ([`sign_in`](crate::Session::sign_in)) restarts the absolute one.
/// The default is 2 hours idle, 14 days absolute, and a token that the client drops when the
/// browser closes.
///
/// Activity is written at most once per [`touch_interval`](Self::touch_interval). So a session can
/// expire early by up to that interval, but never late.
///
/// ```
/// use session_core::Lifetime;
/// use std::time::Duration;
///
/// let hour = Duration::from_secs(3600);
/// let lifetime = Lifetime::new(hour, 24 * hour).unwrap().persistent();
/// assert_eq!(lifetime.touch_interval(), Duration::from_secs(60));
/// assert!(Lifetime::new(24 * hour, hour).is_err()); // idle beyond absolute
/// assert_eq!(Lifetime::aal2().idle(), hour);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    idle: Duration,
    absolute: Duration,
    persistent: bool,
}

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Default for Lifetime {
    fn default() -> Self {
        Self::preset(HOUR.saturating_mul(2), DAY.saturating_mul(14))
    }
}

impl Lifetime {
    /// The lifetime of the mark that a session leaves when it ends.
    pub(crate) const fn of_mark(time: Duration) -> Self {
        Self::preset(time, time)
    }

    const fn preset(idle: Duration, absolute: Duration) -> Self {
        Self {
            idle,
            absolute,
            persistent: false,
        }
    }

    /// A lifetime with these timeouts, truncated to whole milliseconds. The client drops its token
    /// when the browser closes.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if a timeout is below a millisecond, if `idle` is longer than
    /// `absolute`, or if `absolute` is more than a hundred years.
    pub fn new(idle: Duration, absolute: Duration) -> Result<Self, ConfigError> {
        let [idle, absolute] = [idle, absolute].map(whole_millis);
        if idle.is_zero() {
            return Err(ConfigError::new(
                "the idle timeout is zero; use at least a millisecond",
            ));
        }
        if idle > absolute {
            return Err(ConfigError::new(
                "the idle timeout is longer than the absolute one; make it at most as long",
            ));
        }
        if absolute > DAY.saturating_mul(36_525) {
            return Err(ConfigError::new(
                "the absolute timeout is more than a hundred years",
            ));
        }
        Ok(Self::preset(idle, absolute))
    }

    /// For authentication assurance level 1 (NIST SP 800-63B-4, 2.1.3): 30 days, with or without
    /// activity.
    pub const fn aal1() -> Self {
        let month = Duration::from_secs(30 * 24 * 3600);
        Self::preset(month, month)
    }

    /// For authentication assurance level 2 (NIST SP 800-63B-4, 2.2.3): 24 hours, and an hour idle.
    pub const fn aal2() -> Self {
        Self::preset(HOUR, DAY)
    }

    /// For authentication assurance level 3 (NIST SP 800-63B-4, 2.3.3): 12 hours, and 15 minutes
    /// idle.
    pub const fn aal3() -> Self {
        Self::preset(Duration::from_secs(900), Duration::from_secs(12 * 3600))
    }

    /// Lets the client keep its token when the browser closes ("remember me").
    ///
    /// Activity moves the expiry, so the client has to be sent its token again with a later
    /// `Max-Age`. Sometimes no response can carry the token when the activity is written, as with a
    /// [`save`](crate::Session::save) or the commit of a `304`. Then the next response that can
    /// carry it does so, at the cost of one write.
    ///
    /// ```
    /// use session_core::Lifetime;
    ///
    /// assert!(!Lifetime::aal1().is_persistent());
    /// assert!(Lifetime::aal1().persistent().is_persistent());
    /// ```
    #[must_use]
    pub const fn persistent(mut self) -> Self {
        self.persistent = true;
        self
    }

    /// The longest pause between two requests.
    pub const fn idle(&self) -> Duration {
        self.idle
    }

    /// The longest time after creation or the last authentication.
    pub const fn absolute(&self) -> Duration {
        self.absolute
    }

    /// Whether the client keeps the token when the browser closes.
    pub const fn is_persistent(&self) -> bool {
        self.persistent
    }

    /// The shortest time between two writes of activity: the smaller of 60 s and a quarter of the
    /// idle timeout.
    pub fn touch_interval(&self) -> Duration {
        (self.idle / 4).min(Duration::from_secs(60))
    }

    /// When a session expires if it was last seen at `seen` and its absolute expiry is `deadline`.
    ///
    /// This is for a store that keeps both times.
    ///
    /// ```
    /// use session_core::{Lifetime, Timestamp};
    ///
    /// let (seen, hour) = (Timestamp::from_millis(0), 3_600_000);
    /// let deadline = Timestamp::from_millis(2 * hour);
    /// assert_eq!(Lifetime::aal2().expiry(seen, deadline).as_millis(), hour);
    /// ```
    pub fn expiry(&self, seen: Timestamp, deadline: Timestamp) -> Timestamp {
        (seen + self.idle).min(deadline)
    }
}

fn whole_millis(duration: Duration) -> Duration {
    Duration::new(duration.as_secs(), duration.subsec_millis() * 1_000_000)
}

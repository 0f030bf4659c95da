//! Records of a clock that was ahead, and was set back since.
//!
//! Their times are yet to come. For that long a session would not be idle, no activity would be
//! written and no token rotated, a token that was rotated away would stay valid, and a sign-in
//! would count as recent. So the next commit writes such times as the present, once.

use std::time::Duration;

use crate::record::Record;
use crate::time::Timestamp;

/// Clocks of several machines may differ by less than this.
const SKEW: Duration = Duration::from_secs(300);

impl Record {
    /// Whether it was written by a clock that was ahead of this time. Each write that moves a time
    /// moves the time last seen too.
    pub(crate) fn is_ahead(&self, now: Timestamp) -> bool {
        self.last_seen.since(now) > SKEW
    }

    /// Makes the present of every time that is yet to come.
    pub(crate) fn bring_back(&mut self, now: Timestamp) {
        self.created = self.created.min(now);
        self.last_seen = self.last_seen.min(now);
        self.deadline = self.deadline.min(now.plus(self.lifetime.absolute()));
        self.authenticated = self.authenticated.map(|at| at.min(now));
        self.tokens.bring_back(now);
    }
}

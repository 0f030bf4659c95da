//! Records that were written by a clock that was ahead, and was set back since.
//!
//! Their times are in the future. Until then the session would not be idle, no activity would be
//! written, no token rotated, a token that was rotated away would stay valid, and a sign-in would
//! count as recent. So the next commit replaces such times by the present, once.

use std::sync::Arc;
use std::time::Duration;

use crate::record::Record;
use crate::time::Timestamp;

/// The clocks of several machines differ by less than this.
pub(crate) const SKEW: Duration = Duration::from_secs(300);

impl Record {
    /// Whether a clock that was ahead of `now` wrote it. Each write that moves a time moves the
    /// time last seen too.
    pub(crate) fn is_ahead(&self, now: Timestamp) -> bool {
        self.last_seen.duration_since(now) > SKEW
    }

    /// Replaces every time in the future by the present.
    pub(crate) fn bring_back(&mut self, now: Timestamp) {
        self.created = self.created.min(now);
        self.last_seen = self.last_seen.min(now);
        self.deadline = self.deadline.min(now + self.lifetime.absolute());
        self.authenticated = self.authenticated.map(|at| at.min(now));
        self.tokens.bring_back(now);
        if let Some(device) = &mut self.device {
            let device = Arc::make_mut(device);
            device.since = device.since.min(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{DeviceKey, Lifetime, SessionId};

    #[test]
    fn a_device_is_not_bound_in_the_future() {
        let [past, now, future] = [1, 2, 3].map(|day| Timestamp::from_millis(day * 86_400_000));
        let id = SessionId::from_bytes([0; 16]);
        for (since, expected) in [(past, past), (future, now)] {
            let record = Record::new(id, "id", Lifetime::default(), past);
            let mut record = record.with_device(DeviceKey::from_bytes([7; 64]), since);
            record.bring_back(now);
            assert_eq!(record.bound_at(), Some(expected));
        }
    }
}

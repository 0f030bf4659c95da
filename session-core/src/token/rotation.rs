//! The setting: how often a token gets a successor, and how long the old one is accepted.

use std::time::Duration;

use crate::config_error::ConfigError;
use crate::record::{Lifetime, Record, TokenRules};
use crate::time::Timestamp;

/// Replaces tokens on a schedule, so that a stolen one is soon worth nothing, or shows.
///
/// A token older than `ttl` gets a successor, which travels with a response that is sent anyway.
/// Once a client has presented the successor, the tokens before it (but for those less than a
/// minute old that nobody has presented: an answer may be overtaken by another) are accepted for
/// another `overlap`, the last `keep` of them, and then no longer: whoever brings one holds a copy
/// ([`OnReuse`]). Until then the predecessor stays good and gets other successors, so a response
/// that was lost strands nobody. (Eight successors wait like that at most; then it gets no more.)
/// Parallel requests agree on one successor.
///
/// Rotation renews the token and nothing else: id, data, deadline, epoch and CSRF token stay. A
/// session that is not used is not rotated. Each rotation costs one write, and so does the first
/// request with the successor; where these requests write anyway it costs nothing more. So at the
/// default of 5 s a client that only reads causes two writes in 5 s.
///
/// Where tokens rotate none is sent twice, so a token that the client is to keep beyond the
/// browser's end ([`Lifetime::persistent`](crate::Lifetime::persistent)) is rotated after half of
/// the idle timeout at the latest, so that its `Max-Age` moves; it is told with that much more.
///
/// A manager does not rotate unless it is told to
/// ([`ManagerBuilder::rotation`](crate::ManagerBuilder::rotation)), and cannot with a sealed store.
///
/// # What happens to a token
///
/// | the token that a request presents | what happens to the request | event |
/// |---|---|---|
/// | the newest one | goes on; gets a successor if the token is older than `ttl` | |
/// | the predecessor of one that nobody has presented yet, say because a response was lost | goes on; gets another successor after `ttl` | |
/// | superseded, within `keep` and `overlap` | goes on; gets no token | |
/// | superseded, within the overlap but not among the last `keep` | anonymous; stores nothing, sets no cookie | `Refused` |
/// | superseded, beyond the overlap | anonymous. If it was superseded less than a minute ago, or the session is revoked for it, it stores nothing and sets no cookie | [`Reused`](crate::EventKind::Reused), and by [`OnReuse`] the session is revoked |
/// | the same beside another token that is accepted | goes on with that one | |
/// | of an earlier epoch: a renewal or sign-in retired it less than a minute ago | anonymous; stores nothing, sets no cookie | `Refused` |
/// | of an earlier epoch, longer ago | goes on without a session | `Refused` |
/// | never issued: its MAC is wrong, or without keys its secret is unknown | goes on without a session | `Refused` |
/// | of a session that was destroyed or revoked less than a minute ago | anonymous; stores nothing, sets no cookie | `Refused` |
/// | of a session that ended longer ago, or expired | goes on without a session | `Refused`, or `Expired` |
///
/// All of this holds at the time at which the request arrived, however late its handler asks for
/// the session ([`SessionManager::open_at`](crate::SessionManager::open_at)). A record remembers
/// superseded tokens for a minute beyond their overlap, 48 at most. A request that cannot be judged
/// any more is anonymous, stores nothing and sets no cookie: one whose token is not known, if it
/// is opened 10 s or more after it arrived, and one of a superseded token that is not remembered.
///
/// With [keys](crate::ManagerBuilder::keys) a token's MAC shows that it was issued, and in which
/// epoch (modulo 4), for as long as the session lives. Without keys only the hashes that the record
/// still holds can tell: the last `keep` superseded ones, and those of about the last minute. An
/// older token then looks like one that was never issued, so its theft does not show.
///
/// ```
/// use session_core::{MemoryStore, Rotation, SessionManager};
/// use std::time::Duration;
///
/// let quick = Rotation::default();
/// assert_eq!((quick.ttl, quick.keep, quick.overlap), (Duration::from_secs(5), 3, Duration::from_secs(10)));
///
/// let rotation = Rotation { ttl: Duration::from_secs(900), ..Rotation::default() };
/// assert!(SessionManager::builder(MemoryStore::new()).rotation(rotation).build().is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The age from which the newest token gets a successor. Default 5 s; [`Duration::MAX`] is
    /// never.
    pub ttl: Duration,
    /// How many superseded tokens are accepted at most, 1 to 8. Default 3.
    pub keep: usize,
    /// For how long a superseded token is accepted, for requests that were under way, from the
    /// moment when its successor was first presented. Default 10 s.
    pub overlap: Duration,
}

/// Parallel requests whose answers overtake each other; more of them need a longer `ttl`.
const MOST_KEPT: usize = 8;
/// A copy of a token that is superseded can be used for as long, and does not show.
const LONGEST_OVERLAP: Duration = Duration::from_secs(3600);

impl Default for Rotation {
    /// Every 5 seconds, the last 3 accepted for 10 seconds.
    fn default() -> Self {
        Self::every(Duration::from_secs(5))
    }
}

impl Rotation {
    /// Never: a token changes with a renewal only.
    pub const fn off() -> Self {
        Self::every(Duration::MAX)
    }

    /// Every hour.
    pub const fn hourly() -> Self {
        Self::every(Duration::from_secs(3600))
    }

    const fn every(ttl: Duration) -> Self {
        Self {
            ttl,
            keep: 3,
            overlap: Duration::from_secs(10),
        }
    }

    /// Whether tokens are ever rotated.
    ///
    /// ```
    /// use session_core::Rotation;
    ///
    /// assert!(Rotation::hourly().is_on() && !Rotation::off().is_on());
    /// ```
    pub const fn is_on(&self) -> bool {
        self.ttl.as_nanos() < Duration::MAX.as_nanos()
    }

    /// The age at which a token of a session with this lifetime gets a successor.
    fn interval(&self, lifetime: Lifetime) -> Option<Duration> {
        let longest = match lifetime.is_persistent() {
            true => lifetime.idle() / 2,
            false => Duration::MAX,
        };
        self.is_on().then(|| self.ttl.min(longest))
    }

    /// What the tokens of this session are judged by.
    pub(crate) fn rules_for(&self, record: &Record) -> TokenRules {
        TokenRules {
            epoch: record.epoch,
            successor_after: self.interval(record.lifetime),
            keep: self.keep,
            overlap: self.overlap,
        }
    }

    /// How long a client should keep its token: as long as the session may live before the token
    /// has a successor, which is when the client hears again.
    pub(crate) fn max_age(&self, record: &Record, now: Timestamp) -> Option<Duration> {
        let lasts = record
            .expires()
            .plus(self.interval(record.lifetime).unwrap_or_default());
        let ends = lasts.min(record.deadline);
        record.lifetime.is_persistent().then(|| ends.since(now))
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.ttl.is_zero() {
            return Err(ConfigError::new(
                "`Rotation::ttl` is 0 s; use a longer one, or `Rotation::off()`",
            ));
        }
        if !(1..=MOST_KEPT).contains(&self.keep) {
            return Err(ConfigError::new(format!(
                "`Rotation::keep` is {}; keep 1 to {MOST_KEPT} superseded tokens",
                self.keep
            )));
        }
        if self.overlap > LONGEST_OVERLAP {
            return Err(ConfigError::new(
                "`Rotation::overlap` is more than an hour, so theft would not show; use a shorter one",
            ));
        }
        if self.overlap.is_zero() {
            return Err(ConfigError::new(
                "`Rotation::overlap` is 0 s, so requests under way would look like theft; use a longer one",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rotation = Rotation {
        ttl: Duration::from_secs(5),
        keep: 2,
        overlap: Duration::from_secs(10),
    };

    #[test]
    fn presets() {
        assert_eq!(Rotation::hourly().ttl, Duration::from_secs(3600));
        for preset in [Rotation::off(), Rotation::default(), Rotation::hourly()] {
            assert!(preset.check().is_ok());
        }
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        for (wrong, word) in [
            (
                Rotation {
                    ttl: Duration::ZERO,
                    ..RULES
                },
                "ttl",
            ),
            (Rotation { keep: 0, ..RULES }, "keep 1 to 8"),
            (Rotation { keep: 9, ..RULES }, "keep 1 to 8"),
            (
                Rotation {
                    overlap: Duration::ZERO,
                    ..RULES
                },
                "overlap",
            ),
        ] {
            let error = wrong.check().unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}

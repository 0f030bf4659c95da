//! The setting: how often a token gets a successor, and how long the old one is accepted.

use std::time::Duration;

use crate::config_error::ConfigError;
use crate::record::{Lifetime, Record, TokenRules};
use crate::time::Timestamp;

/// Replaces tokens on a schedule, so that a stolen token soon becomes useless, or its theft is
/// noticed.
///
/// A token older than `ttl` gets a successor, which travels with a response that is sent anyway.
/// The successor does not supersede anything until a client presents it. So a lost response strands
/// nobody: the predecessor stays valid, and gets other successors, up to eight that no client has
/// presented. Parallel requests agree on one successor.
///
/// Once a client presents the successor, the tokens before it are superseded. The last `keep` of
/// them are accepted for another `overlap`. A client that presents one of them later holds a copy,
/// which was probably stolen: [`OnReuse`](crate::OnReuse) decides what happens then. Tokens that
/// no client has presented and that are less than a minute old are an exception. They stay valid,
/// because a response may overtake another.
///
/// Rotation replaces the token and nothing else: id, data, absolute expiry, epoch and CSRF token
/// stay. The token of a session that is not used is not rotated. Each rotation costs one write, and
/// so does the first request with the successor, except where these requests write anyway. With the
/// interval of `default()`, 5 s, a client that only reads causes two writes every 5 s.
///
/// Where tokens rotate, no token is sent twice. The `Max-Age` of a cookie that outlives the browser
/// ([`Lifetime::persistent`](crate::Lifetime::persistent)) therefore moves with a rotation only.
/// Such a token is rotated after half of the idle timeout at the latest, and its `Max-Age` is
/// longer by the same time.
///
/// By default a manager does not rotate.
/// [`SessionManagerBuilder::rotation`](crate::SessionManagerBuilder::rotation) turns it on, for any
/// store except a sealed one.
///
/// # What happens to a request
///
/// A request *continues* with the session, has *no session* (it starts with an empty one), or is
/// *mute*: it is anonymous, stores nothing, and its response sets no cookie.
///
/// | The token that it presents | The request | Event |
/// |---|---|---|
/// | the newest one | continues; a successor after `ttl` | |
/// | the predecessor of tokens that no client presented | continues; a successor after `ttl` | |
/// | superseded, within `keep` and `overlap` | continues; no successor | |
/// | superseded, within `overlap`, not among the last `keep` | is mute | `Refused` |
/// | superseded, beyond `overlap` | is a reuse, see below | `Reused` |
/// | of an earlier epoch: renewed less than a minute ago | is mute | `Refused` |
/// | of an earlier epoch: renewed longer ago | has no session | `Refused` |
/// | never issued: a wrong MAC, or without keys an unknown secret | has no session | `Refused` |
/// | of a session destroyed or revoked less than a minute ago | is mute | `Refused` |
/// | of a session that was deleted longer ago | has no session | `Refused` |
/// | of a session that has expired | has no session | `Expired` |
///
/// A *reuse* ([`EventKind::Reused`](crate::EventKind::Reused)) revokes the session if
/// [`OnReuse`](crate::OnReuse) says so. If it does, or if the token was superseded less than a
/// minute ago, the request is mute; otherwise it has no session. A request that also presents an
/// accepted token continues with that one, and is no reuse.
///
/// All these times are measured at the arrival of the request, however late its handler asks for
/// the session ([`SessionManager::begin_at`](crate::SessionManager::begin_at)). A record remembers
/// up to 48 superseded tokens, each for a minute beyond its overlap.
///
/// A request that cannot be judged is mute. There are two kinds. One presents a superseded token
/// that is not remembered, but may have been accepted when the request arrived. The other presents
/// a token that is unknown, or of an earlier epoch, and is opened 10 s or more after it arrived.
///
/// With [keys](crate::SessionManagerBuilder::keys) the MAC of a token shows that it was issued, and
/// in which epoch (modulo 4), for as long as the session lives. Without keys only the hashes that
/// the record still holds can show it: those of the last `keep` superseded tokens, and of about the
/// last minute. An older token then looks like one that was never issued, so its theft is not
/// noticed.
///
/// ```
/// use session_core::{MemoryStore, Rotation, SessionManager};
/// use std::time::Duration;
///
/// let quick = Rotation::default();
/// assert_eq!((quick.ttl(), quick.overlap()), (Duration::from_secs(5), Duration::from_secs(10)));
/// assert_eq!(quick.keep(), 3);
///
/// let rotation = Rotation::every(Duration::from_secs(900));
/// assert!(SessionManager::builder(MemoryStore::new()).rotation(rotation).build().is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    pub(crate) ttl: Duration,
    pub(crate) keep: usize,
    pub(crate) overlap: Duration,
}

/// Each is one more token that a thief can use unseen. Requests under way that need more than these
/// have a `ttl` that is too short for them.
const MOST_KEPT: usize = 8;
/// For as long a thief can use a superseded token unseen.
const LONGEST_OVERLAP: Duration = Duration::from_secs(3600);

impl Default for Rotation {
    /// Tokens rotate every 5 seconds, and the last 3 superseded ones are accepted for 10 seconds.
    fn default() -> Self {
        Self::every(Duration::from_secs(5))
    }
}

impl Rotation {
    /// Tokens never rotate: only a renewal replaces a token.
    pub const fn off() -> Self {
        Self::every(Duration::MAX)
    }

    /// Tokens rotate every hour.
    pub const fn hourly() -> Self {
        Self::every(Duration::from_secs(3600))
    }

    /// Tokens rotate at this age. [`Duration::MAX`] means never.
    ///
    /// The last 3 superseded tokens are accepted for 10 s.
    pub const fn every(ttl: Duration) -> Self {
        Self {
            ttl,
            keep: 3,
            overlap: Duration::from_secs(10),
        }
    }

    /// Sets how many superseded tokens are accepted at most, from 1 to 8. Default: 3.
    #[must_use]
    pub const fn with_keep(mut self, tokens: usize) -> Self {
        self.keep = tokens;
        self
    }

    /// Sets how long superseded tokens are accepted, at most an hour. Default: 10 s.
    ///
    /// The time counts from the first request with the successor. It is for requests that were
    /// under way.
    #[must_use]
    pub const fn with_overlap(mut self, overlap: Duration) -> Self {
        self.overlap = overlap;
        self
    }

    /// The age from which the newest token gets a successor.
    pub const fn ttl(&self) -> Duration {
        self.ttl
    }

    /// How many superseded tokens are accepted at most.
    pub const fn keep(&self) -> usize {
        self.keep
    }

    /// How long a superseded token is accepted.
    pub const fn overlap(&self) -> Duration {
        self.overlap
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
    #[inline]
    fn interval(&self, lifetime: Lifetime) -> Option<Duration> {
        let longest = match lifetime.is_persistent() {
            true => lifetime.idle() / 2,
            false => Duration::MAX,
        };
        self.is_on().then(|| self.ttl.min(longest))
    }

    /// What the tokens of this session are judged by.
    #[inline]
    pub(crate) fn rules_for(&self, record: &Record) -> TokenRules {
        TokenRules {
            epoch: record.epoch,
            successor_after: self.interval(record.lifetime),
            keep: self.keep,
            overlap: self.overlap,
        }
    }

    /// How long a client should keep its token: until the session expires if it is not used again,
    /// and one interval longer, because only the next rotation moves `Max-Age`.
    pub(crate) fn max_age(&self, record: &Record, now: Timestamp) -> Option<Duration> {
        let lasts = record.expires_at() + self.interval(record.lifetime).unwrap_or_default();
        let ends = lasts.min(record.deadline);
        record
            .lifetime
            .is_persistent()
            .then(|| ends.duration_since(now))
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
                "`Rotation::overlap` is more than an hour, so theft would not show; \
                 use a shorter one",
            ));
        }
        if self.overlap.is_zero() {
            return Err(ConfigError::new(
                "`Rotation::overlap` is 0 s, so requests under way would look like theft; \
                 use a longer one",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::SessionId;

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
        let (hour, more) = (LONGEST_OVERLAP, LONGEST_OVERLAP + Duration::from_nanos(1));
        let ttl = |ttl| Rotation { ttl, ..RULES };
        let keep = |keep| Rotation { keep, ..RULES };
        let overlap = |overlap| Rotation { overlap, ..RULES };
        for (wrong, words) in [
            (ttl(Duration::ZERO), "`Rotation::ttl` is 0 s;"),
            (keep(0), "keep 1 to 8"),
            (keep(9), "keep 1 to 8"),
            (overlap(Duration::ZERO), "look like theft; use a longer one"),
            (overlap(more), "theft would not show; use a shorter one"),
        ] {
            let error = wrong.check().unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        for right in [
            keep(1),
            keep(8),
            overlap(hour),
            ttl(Duration::from_millis(1)),
        ] {
            assert!(right.check().is_ok(), "{right:?}");
        }
    }

    fn record(idle: u64, absolute: u64) -> Record {
        let seconds = Duration::from_secs;
        let lifetime = Lifetime::new(seconds(idle), seconds(absolute)).unwrap();
        let id = SessionId::from_bytes([1; 16]);
        let mut record = Record::new(id, "id", lifetime, Timestamp::from_millis(0));
        record.epoch = 7;
        record
    }

    fn persistent(idle: u64, absolute: u64) -> Record {
        let mut record = record(idle, absolute);
        record.lifetime = record.lifetime.persistent();
        record
    }

    #[test]
    fn a_token_that_outlives_the_browser_is_rotated_in_half_of_the_idle_timeout() {
        let hourly = Rotation::hourly();
        let after = |record| hourly.rules_for(&record).successor_after;
        assert_eq!(after(record(1_000, 9_000)), Some(hourly.ttl));
        assert_eq!(
            after(persistent(1_000, 9_000)),
            Some(Duration::from_secs(500))
        );
        assert_eq!(after(persistent(8_000, 9_000)), Some(hourly.ttl));
        let off = Rotation::off().rules_for(&persistent(1_000, 9_000));
        assert_eq!(off.successor_after, None);
        let rules = RULES.rules_for(&record(1_000, 9_000));
        assert_eq!((rules.epoch, rules.keep), (7, 2));
        assert_eq!(rules.overlap, RULES.overlap);
    }

    #[test]
    fn a_token_is_kept_until_its_session_expires_or_the_next_response_moves_that() {
        let seconds = |rotation: Rotation, record: Record| {
            let kept = rotation.max_age(&record, Timestamp::from_millis(10_000));
            kept.map(|kept| kept.as_secs())
        };
        assert_eq!(seconds(RULES, record(1_000, 9_000)), None);
        assert_eq!(
            seconds(Rotation::off(), persistent(1_000, 9_000)),
            Some(990)
        );
        assert_eq!(seconds(RULES, persistent(1_000, 9_000)), Some(995));
        assert_eq!(seconds(RULES, persistent(1_000, 1_003)), Some(993));
    }
}

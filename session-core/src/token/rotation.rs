//! Which tokens of a session are good, and when one takes the place of another.

mod standing;

use std::time::Duration;

use smallvec::SmallVec;

use crate::config_error::ConfigError;
use crate::record::REMEMBERED;
use crate::record::TokenHash;
use crate::record::{Lifetime, Record};
use crate::state::issued;
use crate::time::Timestamp;
use crate::token::Secret;

use self::standing::is_good;
pub(crate) use self::standing::{Standing, Upkeep, standing};

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

const MOST_KEPT: usize = 8;
const LONGEST_OVERLAP: Duration = Duration::from_secs(3600);
/// An answer does not come later than this, once one that was sent after it has arrived.
const LATEST_ANSWER: Duration = Duration::from_secs(60);
/// Successors that wait to be presented.
const MOST_WAITING: usize = 8;
/// Superseded tokens that a record remembers, so that a late request can be judged by the time at
/// which it arrived.
const MOST_REMEMBERED: usize = 48;
/// As many tokens as an epoch ever has: superseded ones, waiting ones, and those that were
/// presented.
const MOST_RETIRED: usize = MOST_REMEMBERED + 2 * MOST_WAITING;

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

/// Takes note that a client has presented the token of this hash, and issues its successor.
pub(crate) fn advance(
    record: &mut Record,
    hash: &[u8; 32],
    successor: Option<&Secret>,
    now: Timestamp,
    rotation: &Rotation,
) {
    let Some(at) = record.position(hash) else {
        return;
    };
    let epoch = record.epoch;
    record.tokens[at].confirmed.get_or_insert(now);
    for other in &mut record.tokens[..at] {
        // One that nobody has presented yet may be what the client holds, if its answer was
        // overtaken.
        let known = other.confirmed.is_some()
            || now.since(other.issued) >= rotation.overlap.max(LATEST_ANSWER);
        if is_good(other, epoch) && known {
            other.retired = Some(now);
        }
    }
    if let Some(secret) = successor {
        record.tokens.push(issued(secret, now, epoch));
    }
    forget(&mut record.tokens, epoch, now, rotation);
}

/// Retires all tokens by a renewal: from now on those that were still accepted, of the epoch that
/// it ends.
pub(crate) fn retire(
    tokens: &mut SmallVec<[TokenHash; 1]>,
    epoch: u64,
    now: Timestamp,
    rotation: &Rotation,
) {
    let ago = |token: &TokenHash| token.retired.map(|since| now.since(since));
    let accepted = |token: &TokenHash| {
        let superseded = |ago| token.epoch == epoch && ago < rotation.overlap;
        ago(token).is_none_or(superseded)
    };
    tokens.retain(|token| accepted(token) || ago(token).is_some_and(|ago| ago < REMEMBERED));
    let surplus = tokens.len().saturating_sub(MOST_RETIRED);
    tokens.drain(..surplus);
    for token in tokens {
        if accepted(token) {
            token.retired = Some(now);
        }
    }
}

/// Drops what no longer matters: tokens of former epochs a minute after their end, and of this one
/// those that have been superseded for longer than a late request may take, except the last `keep`.
fn forget(tokens: &mut SmallVec<[TokenHash; 1]>, epoch: u64, now: Timestamp, rotation: &Rotation) {
    let mut superseded = 0;
    let mut kept: SmallVec<[TokenHash; 1]> = SmallVec::new();
    for token in tokens.iter().rev() {
        let keeps = token.retired.is_none_or(|since| {
            let ago = now.since(since);
            if token.epoch != epoch {
                return ago < REMEMBERED;
            }
            superseded += 1;
            superseded <= rotation.keep
                || (superseded <= MOST_REMEMBERED && ago < REMEMBERED + rotation.overlap)
        });
        if keeps {
            kept.push(*token);
        }
    }
    kept.reverse();
    *tokens = kept;
}

#[cfg(test)]
mod tests;

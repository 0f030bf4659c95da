//! Which tokens of a session are valid, and when one takes the place of another.
//!
//! A record keeps the hashes of its tokens, oldest first. This is the life of one token:
//!
//! ```text
//!   issue
//!     │
//!     ▼
//!  ISSUED ──────────────────────────▶ CONFIRMED
//!  `confirmed: None`   a client        `confirmed: Some(when)`
//!     │                presents it         │
//!     │                                    │ a client presents a token that was issued later,
//!     │ the same, once no answer           │ or a renewal ends the epoch
//!     │ can still carry this token;        │
//!     │ or a renewal ends the epoch        │
//!     ▼                                    ▼
//!  SUPERSEDED: `retired: Some(when)` ◀─────┘
//!     │  by a rotation: accepted for `overlap`, if it is among the last `keep`
//!     │  by a renewal (its epoch is an earlier one): not accepted
//!     │
//!     │ a minute later, or when there are too many
//!     ▼
//!  FORGOTTEN: its hash is not stored any more
//! ```
//!
//! - **A successor is confirmed by being presented.** Nobody knows which answers arrive, and in
//!   which order. So a token is superseded by what a client presents, and never by what was sent to
//!   it: no answer that is lost, late or overtaken strands a client (law 10). Each token that a
//!   client presents for the first time is noted, so of two holders of one token each shows (law
//!   12).
//! - **What a record remembers of its tokens.** Tokens that a renewal retired: for a minute, 64 at
//!   most. Tokens that a rotation superseded: the last `keep`, and the others for a minute beyond
//!   their overlap, 48 at most. Each is kept with the time at which it was retired, so a request is
//!   judged by what was valid when it arrived (law 13). If it arrived before what is remembered,
//!   nobody can tell: it is mute, and no theft. Each token makes a record up to 80 bytes larger.
//! - **The history lives beside the record**, which holds it, and so below the setting
//!   [`Rotation`](crate::Rotation), which knows records. The setting hands down the few numbers
//!   that count here, as [`TokenRules`].

mod verdict;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use subtle::{Choice, ConstantTimeEq};

use crate::record::REMEMBERED;
use crate::time::Timestamp;

pub(crate) use self::verdict::{EpochBits, TokenMaintenance, Verdict};

/// What a record keeps of a token: the SHA-256 of its secret, and its history.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TokenHash {
    /// SHA-256 of the secret half of the token.
    pub(crate) hash: [u8; 32],
    /// When it was issued.
    pub(crate) issued: Timestamp,
    /// The epoch of the session in which it was issued.
    pub(crate) epoch: u64,
    /// When a client first presented it, where that has been recorded.
    pub(crate) confirmed: Option<Timestamp>,
    /// When a renewal or rotation put another token in its place.
    pub(crate) retired: Option<Timestamp>,
}

impl TokenHash {
    /// Whether no other token has taken its place. It is then of the session's epoch, because a
    /// renewal retires all others.
    fn is_current(&self) -> bool {
        self.retired.is_none()
    }

    /// When a rotation in this epoch superseded it.
    fn superseded(&self, epoch: u64) -> Option<Timestamp> {
        self.retired.filter(|_| self.epoch == epoch)
    }
}

/// An answer that a later one has overtaken arrives within this time, or never: common proxies
/// give up on an answer after a minute.
const LATEST_ANSWER: Duration = Duration::from_secs(60);
/// Successors that no client has presented yet. A client that lost eight answers in a row keeps
/// no tokens, so it gets no ninth successor, and its record stays small.
const MOST_WAITING: usize = 8;
/// Superseded tokens of one epoch. The default rotation needs 14: one every 5 s, each accepted for
/// 10 s and remembered for 60 s more. 48 suffice for one every 1.5 s, and take less than 4 KiB.
const MOST_REMEMBERED: usize = 48;
/// Tokens that a renewal retires. No epoch has more: the superseded ones, as many as can wait, and
/// as many again that waited and were then presented, the latest first.
const MOST_RETIRED: usize = MOST_REMEMBERED + 2 * MOST_WAITING;

/// What the tokens of a session are judged by: its epoch, and the numbers of its rotation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenRules {
    /// The epoch of the session: one more with each renewal.
    pub(crate) epoch: u64,
    /// The age at which the newest token gets a successor; `None` where nothing rotates.
    pub(crate) successor_after: Option<Duration>,
    /// How many superseded tokens are accepted at most.
    pub(crate) keep: usize,
    /// For how long a superseded token is accepted.
    pub(crate) overlap: Duration,
}

/// The tokens of a session, oldest first: one, as a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct TokenHistory(SmallVec<[TokenHash; 1]>);

/// A history as it was stored.
impl FromIterator<TokenHash> for TokenHistory {
    fn from_iter<I: IntoIterator<Item = TokenHash>>(tokens: I) -> Self {
        Self(tokens.into_iter().collect())
    }
}

impl TokenHistory {
    pub(crate) fn as_slice(&self) -> &[TokenHash] {
        &self.0
    }

    /// Adds a new token, of this hash.
    pub(crate) fn issue(&mut self, hash: [u8; 32], epoch: u64, now: Timestamp) {
        self.0.push(TokenHash {
            hash,
            issued: now,
            epoch,
            confirmed: None,
            retired: None,
        });
    }

    /// Takes note that a client has presented the token of this hash: that supersedes the tokens
    /// before it, and issues the successor, if there is one.
    pub(crate) fn advance(
        &mut self,
        presented: &[u8; 32],
        successor: Option<[u8; 32]>,
        now: Timestamp,
        rules: &TokenRules,
    ) {
        let Some(at) = self.position(presented) else {
            return;
        };
        self.0[at].confirmed.get_or_insert(now);
        // A client may still receive an earlier token, in an answer that was overtaken, and then
        // holds that one. So a token that nobody has presented stays valid until its answer cannot
        // come any more, and at least as long as one that was presented is accepted.
        let latest_answer = rules.overlap.max(LATEST_ANSWER);
        for other in &mut self.0[..at] {
            let has_arrived =
                other.confirmed.is_some() || now.duration_since(other.issued) >= latest_answer;
            if other.is_current() && has_arrived {
                other.retired = Some(now);
            }
        }
        if let Some(hash) = successor {
            self.issue(hash, rules.epoch, now);
        }
        self.forget(now, rules);
    }

    /// Ends the epoch by a renewal: retires every token that is still accepted.
    ///
    /// A superseded token within its overlap is one of them. Its minute begins now, because a
    /// request that arrives with it now is one that the renewal shuts out (law 11). For a token
    /// that was not accepted any more nothing changes.
    pub(crate) fn retire(&mut self, now: Timestamp, rules: &TokenRules) {
        let accepted = |token: &TokenHash| match token.retired {
            None => true,
            Some(since) => token.epoch == rules.epoch && now.duration_since(since) < rules.overlap,
        };
        let remembered = |since| now.duration_since(since) < REMEMBERED;
        self.0
            .retain(|token| accepted(token) || token.retired.is_some_and(remembered));
        let surplus = self.0.len().saturating_sub(MOST_RETIRED);
        self.0.drain(..surplus);
        for token in self.0.iter_mut().filter(|token| accepted(token)) {
            token.retired = Some(now);
        }
    }

    /// Drops the tokens that no verdict needs any more.
    ///
    /// A request may be judged up to a minute after it arrived (law 13). So a token is remembered
    /// for a minute after it was last accepted: a renewal accepts it no longer, a rotation does for
    /// the overlap. The last `keep` stay, so that without keys their theft shows (law 12).
    fn forget(&mut self, now: Timestamp, rules: &TokenRules) {
        let is_superseded = |token: &&TokenHash| token.superseded(rules.epoch).is_some();
        // How many superseded tokens there are from the one at hand to the newest.
        let mut rank = self.0.iter().filter(is_superseded).count();
        self.0.retain(|token| {
            let Some(since) = token.retired else {
                return true;
            };
            let ago = now.duration_since(since);
            if token.epoch != rules.epoch {
                return ago < REMEMBERED;
            }
            let is_recent = rank <= MOST_REMEMBERED && ago < REMEMBERED + rules.overlap;
            let needed = rank <= rules.keep || is_recent;
            rank -= 1;
            needed
        });
    }

    /// Makes the present of every time that is yet to come: a clock that was ahead wrote it.
    pub(crate) fn bring_back(&mut self, now: Timestamp) {
        for token in &mut self.0 {
            token.issued = token.issued.min(now);
            token.confirmed = token.confirmed.map(|at| at.min(now));
            token.retired = token.retired.map(|at| at.min(now));
        }
    }

    /// The index of the token of this hash, compared in constant time.
    #[inline]
    fn position(&self, hash: &[u8; 32]) -> Option<usize> {
        self.0.iter().position(|token| is_equal(&token.hash, hash))
    }
}

/// Compares in constant time, eight bytes at once.
fn is_equal(one: &[u8; 32], other: &[u8; 32]) -> bool {
    let word = |bytes: &[u8; 32], at: usize| {
        u64::from_ne_bytes(std::array::from_fn(|n| bytes[at * 8 + n]))
    };
    (0..4)
        .fold(Choice::from(1), |equal, at| {
            equal & word(one, at).ct_eq(&word(other, at))
        })
        .into()
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenHash")
            .field("issued", &self.issued)
            .field("epoch", &self.epoch)
            .field("confirmed", &self.confirmed)
            .field("retired", &self.retired)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

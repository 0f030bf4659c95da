//! What a record says of a token that a request presents.

use super::{MOST_REMEMBERED, MOST_WAITING, Rotation};
use crate::record::REMEMBERED;
use crate::record::Record;
use crate::record::TokenHash;
use crate::time::Timestamp;
use crate::token::Presented;

/// What a record says of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Accepted(Upkeep),
    /// A renewal has just put another token in its place.
    Renewed,
    /// It was just rotated away, and so many others were since that it is not accepted.
    Surplus,
    /// It was rotated away, and its overlap was over when the request arrived. It was rotated away
    /// then, if the record still knows.
    Reused(Option<Timestamp>),
    /// It was rotated away, and whether it was still good when the request arrived is forgotten.
    Forgotten,
    /// It is of an earlier epoch.
    Former,
    /// Nothing is known of it.
    Stranger,
}

/// What a token that was accepted asks of the commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Upkeep {
    /// It is presented for the first time: note that, and retire its predecessors.
    pub(crate) confirm: bool,
    /// It gets a successor from then on.
    pub(crate) rotate_at: Option<Timestamp>,
    /// Another has taken its place; the client is never told of it again.
    pub(crate) superseded: bool,
}

impl Upkeep {
    pub(crate) fn rotation_due(&self, now: Timestamp) -> bool {
        self.rotate_at.is_some_and(|at| now >= at)
    }

    pub(crate) fn due(&self, now: Timestamp) -> bool {
        self.confirm || self.rotation_due(now)
    }

    /// What the token of this hash asks for.
    pub(crate) fn of(record: &Record, hash: &[u8; 32], rotation: &Rotation) -> Self {
        match record.position(hash) {
            Some(at) if record.tokens[at].retired.is_none() => Self::at(record, at, rotation),
            _ => Self {
                superseded: true,
                ..Self::default()
            },
        }
    }

    fn at(record: &Record, at: usize, rotation: &Rotation) -> Self {
        let before = &record.tokens[..at];
        let newest = record.tokens.last().map(|token| token.issued);
        let waiting =
            |token: &&TokenHash| is_good(token, record.epoch) && token.confirmed.is_none();
        // Each of them may be what a client holds: none is dropped, and no more of them are issued.
        let newest = newest.filter(|_| record.tokens.iter().filter(waiting).count() < MOST_WAITING);
        Self {
            // The first one of its epoch has nothing to supersede. Any other one is noted even
            // where its predecessors are superseded already: of two holders of one token, each has
            // to show.
            confirm: record.tokens[at].confirmed.is_none()
                && before.iter().any(|other| other.epoch == record.epoch),
            rotate_at: newest
                .zip(rotation.interval(record.lifetime))
                .map(|(issued, ttl)| issued.plus(ttl)),
            superseded: false,
        }
    }
}

pub(super) fn is_good(token: &TokenHash, epoch: u64) -> bool {
    token.epoch == epoch && token.retired.is_none()
}

/// Judges a token by the time at which its request arrived, however late somebody asks.
pub(crate) fn standing(
    record: &Record,
    presented: &Presented,
    arrived: Timestamp,
    now: Timestamp,
    rotation: &Rotation,
) -> Standing {
    let Some(at) = record.position(&presented.secret.hash()) else {
        return match presented.epoch {
            // Its MAC is good, so it was issued, and its hash was forgotten since.
            Some(low) if low == low_bits(record.epoch) && rotation.is_on() => {
                match forgets(record, arrived, now, rotation) {
                    true => Standing::Forgotten,
                    false => Standing::Reused(None),
                }
            }
            Some(_) => Standing::Former,
            None => Standing::Stranger,
        };
    };
    let token = &record.tokens[at];
    let since = token.retired;
    let within = |limit| since.is_none_or(|since| arrived.since(since) < limit);
    match token.epoch == record.epoch {
        true if since.is_none() => Standing::Accepted(Upkeep::at(record, at, rotation)),
        true if !within(rotation.overlap) => Standing::Reused(since),
        true if is_among_last(record, at, rotation.keep, arrived) => Standing::Accepted(Upkeep {
            superseded: true,
            ..Upkeep::default()
        }),
        true => Standing::Surplus,
        false if within(REMEMBERED) => Standing::Renewed,
        false => Standing::Former,
    }
}

/// Whether a token that is not remembered may have been good when the request arrived: because it
/// arrived so long ago, or because so many were rotated away since.
fn forgets(record: &Record, arrived: Timestamp, now: Timestamp, rotation: &Rotation) -> bool {
    let superseded = |token: &&TokenHash| token.epoch == record.epoch && token.retired.is_some();
    let mut remembered = record.tokens.iter().filter(superseded);
    let oldest = remembered.next().and_then(|token| token.retired);
    let is_full = remembered.count() + 1 >= MOST_REMEMBERED;
    now.since(arrived) > REMEMBERED
        || (is_full && oldest.is_some_and(|oldest| arrived < oldest.plus(rotation.overlap)))
}

/// Whether at most `count` tokens, from this one on, were superseded when the request arrived.
fn is_among_last(record: &Record, at: usize, count: usize, arrived: Timestamp) -> bool {
    let superseded = |token: &&TokenHash| {
        let before = token.retired.is_some_and(|since| since <= arrived);
        token.epoch == record.epoch && before
    };
    record.tokens[at..].iter().filter(superseded).count() <= count
}

/// What a token's MAC tells of its epoch.
pub(crate) const fn low_bits(epoch: u64) -> u8 {
    (epoch & 3) as u8
}

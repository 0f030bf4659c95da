//! What a history says of a token that a request presents.

use super::{MOST_REMEMBERED, MOST_WAITING, TokenHistory, TokenRules};
use crate::record::REMEMBERED;
use crate::time::Timestamp;

/// What a history says of a token that a request presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It opens the session.
    Accepted(TokenMaintenance),
    /// A renewal retired it less than a minute before the request arrived, or since.
    Renewed,
    /// A rotation superseded it within its overlap, and so many others since that it is not
    /// accepted.
    Surplus,
    /// A rotation superseded it, then if the record still knows, and its overlap was over when the
    /// request arrived.
    Reused(Option<Timestamp>),
    /// A rotation superseded it, and the record has forgotten whether it was still accepted when
    /// the request arrived.
    Undecidable,
    /// It is of an earlier epoch, and no request with it can be under way any more.
    Former,
    /// Nothing shows that it was ever issued.
    Unknown,
}

/// What an accepted token asks of the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenMaintenance {
    /// The client goes on with it, or with its successor.
    Current {
        /// It is presented for the first time: note that, and supersede the tokens before it.
        confirm: bool,
        /// It gets a successor from then on.
        rotate_at: Option<Timestamp>,
    },
    /// Another has taken its place. The client is never sent anything about it again.
    Superseded,
}

impl Default for TokenMaintenance {
    /// Nothing: the token was issued in this request, or is a sealed one.
    fn default() -> Self {
        Self::Current {
            confirm: false,
            rotate_at: None,
        }
    }
}

impl TokenMaintenance {
    pub(crate) fn is_superseded(self) -> bool {
        self == Self::Superseded
    }

    /// Whether it is presented for the first time, and has tokens before it.
    pub(crate) fn confirms(self) -> bool {
        matches!(self, Self::Current { confirm: true, .. })
    }

    /// Whether it gets a successor, now or later.
    pub(crate) fn rotates(self) -> bool {
        self.rotate_at().is_some()
    }

    pub(crate) fn rotation_due(self, now: Timestamp) -> bool {
        self.rotate_at().is_some_and(|at| now >= at)
    }

    fn rotate_at(self) -> Option<Timestamp> {
        match self {
            Self::Current { rotate_at, .. } => rotate_at,
            Self::Superseded => None,
        }
    }
}

/// The low two bits of an epoch: what the MAC of a token says of it.
///
/// A token that is exactly 4, 8, .. renewals old therefore counts as one of this epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EpochBits(u8);

impl EpochBits {
    pub(crate) const fn of(epoch: u64) -> Self {
        Self((epoch & 3) as u8)
    }

    pub(crate) const fn new(upper: u8, lower: u8) -> Self {
        Self(upper << 1 | lower)
    }

    pub(crate) const fn upper(self) -> u8 {
        self.0 >> 1
    }

    pub(crate) const fn lower(self) -> u8 {
        self.0 & 1
    }
}

impl TokenHistory {
    /// Judges the token of this hash by what it was when its request arrived, however late the
    /// handler asks (law 13). `signed` is the epoch by the token's MAC, which shows that the token
    /// was issued. Without a MAC a forgotten token cannot be told from one that never was.
    ///
    /// ```text
    /// hash      epoch    when the request arrived, the token was    verdict               law
    /// ──────────────────────────────────────────────────────────────────────────────────────────
    /// known     this     not superseded, even now                   Accepted(Current)     10
    /// known     this     not yet superseded, or for less than the   Accepted(Superseded)  10, 13
    ///                    overlap, and among the last `keep`
    /// known     this     superseded for less than the overlap,      Surplus               10
    ///                    and not among the last `keep`
    /// known     this     superseded for the overlap or longer       Reused(Some(when))    12
    /// known     earlier  not yet retired, or for less than 60 s     Renewed               11, 13
    /// known     earlier  retired for 60 s or longer                 Former                11, 12
    /// no, MAC   this     perhaps accepted: nobody remembers         Undecidable           13
    /// no, MAC   this     superseded for the overlap or longer       Reused(None)          12
    /// no, MAC   earlier  retired for 60 s or longer                 Former                11, 12
    /// no MAC    -        unknown                                    Unknown               3
    /// ```
    #[inline]
    pub(crate) fn judge(
        &self,
        hash: &[u8; 32],
        signed: Option<EpochBits>,
        arrived: Timestamp,
        now: Timestamp,
        rules: &TokenRules,
    ) -> Verdict {
        let Some(at) = self.position(hash) else {
            let Some(epoch) = signed else {
                return Verdict::Unknown;
            };
            // Where nothing rotates no token of this epoch is ever forgotten: the same two bits are
            // those of an epoch that is four renewals old, or eight.
            if epoch != EpochBits::of(rules.epoch) || rules.successor_after.is_none() {
                return Verdict::Former;
            }
            return match self.may_have_been_accepted(arrived, now, rules) {
                true => Verdict::Undecidable,
                false => Verdict::Reused(None),
            };
        };
        let token = &self.0[at];
        match (token.epoch == rules.epoch, token.retired) {
            (true, None) => Verdict::Accepted(self.current(at, rules)),
            (true, Some(since)) if arrived.duration_since(since) >= rules.overlap => {
                Verdict::Reused(Some(since))
            }
            (true, _) if self.is_among_last(at, arrived, rules) => {
                Verdict::Accepted(TokenMaintenance::Superseded)
            }
            (true, _) => Verdict::Surplus,
            (false, Some(since)) if arrived.duration_since(since) >= REMEMBERED => Verdict::Former,
            (false, _) => Verdict::Renewed,
        }
    }

    /// What the token of this hash, which was accepted before, asks for.
    pub(crate) fn maintenance(&self, hash: &[u8; 32], rules: &TokenRules) -> TokenMaintenance {
        match self.position(hash) {
            Some(at) if self.0[at].is_current() => self.current(at, rules),
            _ => TokenMaintenance::Superseded,
        }
    }

    #[inline]
    fn current(&self, at: usize, rules: &TokenRules) -> TokenMaintenance {
        let waiting = self
            .0
            .iter()
            .filter(|token| token.is_current() && token.confirmed.is_none());
        // Each of those that wait may be what a client holds: none is dropped, and no more of them
        // are issued.
        let newest = self.0.last().filter(|_| waiting.count() < MOST_WAITING);
        TokenMaintenance::Current {
            // The first one of its epoch has nothing to supersede. Any other one is noted even
            // where its predecessors are superseded already: of two holders of one token, each has
            // to show.
            confirm: self.0[at].confirmed.is_none()
                && self.0[..at].iter().any(|other| other.epoch == rules.epoch),
            rotate_at: newest
                .zip(rules.successor_after)
                .map(|(newest, after)| newest.issued + after),
        }
    }

    /// Whether at most `keep` tokens, from this one on, were superseded when the request arrived.
    fn is_among_last(&self, at: usize, arrived: Timestamp, rules: &TokenRules) -> bool {
        let superseded = self.0[at..]
            .iter()
            .filter_map(|token| token.superseded(rules.epoch))
            .filter(|since| *since <= arrived);
        superseded.count() <= rules.keep
    }

    /// Whether a superseded token that is forgotten may have been accepted when the request
    /// arrived: because it arrived before what is remembered, or because so many tokens were
    /// superseded since that this one was dropped for them.
    fn may_have_been_accepted(
        &self,
        arrived: Timestamp,
        now: Timestamp,
        rules: &TokenRules,
    ) -> bool {
        let mut remembered = self
            .0
            .iter()
            .filter_map(|token| token.superseded(rules.epoch));
        let oldest = remembered.next();
        let is_full = remembered.count() + 1 >= MOST_REMEMBERED;
        // What was dropped was superseded no later than the oldest one that is left.
        now.duration_since(arrived) > REMEMBERED
            || (is_full && oldest.is_some_and(|oldest| arrived < oldest + rules.overlap))
    }
}

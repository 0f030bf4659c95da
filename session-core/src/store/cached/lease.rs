//! Until when what is held may be served without asking.

use std::time::Duration;

/// A time during which the store reports every change; numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Term(pub(super) u64);

/// The present term, and the lease in it. What was read in a term may be served in that term, until
/// the lease runs out. Each part of the cache has one, under its own lock.
#[derive(Default)]
pub(super) struct Lease {
    /// The last term that has begun.
    last: Option<Term>,
    ended: bool,
    /// By the monotonic clock.
    until: Duration,
}

impl Lease {
    /// The present term, if there is one.
    pub(super) fn term(&self) -> Option<Term> {
        self.last.filter(|_| !self.ended)
    }

    /// The term in which the store was asked, if it is still the present one.
    pub(super) fn still(&self, asked_in: Option<Term>) -> Option<Term> {
        asked_in.filter(|_| asked_in == self.term())
    }

    /// Whether what was read in `term` may be served `now`.
    pub(super) fn covers(&self, term: Term, now: Duration) -> bool {
        self.term() == Some(term) && now < self.until
    }

    /// Begins a term, unless a later one has begun meanwhile. No answer has come in it yet.
    pub(super) fn begin(&mut self, term: Term) {
        if self.last < Some(term) {
            *self = Self {
                last: Some(term),
                ended: false,
                until: Duration::ZERO,
            };
        }
    }

    /// Ends a term, if it is the present one.
    pub(super) fn end(&mut self, term: Term) {
        if self.last == Some(term) {
            self.ended = true;
        }
    }

    /// Every change up to some time was told; so the lease lasts until then.
    pub(super) fn renew(&mut self, term: Term, until: Duration) {
        if self.last == Some(term) {
            self.until = self.until.max(until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_lease_lasts_until_the_answer_says_and_no_longer() {
        let mut lease = Lease::default();
        assert_eq!(lease.term(), None);
        lease.begin(Term(1));
        assert!(!lease.covers(Term(1), Duration::ZERO), "no answer yet");
        lease.renew(Term(1), SECOND);
        assert!(lease.covers(Term(1), SECOND - Duration::from_nanos(1)));
        assert!(!lease.covers(Term(1), SECOND));
        lease.renew(Term(1), SECOND / 2);
        assert!(lease.covers(Term(1), SECOND / 2), "it is never shortened");
    }

    #[test]
    fn nothing_of_a_former_term_counts_in_the_next() {
        let mut lease = Lease::default();
        lease.begin(Term(1));
        lease.renew(Term(1), SECOND);
        lease.begin(Term(2));
        assert!(!lease.covers(Term(1), Duration::ZERO));
        lease.renew(Term(1), SECOND); // an answer on a connection that was replaced
        assert!(!lease.covers(Term(2), Duration::ZERO));
        lease.end(Term(1));
        assert_eq!(lease.term(), Some(Term(2)));
        lease.renew(Term(2), SECOND);
        assert!(lease.covers(Term(2), Duration::ZERO));
        lease.end(Term(2));
        assert!(!lease.covers(Term(2), Duration::ZERO));
        lease.begin(Term(1)); // late
        assert_eq!(lease.term(), None);
    }
}

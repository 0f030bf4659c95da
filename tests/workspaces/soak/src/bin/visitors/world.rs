//! What all visitors share: where the site is, what was done to it, and what they have seen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use session_soak::Page;
use tokio::sync::watch;

use crate::disturbances::{Cause, Disturbances, GENTLE, Write};
use crate::options::Options;

/// At most so many faults are described, and as many excused ones.
const MOST_NOTES: usize = 200;

/// Descriptions of what went wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Notes {
    pub(crate) lines: Vec<String>,
    /// How many more there were.
    pub(crate) dropped: usize,
}

impl Notes {
    fn add(&mut self, line: String) {
        match self.lines.len() < MOST_NOTES {
            true => self.lines.push(line),
            false => self.dropped += 1,
        }
    }
}

/// What came of one request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) page: &'static str,
    /// None if the connection was cut.
    pub(crate) status: Option<u16>,
    pub(crate) took: Duration,
    /// If it is a fault, what it is put down to.
    pub(crate) fault: Option<Cause>,
}

/// One visit of one visitor, who has a session of their own in each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Visit {
    pub(crate) visitor: usize,
    pub(crate) number: usize,
}

/// What a number begins with, so that no two visitors write the same one.
const OWNER_SHIFT: u32 = 32;

/// The `count`th number of a visitor. It is even where the count is.
pub(crate) const fn number_of(visitor: usize, count: u32) -> u64 {
    ((visitor as u64 + 1) << OWNER_SHIFT) | count as u64
}

pub(crate) fn name_of(visitor: usize) -> String {
    format!("visitor-{visitor}")
}

/// What a page shows of somebody else than this visitor.
fn foreign(page: &Page, visitor: usize) -> Option<String> {
    let mine = number_of(visitor, 0) >> OWNER_SHIFT;
    let is_foreign = |number: &u64| *number >> OWNER_SHIFT != mine;
    let who = page.who.iter().find(|who| **who != name_of(visitor));
    let number = page.cart.iter().chain(page.numbers.values());
    let number = number.copied().find(is_foreign);
    match (who, number) {
        (Some(who), _) => Some(format!("the name {who}")),
        (None, Some(number)) => Some(format!("the number {number}")),
        (None, None) => None,
    }
}

/// What visitors count.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Tally {
    pub(crate) acknowledged: u64,
    /// Acknowledged writes that were compared with what is stored.
    pub(crate) writes_compared: u64,
    pub(crate) unknown: u64,
    pub(crate) compared: u64,
    pub(crate) lost: u64,
    pub(crate) lost_by_fail_over: u64,
    pub(crate) came_back: u64,
    pub(crate) not_written: u64,
    pub(crate) twice: u64,
    pub(crate) failed_on_purpose: u64,
    pub(crate) sign_ins: u64,
    pub(crate) sign_outs: u64,
    pub(crate) signed_out: u64,
    pub(crate) signed_out_by_fail_over: u64,
    pub(crate) ledgers_doubted: u64,
    pub(crate) strangers: u64,
    /// Answers that were looked at for data of other visitors, and those that had some.
    pub(crate) answers: u64,
    pub(crate) foreign: u64,
    pub(crate) visits: u64,
    pub(crate) cookies_kept: u64,
    pub(crate) old_cookies: u64,
    pub(crate) old_cookies_open: u64,
    pub(crate) old_cookies_open_by_fail_over: u64,
    pub(crate) uploads: u64,
    pub(crate) hung_up: u64,
    pub(crate) sockets: u64,
    pub(crate) sockets_closed_by_sign_out: u64,
    pub(crate) sockets_closed_by_restart: u64,
    pub(crate) sockets_cut_with_their_server: u64,
    pub(crate) sockets_closed_by_fail_over: u64,
    pub(crate) sockets_without_reason: u64,
    pub(crate) sockets_outlived: u64,
    pub(crate) sockets_outlived_by_fail_over: u64,
    pub(crate) refused_by_fail_over: u64,
}

/// A cookie of a session that its owner has signed out of.
#[derive(Clone, Debug)]
pub(crate) struct OldCookie {
    pub(crate) visit: Visit,
    pub(crate) cookie: String,
    pub(crate) signed_out: Instant,
    /// The store may lose the sign-out, or before it a rotation. In that case the site does not
    /// know the token that signs out, and the session of the token before lives on.
    pub(crate) writes: Arc<[Write]>,
}

#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) requests: Vec<Request>,
    pub(crate) tally: Tally,
    /// What is a fault, or what whoever reads the report should know.
    pub(crate) notes: Notes,
    /// What would be a fault without its excuse. In a list of its own it cannot crowd out faults.
    pub(crate) excused_notes: Notes,
    pub(crate) old_cookies: Vec<OldCookie>,
    pub(crate) writes: Vec<Write>,
    /// The visits that had something excused because Redis has lost a write of theirs.
    pub(crate) excused: BTreeSet<Visit>,
    owners: BTreeMap<String, usize>,
}

impl Seen {
    /// What an answer shows of somebody else, also if only the session is another visitor's.
    fn foreign(&mut self, page: &Page, visitor: usize) -> Option<String> {
        let owner = page.session.as_ref().map(|session| {
            let owner = self.owners.entry(session.clone());
            *owner.or_insert(visitor)
        });
        let of_other = owner.filter(|owner| *owner != visitor);
        foreign(page, visitor).or_else(|| of_other.map(|owner| format!("a session of {owner}")))
    }
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) base: String,
    pub(crate) seed: u64,
    /// How busy visitors are: twice as busy at 2.
    pub(crate) pace: f64,
    pub(crate) began: Instant,
    pub(crate) disturbances: Disturbances,
    pub(crate) over: watch::Sender<bool>,
    seen: Mutex<Seen>,
}

impl World {
    pub(crate) fn new(base: String, options: &Options) -> Self {
        Self {
            base,
            seed: options.seed,
            pace: options.pace,
            began: Instant::now(),
            disturbances: Disturbances::of(options.store),
            over: watch::Sender::new(false),
            seen: Mutex::default(),
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn count(&self, count: impl FnOnce(&mut Tally)) {
        count(&mut self.seen().tally);
    }

    /// Looks for data of other visitors in an answer to this one.
    pub(crate) fn inspect(&self, page: &Page, visitor: usize) {
        let mut seen = self.seen();
        seen.tally.answers += 1;
        let Some(what) = seen.foreign(page, visitor) else {
            return;
        };
        seen.tally.foreign += 1;
        drop(seen);
        self.note(&format!("visitor-{visitor} was shown {what}"));
    }

    /// Redis has lost a write of this visit, and that explains what the tally counts.
    pub(crate) fn excuse(&self, visit: Visit, count: impl FnOnce(&mut Tally)) {
        let mut seen = self.seen();
        seen.excused.insert(visit);
        count(&mut seen.tally);
    }

    /// The short ids of sessions of which the store may have lost a rotation, or the sign-out.
    pub(crate) fn sessions_with_a_loss(&self) -> BTreeSet<String> {
        let seen = self.seen();
        let lost = seen
            .writes
            .iter()
            .filter(|one| self.disturbances.may_lose(one.session, one.began, one.at));
        lost.map(|one| one.session.short().to_string()).collect()
    }

    /// Describes a fault, for the report.
    pub(crate) fn note(&self, what: &str) {
        let line = self.line(what);
        self.seen().notes.add(line);
    }

    /// Describes what would be a fault if nothing excused it.
    pub(crate) fn note_excused(&self, what: &str) {
        let line = self.line(what);
        self.seen().excused_notes.add(line);
    }

    /// Describes a request that failed by this cause. What a store or a server does that was killed
    /// or stopped goes without saying.
    pub(crate) fn note_failure(&self, what: &str, cause: Cause) {
        let line = format!("{what}; by {}", cause.name());
        match cause {
            Cause::Unexplained => self.note(&line),
            Cause::Disturbance(disturbance) if GENTLE.contains(&disturbance) => self.note(&line),
            Cause::HeldUp | Cause::LostWrite => self.note_excused(&line),
            Cause::Disturbance(_) => {}
        }
    }

    fn line(&self, what: &str) -> String {
        format!("{:.2} s: {what}", self.began.elapsed().as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(who: Option<usize>, cart: &[u64], number: Option<u64>) -> Page {
        Page {
            who: who.map(name_of),
            cart: cart.to_vec(),
            numbers: number
                .map(|number| ("k".to_owned(), number))
                .into_iter()
                .collect(),
            ..Page::default()
        }
    }

    #[test]
    fn numbers_of_two_visitors_differ() {
        assert_ne!(number_of(0, u32::MAX), number_of(1, u32::MAX));
        assert!(number_of(3, 1) < number_of(3, 2));
        assert!(number_of(3, 2).is_multiple_of(2) && !number_of(3, 3).is_multiple_of(2));
    }

    #[test]
    fn data_of_another_visitor_is_found() {
        let [mine, other] = [number_of(1, 7), number_of(2, 7)];
        for own in [
            page(None, &[], None),
            page(Some(1), &[mine], Some(mine)),
            page(None, &[mine], None),
        ] {
            assert_eq!(foreign(&own, 1), None);
        }
        for strange in [
            page(Some(2), &[], None),
            page(Some(1), &[mine, other], None),
            page(Some(1), &[mine], Some(other)),
            page(Some(1), &[7], None), // no visitor writes it
        ] {
            assert!(foreign(&strange, 1).is_some(), "{strange:?}");
        }
    }

    #[test]
    fn notes_do_not_crowd_out_others() {
        let options = Options::from_args(["redis", "1"].map(str::to_owned).into_iter()).unwrap();
        let world = World::new(String::new(), &options);
        for _ in 0..=MOST_NOTES {
            world.note_failure("x", Cause::HeldUp);
        }
        world.note_failure("x", Cause::Disturbance("a primary killed"));
        for cause in [Cause::Unexplained, Cause::Disturbance(GENTLE[0])] {
            world.note_failure("y", cause);
        }
        let seen = world.seen();
        assert_eq!((seen.notes.lines.len(), seen.notes.dropped), (2, 0));
        let excused = &seen.excused_notes;
        assert_eq!((excused.lines.len(), excused.dropped), (MOST_NOTES, 1));
    }

    #[test]
    fn a_session_has_one_owner() {
        let mut seen = Seen::default();
        let page = Page {
            session: Some("s".to_owned()),
            ..Page::default()
        };
        assert_eq!(seen.foreign(&page, 1), None);
        assert_eq!(seen.foreign(&page, 1), None);
        assert!(seen.foreign(&page, 2).is_some());
    }
}

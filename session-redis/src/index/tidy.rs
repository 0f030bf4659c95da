//! What each sign-in does for the index of its principal: it looks at a few entries whose sessions
//! may be missing.
//!
//! A session expires without anybody's doing, and its entry stays. A sign-in adds one entry and
//! looks at more than one, to mark or to remove it. So the entries without a session stay few,
//! whatever the lifetimes are, and whether or not anybody ever lists them.

use session_core::store::{Record, StoreError};
use session_core::{SessionId, Timestamp};
use tokio::time::Instant;

use super::index::Index;
use super::score::{MISSED, Score, repairs_of_missing};
use crate::commands::session_entries;
use crate::connection::Fault;

/// How many entries one sign-in looks at.
const FEW: usize = 16;
/// Which part of the time that is left to a sign-in this may take. What was asked for is done.
const SHARE: u32 = 4;
/// At most this many entries are skipped.
const FURTHEST: u64 = 1024;

/// Where to look: between two scores, after some entries that are skipped.
#[derive(Debug)]
struct Place {
    scores: [String; 2],
    skip: u64,
}

impl Place {
    /// A place that is drawn. Three times in eight it is among entries that were marked long enough
    /// ago to be removed, once among those that are revoked. Otherwise it is among those of
    /// sign-ins more than an idle timeout ago, which may have to be marked: at the oldest, or some
    /// further on, so that a few sessions that live long hide no others.
    fn draw(drawn: u64, record: &Record, now: Timestamp) -> Self {
        let place = |scores, skip| Self { scores, skip };
        let idle = u64::try_from(record.lifetime().idle().as_millis()).unwrap_or(u64::MAX);
        let old = record.absolute_expiry().as_millis().saturating_sub(idle);
        let deadlines = |from: u64| [from.min(old).to_string(), old.to_string()];
        let number = drawn >> 3;
        match drawn % 8 {
            0..3 => place(Score::missed_before(now, MISSED), 0),
            3 => place(Score::all_revoked(), 0),
            4 | 5 => place(deadlines(0), 0),
            // After few of them as often as after many.
            6 => place(deadlines(0), ((number >> 8) % FURTHEST) >> (number % 11)),
            _ => {
                let now = now.as_millis();
                let part = old.saturating_sub(now) / FURTHEST;
                place(deadlines(now + part * (number % FURTHEST)), 0)
            }
        }
    }
}

impl Index {
    /// Removes entries whose sessions have been missing for a while, and marks those that are
    /// missing now. If that fails, the next sign-in does it.
    pub(super) async fn tidy(mut self, record: &Record, now: Timestamp) {
        let left = self.until.saturating_duration_since(Instant::now());
        self.until = Instant::now() + left / SHARE;
        let place = Place::draw(getrandom::u64().unwrap_or_default(), record, now);
        if let Err(error) = self.tidy_at(&place, now).await {
            tracing::debug!(target: "session::redis", ?error, "an index could not be healed");
        }
    }

    async fn tidy_at(&self, place: &Place, now: Timestamp) -> Result<(), StoreError> {
        let Place { scores, skip } = place;
        let (commands, principal) = (&self.commands, &self.principal);
        let entries = commands
            .entries_by_score(principal, scores, *skip, FEW, self.until)
            .await?;
        let looks = self.each(session_entries(entries), |index, id| async move {
            index.is_theirs(id).await
        });
        let mut missing = Vec::new();
        for (entry, theirs) in looks.await? {
            if !theirs? {
                missing.push(entry);
            }
        }
        let repaired = self.repair(&repairs_of_missing(&missing, now)).await;
        repaired.map(drop).map_err(Fault::into_read_error)
    }

    pub(super) async fn is_theirs(&self, id: SessionId) -> Result<bool, StoreError> {
        match self.commands.owner(id, self.until).await? {
            Some(owner) => Ok(*owner == *self.principal),
            // As a rule it is not there. One that is damaged names no principal.
            None => Ok(self.find(id).await?.is_some()),
        }
    }
}

#[cfg(test)]
mod tests {
    use session_core::Lifetime;

    use super::*;

    #[test]
    fn nothing_that_signed_in_within_an_idle_timeout_is_looked_at() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let record = Record::new(
            SessionId::from_bytes([7; 16]),
            "id",
            Lifetime::default(),
            now,
        );
        let old = record.absolute_expiry().as_millis() - 2 * 3600 * 1000;
        for drawn in (0..100_000_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)) {
            let place = Place::draw(drawn, &record, now);
            let to: f64 = place.scores[1]
                .trim_start_matches('(')
                .parse()
                .unwrap_or(f64::MAX);
            let from: f64 = place.scores[0].parse().unwrap_or(f64::MAX);
            assert!(
                from <= to && to <= old as f64 && place.skip < FURTHEST,
                "{place:?}"
            );
        }
    }
}

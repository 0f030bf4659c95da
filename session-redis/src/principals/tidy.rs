//! What each sign-in does for the index of its principal: it looks at a few entries whose sessions
//! may have ended.
//!
//! A session ends for want of activity without anybody's doing, and its entry stays. A sign-in that
//! adds one looks at more than one, to mark them or to take them out: so those without a session
//! stay few, whatever the lifetimes are and whether anybody ever lists them.

use std::collections::HashSet;
use std::sync::Arc;

use redis::cmd;
use session_core::{Record, SessionId, StoreError, Timestamp};
use tokio::time::Instant;

use super::pages::{pairs, sessions};
use super::score::Score;
use super::{MISSED, steps};
use crate::fault::Fault;
use crate::link::Twice;
use crate::store::Inner;

/// How many entries one sign-in looks at.
const FEW: usize = 16;
/// How much of the time that is left to a sign-in this may take: what was asked for is done.
const SHARE: u32 = 4;
/// Up to how many entries are passed over.
const FURTHEST: u64 = 1024;

/// Between which scores, and behind how many others, to look.
#[derive(Debug)]
struct Place {
    from: String,
    to: String,
    over: u64,
}

impl Place {
    /// By turns, as drawn: entries that were marked long enough ago to be taken out, and those of
    /// principals who signed in more than an idle timeout ago, which are to be marked. Of these the
    /// oldest, or some further on, so that a few that live long hide none.
    fn draw(drawn: u64, record: &Record, now: Timestamp) -> Self {
        let place = |[from, to]: [String; 2], over| Self { from, to, over };
        let idle = u64::try_from(record.lifetime().idle().as_millis()).unwrap_or(u64::MAX);
        let old = record.deadline().as_millis().saturating_sub(idle);
        let deadlines = |from: u64| [from.min(old).to_string(), old.to_string()];
        let number = drawn >> 3;
        match drawn % 8 {
            0..3 => place(Score::missed_before(now, MISSED), 0),
            3 => place(Score::all_revoked(), 0),
            4 | 5 => place(deadlines(0), 0),
            // Behind few of them as often as behind many.
            6 => place(deadlines(0), ((number >> 8) % FURTHEST) >> (number % 11)),
            _ => {
                let now = now.as_millis();
                let part = old.saturating_sub(now) / FURTHEST;
                place(deadlines(now + part * (number % FURTHEST)), 0)
            }
        }
    }
}

impl Inner {
    /// Takes entries out of an index whose sessions have been missing for a while, or marks those
    /// that are missing. What fails, the next sign-in does.
    pub(crate) async fn tidy(
        self: &Arc<Self>,
        principal: &str,
        record: &Record,
        now: Timestamp,
        until: Instant,
    ) {
        let left = until.saturating_duration_since(Instant::now());
        let until = Instant::now() + left / SHARE;
        let place = Place::draw(getrandom::u64().unwrap_or_default(), record, now);
        if let Err(error) = self.tidy_at(principal, &place, now, until).await {
            tracing::debug!(target: "session::redis", ?error, "an index could not be healed");
        }
    }

    async fn tidy_at(
        self: &Arc<Self>,
        principal: &str,
        place: &Place,
        now: Timestamp,
        until: Instant,
    ) -> Result<(), StoreError> {
        let mut command = cmd("ZRANGE");
        command.arg(self.names.index(principal));
        command.arg(&place.from).arg(&place.to).arg("BYSCORE");
        command
            .arg("LIMIT")
            .arg(place.over)
            .arg(FEW)
            .arg("WITHSCORES");
        let reply = self.link.call(&command, Twice::Harmless, until).await;
        let mut entries = sessions(pairs(reply.map_err(Fault::of_read)?)?);
        let owner: Arc<str> = principal.into();
        let looks = self.each(entries.iter().map(|(id, _)| *id), |inner, id| {
            let owner = Arc::clone(&owner);
            async move { inner.is_theirs(&owner, id, until).await }
        });
        let mut missing = HashSet::new();
        for (id, theirs) in looks.await? {
            if !theirs? {
                missing.insert(id);
            }
        }
        entries.retain(|(id, _)| missing.contains(id));
        let healed = self.heal(principal, &steps(&entries, now), until).await;
        healed.map(drop).map_err(Fault::of_read)
    }

    async fn is_theirs(
        &self,
        principal: &str,
        id: SessionId,
        until: Instant,
    ) -> Result<bool, StoreError> {
        match self.owner(id, until).await? {
            Some(owner) => Ok(owner == principal),
            // It is not there, as a rule. One that is damaged does not say whose it is.
            None => Ok(self.find(principal, id, until).await?.is_some()),
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
        let old = record.deadline().as_millis() - 2 * 3600 * 1000;
        for drawn in (0..100_000_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)) {
            let place = Place::draw(drawn, &record, now);
            let to: f64 = place.to.trim_start_matches('(').parse().unwrap_or(f64::MAX);
            let from: f64 = place.from.parse().unwrap_or(f64::MAX);
            assert!(
                from <= to && to <= old as f64 && place.over < FURTHEST,
                "{place:?}"
            );
        }
    }
}

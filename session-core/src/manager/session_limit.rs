//! How many sessions a principal may have.

use crate::error::SessionError;
use crate::event::Who;
use crate::manager::SessionManager;
use crate::record::{EndReason, SessionId};
use crate::settings::{OnMaxSessions, SessionLimit};
use crate::state::Cell;
use crate::store::Listed;

const REASON: &str = "more sessions than a principal may have";

/// Sessions are ordered by their time of authentication, then by id: the same order for everybody
/// who looks, so that of many sign-ins at once all agree on which sessions are too many. Each looks
/// again after it is stored, so the last one sees them all. A sign-in takes a time after all it has
/// seen, whatever the clocks of the servers say.
///
/// A session whose record cannot be read counts, since it may be one. It lets nobody in, so it is
/// the first to end, and refuses no sign-in. One whose values can be read elsewhere only, where
/// there is another key, refuses no sign-in either, and ends no sooner than others.
impl SessionManager {
    /// Before a sign-in: refuses it where there is no room, and notes what it has to follow.
    pub(crate) async fn make_room(
        &self,
        cell: &Cell,
        limit: SessionLimit,
    ) -> Result<(), SessionError> {
        let (principal, own, ending) = {
            let state = cell.state();
            let Some(principal) = state.metadata.sign_in.clone() else {
                return Ok(());
            };
            (principal, state.id(), state.ending())
        };
        let mut others = self.in_order(&principal).await?;
        others.retain(|listed| Some(listed.id()) != own);
        let stays = |listed: &&Listed| {
            let record = listed.record();
            !ending.contains(&listed.id())
                && record.is_some_and(|record| self.calls().lets_in(record))
        };
        if limit.beyond == OnMaxSessions::Refuse
            && others.iter().filter(stays).count() >= limit.most
        {
            self.events().sign_in_refused(own, &principal, self.now());
            return Err(SessionError::TooManySessions { most: limit.most });
        }
        let latest = others.last().and_then(Listed::record);
        if let Some(latest) = latest.and_then(|record| record.authenticated) {
            cell.state().metadata.after = latest + std::time::Duration::from_millis(1);
        }
        Ok(())
    }

    /// After a sign-in: ends the sessions that are too many, be it this one.
    pub(crate) async fn keep_to_limit(
        &self,
        cell: &Cell,
        limit: SessionLimit,
        who: &Who,
    ) -> Result<(), SessionError> {
        let Some(principal) = &who.principal else {
            return Ok(());
        };
        let ending = cell.state().ending();
        let ended = self.end_surplus(limit, principal, who.id, &ending).await;
        match ended {
            Ok(false) => Ok(()),
            Ok(true) => {
                cell.state().gone();
                match limit.beyond {
                    OnMaxSessions::RevokeOldest => Ok(()),
                    OnMaxSessions::Refuse => {
                        Err(SessionError::TooManySessions { most: limit.most })
                    }
                }
            }
            // Who is signed in stays so. If there are too many, the next sign-in finds them.
            Err(error) => {
                self.events().unwritten(who, &error, self.now());
                Ok(())
            }
        }
    }

    /// Whether `own` was among those that had to end.
    async fn end_surplus(
        &self,
        limit: SessionLimit,
        principal: &str,
        own: SessionId,
        ending: &[SessionId],
    ) -> Result<bool, SessionError> {
        let mut sessions = self.in_order(principal).await?;
        sessions.retain(|listed| !ending.contains(&listed.id()));
        if limit.beyond == OnMaxSessions::Refuse {
            sessions.retain(|listed| listed.record().is_none_or(|it| self.calls().lets_in(it)));
        }
        let surplus = sessions.len().saturating_sub(limit.most);
        let unreadable = sessions.partition_point(|listed| listed.record().is_none());
        let first = match limit.beyond {
            OnMaxSessions::RevokeOldest => surplus,
            OnMaxSessions::Refuse => surplus.min(unreadable),
        };
        // Refused is the newest, even one that has returned already: by the order it came after
        // this one.
        let (ending, rest) = sessions.split_at(first);
        let refused = &rest[rest.len() - (surplus - first)..];
        let mut ends = false;
        for listed in ending.iter().chain(refused) {
            self.calls()
                .delete_one_of(principal, listed.id(), EndReason::TooMany, REASON)
                .await?;
            ends |= listed.id() == own;
        }
        Ok(ends)
    }

    /// The live sessions of a principal in this scope: those that cannot be read, of whatever scope
    /// they are, then the others, the one that signed in first at the front.
    async fn in_order(&self, principal: &str) -> Result<Vec<Listed>, SessionError> {
        let mut sessions = self.calls().list_of(principal).await?;
        sessions.retain(|listed| {
            listed
                .record()
                .is_none_or(|record| record.scope() == self.scope())
        });
        // `None` comes first.
        sessions.sort_unstable_by_key(|listed| {
            let authenticated = listed.record().map(|record| record.authenticated);
            (authenticated, *listed.id().as_bytes())
        });
        Ok(sessions)
    }
}

//! How many sessions a principal may have.

use std::sync::Arc;

use crate::event::Who;
use crate::manager::SessionManager;
use crate::session::Inner;
use crate::{Error, Record, SessionId};

/// What becomes of a sign-in beyond the maximum
/// ([`ManagerBuilder::max_sessions`](crate::ManagerBuilder::max_sessions)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnMaxSessions {
    /// The principal's session that signed in first ends.
    RevokeOldest,
    /// The sign-in fails: [`sign_in`](crate::Session::sign_in) itself succeeds, and the commit fails with
    /// [`Error::TooManySessions`]. HTTP answers with 409 and an empty body, or as `SessionLayer::on_error` says. Of several at the same moment that are too many together, one
    /// that has already returned may be ended in the place of another.
    Refuse,
}

/// The most sessions of one principal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cap {
    pub(crate) most: usize,
    pub(crate) beyond: OnMaxSessions,
}

/// Sessions are ordered by their time of authentication, then by id: the same order for everybody who looks, so that of
/// many sign-ins at once all agree on which sessions are too many. Each looks again after it is stored, so the last one sees them all.
/// A sign-in takes a time after all it has seen, whatever the clocks of the servers say.
impl SessionManager {
    /// Before a sign-in: refuses it where there is no room, and notes what it has to follow.
    pub(crate) async fn make_room(&self, inner: &Inner, cap: Cap) -> Result<(), Error> {
        let (principal, own, ending) = {
            let state = inner.state();
            let Some(principal) = state.intent.sign_in.clone() else {
                return Ok(());
            };
            (principal, state.id(), state.ending())
        };
        let mut others = self.in_order(&principal).await?;
        others.retain(|record| Some(record.id) != own);
        let staying = others.iter().filter(|record| !ending.contains(&record.id));
        if cap.beyond == OnMaxSessions::Refuse && staying.count() >= cap.most {
            let reason = "more sessions than a principal may have";
            self.shared
                .events
                .sign_in_refused(own, &principal, reason, self.now());
            return Err(Error::TooManySessions { most: cap.most });
        }
        if let Some(latest) = others.last().and_then(|record| record.authenticated) {
            inner.state().intent.after = latest.plus(std::time::Duration::from_millis(1));
        }
        Ok(())
    }

    /// After a sign-in: ends the sessions that are too many, be it this one.
    pub(crate) async fn keep_to_cap(&self, inner: &Inner, cap: Cap, who: &Who) -> Result<(), Error> {
        let Some(principal) = &who.principal else {
            return Ok(());
        };
        let ending = inner.state().ending();
        let ended = self.end_surplus(cap, principal, who.id, &ending).await;
        match ended {
            Ok(false) => Ok(()),
            Ok(true) => {
                inner.state().gone();
                match cap.beyond {
                    OnMaxSessions::RevokeOldest => Ok(()),
                    OnMaxSessions::Refuse => Err(Error::TooManySessions { most: cap.most }),
                }
            }
            // Who is signed in stays so. If there are too many, the next sign-in finds them.
            Err(error) => {
                self.shared.events.unwritten(who, &error, self.now());
                Ok(())
            }
        }
    }

    /// Whether `own` was among those that had to end.
    async fn end_surplus(
        &self,
        cap: Cap,
        principal: &str,
        own: SessionId,
        ending: &[SessionId],
    ) -> Result<bool, Error> {
        let mut sessions = self.in_order(principal).await?;
        sessions.retain(|record| !ending.contains(&record.id));
        let surplus = sessions.len().saturating_sub(cap.most);
        let ending = match cap.beyond {
            OnMaxSessions::RevokeOldest => &sessions[..surplus],
            // Be it one that has returned already: by the order it came after this one.
            OnMaxSessions::Refuse => &sessions[sessions.len() - surplus..],
        };
        let mut ends = false;
        for record in ending {
            self.end_one(principal, record.id, "more sessions than a principal may have")
                .await?;
            ends |= record.id == own;
        }
        Ok(ends)
    }

    /// The live sessions of a principal in this scope, the one that signed in first at the front.
    async fn in_order(&self, principal: &str) -> Result<Vec<Arc<Record>>, Error> {
        let mut sessions = self.list(principal).await?;
        sessions.retain(|record| record.scope() == self.scope());
        sessions.sort_unstable_by_key(|record| (record.authenticated, *record.id.as_bytes()));
        Ok(sessions)
    }
}

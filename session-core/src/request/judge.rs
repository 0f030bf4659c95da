//! What one token opens.

use std::sync::Arc;

use bytestring::ByteString;

use crate::event::{AfterReuse, Refusal, Who};
use crate::manager::SessionManager;
use crate::record::{LATE, REMEMBERED, Record, Verdict};
use crate::state::{DeletedBy, PendingDeletion, Stored, TokenState};
use crate::store::{RecordKey, RecordLocation};
use crate::time::Timestamp;
use crate::token::Presented;

/// When a request arrived, when its tokens are judged, and what it has to prove its device with.
#[derive(Clone, Copy)]
pub(super) struct Arrival<P> {
    pub(super) arrived: Timestamp,
    pub(super) now: Timestamp,
    pub(super) proofs: P,
}

impl<P: Proofs> Arrival<P> {
    pub(super) fn new(arrived: Timestamp, now: Timestamp, proofs: P) -> Self {
        Self {
            arrived: arrived.min(now),
            now,
            proofs,
        }
    }

    /// What the request may have missed is not remembered any more.
    pub(super) fn is_late(self) -> bool {
        self.now.duration_since(self.arrived) >= LATE
    }
}

/// What a request has to prove its device with. Nearly all requests have nothing, and their futures
/// have no room for it.
pub(super) trait Proofs: Copy {
    /// The proofs; none if the request needs none.
    fn given(&self) -> Option<&[&str]>;
}

/// It has none.
#[derive(Clone, Copy)]
pub(super) struct NoProofs;

/// It needs none, because it asks for one.
#[derive(Clone, Copy)]
pub(super) struct NotNeeded;

impl Proofs for &[&str] {
    fn given(&self) -> Option<&[&str]> {
        Some(self)
    }
}

impl Proofs for NoProofs {
    fn given(&self) -> Option<&[&str]> {
        Some(&[])
    }
}

impl Proofs for NotNeeded {
    fn given(&self) -> Option<&[&str]> {
        None
    }
}

/// What one token opens.
pub(super) enum Opens {
    Session(Stored),
    /// A session that is bound to a device, of which the request has no proof: it ends if its own
    /// principal signs in.
    Unproven(PendingDeletion),
    /// Its session was renewed, rotated or ended a moment ago, or since the request arrived: the
    /// request is answered as anonymous, and stores nothing.
    Barred,
    /// It was rotated away, and its overlap was over when the request arrived.
    Reused {
        record: Arc<Record>,
        /// That was a moment ago, so that the request is barred too.
        barred: bool,
    },
    Expired,
    Nothing,
}

impl SessionManager {
    /// The key that a token names, and what it proves; `None` for one that is not ours.
    pub(super) fn read(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Option<(RecordKey, Option<Presented>)> {
        let read = self.parse(token);
        if read.is_none() {
            self.events().refused(Refusal::Malformed, now);
        }
        read
    }

    fn parse(&self, token: &str) -> Option<(RecordKey, Option<Presented>)> {
        match self.settings().location {
            RecordLocation::Server => {
                let presented = self.shared.tokens.read(token)?;
                Some((RecordKey::Id(presented.id), Some(presented)))
            }
            RecordLocation::Client { .. } => {
                let fits = !token.is_empty() && token.len() <= self.settings().max_token;
                let scope = self.settings().scope.clone();
                (fits && is_base64url(token)).then(|| {
                    let token = ByteString::from(token);
                    (RecordKey::Sealed { scope, token }, None)
                })
            }
        }
    }

    /// Whether a token that does not open may be a sealed session all the same: under another key,
    /// or in pieces.
    pub(super) fn may_be_sealed(&self, token: &str) -> bool {
        match self.settings().location {
            RecordLocation::Server => false,
            RecordLocation::Client { overhead, .. } => token.len() >= (overhead * 4).div_ceil(3),
        }
    }

    /// What a token opens, given what the store has under its key.
    ///
    /// A request is judged by the time at which it arrived: a token that was good then is no theft.
    /// What has ended or was renewed since bars it, so that it cannot undo that. A request that
    /// comes to its session late may have missed more than is remembered: where nothing is known of
    /// its token, it is barred too.
    pub(super) fn judge<P: Proofs>(
        &self,
        key: RecordKey,
        presented: Option<Presented>,
        record: Option<Arc<Record>>,
        arrival: Arrival<P>,
    ) -> Opens {
        let Arrival { arrived, now, .. } = arrival;
        let events = self.events();
        let unknown = || {
            let (refusal, opens) = match arrival.is_late() {
                true => (Refusal::Late, Opens::Barred),
                false => (Refusal::Unknown, Opens::Nothing),
            };
            events.refused(refusal, now);
            opens
        };
        let Some(record) = record else {
            return unknown();
        };
        let refused = |refusal, opens| {
            events.refused_by(&record, refusal, now);
            opens
        };
        match record.ended() {
            Some(ended) if ended.concerns(arrived) => {
                return refused(Refusal::Ended(ended.reason), Opens::Barred);
            }
            Some(_) => return unknown(),
            None => {}
        }
        if record.scope() != self.scope() {
            return refused(Refusal::OtherScope, Opens::Nothing);
        }
        let verdict = presented.as_ref().map(|presented| {
            let rules = self.settings().rotation.rules_for(&record);
            let signed = presented.signature.map(|signature| signature.epoch);
            let hash = presented.secret.hash();
            record.tokens.judge(&hash, signed, arrived, now, &rules)
        });
        if !record.is_live(now) {
            // A stranger's token does not learn that there was a session.
            if verdict == Some(Verdict::Unknown) {
                return unknown();
            }
            events.expired(&record, now);
            // Under way when it expired: somebody else may have signed in since.
            return match record.is_live(arrived) {
                true => Opens::Barred,
                false => Opens::Expired,
            };
        }
        let requires = self.device_binding().requires();
        let maintenance = match verdict {
            None => None,
            Some(Verdict::Accepted(maintenance)) => Some(maintenance),
            // It ends nothing either: else a stolen token could sign the owner out.
            Some(Verdict::Reused(_)) if requires && self.is_unproven(&record, &arrival) => {
                events.unproven(&record, false, now);
                events.reused(&record, AfterReuse::SessionStays, now);
                return unproven(key, &record);
            }
            Some(Verdict::Reused(since)) => {
                let barred = since.is_some_and(|since| arrived.duration_since(since) < REMEMBERED);
                return Opens::Reused { record, barred };
            }
            Some(Verdict::Renewed) => return refused(Refusal::Renewed, Opens::Barred),
            Some(Verdict::Surplus) => return refused(Refusal::Superseded, Opens::Barred),
            Some(Verdict::Undecidable) => return refused(Refusal::Late, Opens::Barred),
            Some(Verdict::Former) if arrival.is_late() => {
                return refused(Refusal::Late, Opens::Barred);
            }
            Some(Verdict::Former) => return refused(Refusal::Retired, Opens::Nothing),
            Some(Verdict::Unknown) => return unknown(),
        };
        if self.is_unproven(&record, &arrival) {
            events.unproven(&record, !requires, now);
            if requires {
                return unproven(key, &record);
            }
        }
        let token = match presented.zip(maintenance) {
            Some((presented, maintenance)) => TokenState::Presented {
                secret: presented.secret,
                old_key: presented.signature.is_some_and(|by| by.old_key),
                maintenance,
            },
            None => TokenState::Sealed,
        };
        Opens::Session(Stored::opened(key, record, token))
    }
}

fn unproven(key: RecordKey, record: &Record) -> Opens {
    Opens::Unproven(PendingDeletion {
        key,
        who: Who::of(record),
        client_knows: true,
        by: DeletedBy::SignInAnew,
    })
}

/// Looks at all characters, without leaving off at one that is wrong: so the compiler takes many at
/// once.
fn is_base64url(text: &str) -> bool {
    text.bytes().fold(true, |all, byte| {
        let letter = (byte | 0x20).wrapping_sub(b'a') < 26;
        let digit = byte.wrapping_sub(b'0') < 10;
        all & (letter | digit | (byte == b'-') | (byte == b'_'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_of_base64url_and_no_others() {
        for character in (0..=u8::MAX).map(char::from) {
            let plain = character.is_ascii_alphanumeric() || "-_".contains(character);
            assert_eq!(
                is_base64url(&format!("a{character}b")),
                plain,
                "{character:?}"
            );
        }
        let long = "Az09-_".repeat(200);
        assert!(is_base64url(&long) && !is_base64url(&format!("{long}={long}")));
    }
}

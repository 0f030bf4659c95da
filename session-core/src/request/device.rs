//! Bound sessions: what a request proves, and how a client gets its next proof.

use crate::error::{SessionError, StoreError};
use crate::manager::SessionManager;
use crate::record::Record;
use crate::request::judge::{Arrival, NotNeeded, Opens, Proofs};
use crate::request::open::MOST_TOKENS;
use crate::session::BoundSession;
use crate::time::Timestamp;
use crate::token::DeviceBinding;

const TOO_MANY: &str = "the request has more tokens than are tried";
const ROTATED: &str = "the token was rotated away, and the client may have a newer one";
const TOO_LATE: &str = "the request arrived long ago, and nothing is known of its token any more";

/// At most this many proofs of one request are tried.
const MOST_PROOFS: usize = 4;

impl SessionManager {
    /// Whether a token opens a session that is bound to a device, and the request has no proof of
    /// that device.
    pub(super) fn is_unproven<P: Proofs>(&self, record: &Record, arrival: &Arrival<P>) -> bool {
        let (Some(_), Some(device)) = (self.device_proofs(), &record.device) else {
            return false;
        };
        let age = arrival.arrived.duration_since(device.since);
        age >= DeviceBinding::grace()
            && arrival.proofs.given().is_some()
            && !self.has_proof(record, arrival)
    }

    /// Whether the request has a proof of the device that a session is bound to.
    pub(super) fn has_proof<P: Proofs>(&self, record: &Record, arrival: &Arrival<P>) -> bool {
        let (Some(proofs), Some(device)) = (self.device_proofs(), &record.device) else {
            return false;
        };
        let given = arrival.proofs.given().unwrap_or_default();
        let mut tried = given.iter().take(MOST_PROOFS);
        tried.any(|text| proofs.is_proof(text, record, &device.key, arrival.arrived))
    }

    /// Opens a session for a client that needs another proof of its device.
    ///
    /// It returns the session of this [name](BoundSession::name) that the tokens open. `None`: no
    /// token is one of a bound session of this name, and the client should discard its key. No
    /// proof is asked for, so this shows nothing of the session and writes nothing. It costs one
    /// store call for each token, as [`begin`](Self::begin) does.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{DeviceBinding, DeviceKey, Directive, KeyRing, MemoryStore, Outcome};
    /// # use session_core::SessionManager;
    /// # let manager = SessionManager::builder(MemoryStore::new())
    /// #     .keys(KeyRing::generate().unwrap())
    /// #     .bound(DeviceBinding::require())
    /// #     .build()
    /// #     .unwrap();
    /// # let session = manager.begin(&[]).await?;
    /// # session.sign_in("user:42")?;
    /// # let directive = session.finish(Outcome::Success).await?;
    /// # let Directive::Hold(token) = directive else { unreachable!() };
    /// # let session = manager.begin(&[token.as_str()]).await?;
    /// # let key = DeviceKey::from_bytes([7; 64]);
    /// # let bound = session.bind_device_now(key, token.device_challenge().unwrap()).await?;
    /// let now = manager.now();
    /// let name = bound.name(); // the client knows it
    /// let bound = manager.bound_session(&[token.as_str()], &name, now).await?.unwrap();
    /// let challenge = bound.challenge()?; // the device signs it
    /// assert!(bound.accepts_challenge(&challenge) && !bound.accepts_challenge("another"));
    /// assert_eq!(bound.key(), key); // verify the signature with this key, then
    /// assert_eq!(bound.proof().len(), 32);
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionError::Store`] if the store fails, if a record cannot be read, whatever
    /// [`OnCorrupt`](crate::OnCorrupt) says, if the token was rotated away, if there are
    /// more tokens than are tried, or if nothing is known of the tokens of a request that arrived
    /// long ago. Let the client try again then. Values are not opened, so it does not matter
    /// whether they can be read.
    pub async fn bound_session(
        &self,
        tokens: &[&str],
        name: &str,
        arrived: Timestamp,
    ) -> Result<Option<BoundSession>, SessionError> {
        let arrival = Arrival::new(arrived, self.now(), NotNeeded);
        let now = arrival.now;
        let mut tried: Vec<&str> = Vec::new();
        let mut passing = arrival.is_late().then_some(TOO_LATE);
        for token in tokens {
            if tried.contains(token) {
                continue;
            }
            let Some((key, presented)) = self.read(token, now) else {
                continue;
            };
            if tried.len() == MOST_TOKENS {
                return Err(StoreError::unavailable(TOO_MANY).into());
            }
            tried.push(token);
            let record = self.calls().look(&key, now).await?;
            let bound = record.clone();
            let bound = bound.and_then(|record| BoundSession::new(self.clone(), record));
            let named = bound.filter(|bound| bound.name() == name);
            match (self.judge(key, presented, record, arrival), named) {
                (Opens::Session(_), Some(bound)) => return Ok(Some(bound)),
                (Opens::Barred | Opens::Reused { .. }, Some(_)) => passing = Some(ROTATED),
                _ => {}
            }
        }
        match passing {
            None => Ok(None),
            Some(reason) => Err(StoreError::unavailable(reason).into()),
        }
    }
}

//! Bound sessions: what a request proves, and how a client gets its next proof.

use std::sync::Arc;

use crate::error::SessionError;
use crate::event::AfterReuse;
use crate::manager::SessionManager;
use crate::record::Record;
use crate::request::judge::{Arrival, NotNeeded, Opens, Proofs};
use crate::request::open::MOST_TOKENS;
use crate::session::BoundSession;
use crate::time::Timestamp;
use crate::token::DeviceBinding;

/// At most this many proofs of one request are tried.
const MOST_PROOFS: usize = 4;

impl SessionManager {
    /// Whether a request is to be answered as anonymous, because the session that its token opens
    /// is bound to a device and it has no proof of that device.
    pub(super) fn lacks_proof<P: Proofs>(&self, record: &Record, arrival: &Arrival<P>) -> bool {
        let (Some(proofs), Some(device)) = (self.device_proofs(), &record.device) else {
            return false;
        };
        let Some(given) = arrival.proofs.given() else {
            return false;
        };
        let at = arrival.arrived;
        let has_proof = || {
            let mut given = given.iter().take(MOST_PROOFS);
            given.any(|text| proofs.is_proof(text, record, &device.key, at))
        };
        if at.duration_since(device.since) < DeviceBinding::grace() || has_proof() {
            return false;
        }
        let requires = self.device_binding().requires();
        self.events().unproven(record, !requires, arrival.now);
        requires
    }

    /// Opens a session for a client that needs another proof of its device.
    ///
    /// It returns the session that the tokens open, if it is bound to a device. No proof is asked
    /// for, so this shows nothing of the session and writes nothing. It costs one store call, as
    /// [`begin`](Self::begin) does. A client that presents the tokens of several sessions gets
    /// `None`.
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
    /// # session.bind_device_now(key, token.device_challenge().unwrap()).await?;
    /// let now = manager.now();
    /// let bound = manager.bound_session(&[token.as_str()], now).await?.unwrap();
    /// let challenge = bound.challenge()?; // the device signs it
    /// assert!(bound.accepts_challenge(&challenge) && !bound.accepts_challenge("another"));
    /// assert_eq!(bound.key(), key); // verify the signature with this key, then
    /// assert_eq!(bound.proof().len(), 32);
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// The same as `begin`.
    pub async fn bound_session(
        &self,
        tokens: &[&str],
        arrived: Timestamp,
    ) -> Result<Option<BoundSession>, SessionError> {
        let arrival = Arrival::new(arrived, self.now(), NotNeeded);
        let mut found: Vec<Arc<Record>> = Vec::new();
        let ours = tokens
            .iter()
            .filter_map(|token| self.read(token, arrival.now));
        for (key, presented) in ours.take(MOST_TOKENS) {
            let answer = self.calls().load(&key, arrival.now).await;
            let record = self.readable(&key, answer, arrival.now)?;
            match self.judge(key, presented, record, arrival) {
                Opens::Session(stored) => {
                    found.retain(|other| other.id != stored.record.id);
                    found.push(stored.record);
                }
                Opens::Reused { record, .. } => {
                    // A request that wants no more than a proof ends nothing.
                    self.events()
                        .reused(&record, AfterReuse::SessionStays, arrival.now);
                }
                Opens::Barred | Opens::Expired | Opens::Nothing => {}
            }
        }
        match found.len() {
            1 => Ok(found
                .pop()
                .and_then(|record| BoundSession::new(self.clone(), record))),
            _ => Ok(None),
        }
    }
}

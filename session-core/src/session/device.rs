//! Binding a session to the device of its client.

use std::fmt;
use std::sync::Arc;

use crate::error::SessionError;
use crate::manager::SessionManager;
use crate::record::{Device, DeviceKey, Record, SessionId};
use crate::session::Session;
use crate::state::{OTHER_DEVICE, SaveKind};
use crate::time::Timestamp;
use crate::token::DeviceProofs;

const OFF: &str = "sessions are not bound to devices here";
const NO_SESSION: &str = "there is no session";
const CHALLENGE: &str = "the challenge is not one of this session, or is too old";

impl Session {
    /// Binds the session to a device, and stores that at once.
    ///
    /// `challenge` is what the device has signed with this key: the
    /// [challenge](crate::ClientToken::device_challenge) that the client was sent with its token.
    /// The caller has checked the signature. From then on the session needs proof of the device
    /// ([`DeviceBinding`](crate::DeviceBinding)), until it is renewed or somebody signs in: that
    /// unbinds it, and the client gets another challenge.
    ///
    /// All other unsaved changes are saved together with it, as by [`save`](Self::save). To bind
    /// the session again to the same device writes nothing.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{DeviceBinding, KeyRing, MemoryStore, Outcome};
    /// use session_core::{DeviceKey, Directive, SessionManager};
    ///
    /// let manager = SessionManager::builder(MemoryStore::new())
    ///     .keys(KeyRing::generate().unwrap())
    ///     .bound(DeviceBinding::require())
    ///     .build()
    ///     .unwrap();
    /// let session = manager.begin(&[]).await?;
    /// session.sign_in("user:42")?;
    /// let directive = session.finish(Outcome::Success).await?;
    /// let Directive::Hold(token) = directive else { unreachable!() };
    /// let challenge = token.device_challenge().unwrap(); // the device signs it
    /// # let key = DeviceKey::from_bytes([7; 64]);
    ///
    /// let session = manager.begin(&[token.as_str()]).await?;
    /// let bound = session.bind_device_now(key, challenge).await?;
    /// assert_eq!(bound.key(), key);
    /// let proof = bound.proof(); // the client presents it beside its token
    ///
    /// # let now = manager.now();
    /// let session = manager.begin_with_proofs(&[token.as_str()], &[&proof], now).await?;
    /// assert_eq!(session.principal().as_deref(), Some("user:42"));
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionError::NotBound`] if there is no session, the challenge is not one of this session
    /// or too old, another device is bound already, or sessions are not bound at all. An event
    /// reports it. Otherwise the same as [`save`](Self::save).
    pub async fn bind_device_now(
        &self,
        key: DeviceKey,
        challenge: &str,
    ) -> Result<BoundSession, SessionError> {
        let bound = self.try_bind(key, challenge).await;
        if let Err(SessionError::NotBound(reason)) = &bound {
            self.inner
                .manager
                .report_refused_challenge(self.id(), reason);
        }
        bound
    }

    async fn try_bind(
        &self,
        key: DeviceKey,
        challenge: &str,
    ) -> Result<BoundSession, SessionError> {
        let manager = &self.inner.manager;
        let proofs = manager.device_proofs().ok_or(SessionError::NotBound(OFF))?;
        let is_new = {
            let mut state = self.open_state()?;
            let record = state.record().ok_or(SessionError::NotBound(NO_SESSION))?;
            if !proofs.is_challenge(challenge, record, manager.now()) {
                return Err(SessionError::NotBound(CHALLENGE));
            }
            match &record.device {
                Some(device) if device.key != key => {
                    return Err(SessionError::NotBound(OTHER_DEVICE));
                }
                Some(_) => false,
                None => {
                    state.bind(key);
                    true
                }
            }
        };
        if is_new {
            let _withdrawn = Withdraw(self, key);
            manager.save(&self.inner.cell, SaveKind::Save).await?;
        }
        let stored = self
            .state()
            .stored()
            .map(|stored| Arc::clone(&stored.record));
        let bound = stored.and_then(|record| BoundSession::new(manager.clone(), record));
        match bound {
            // A clone of this session was faster.
            Some(bound) if bound.key() != key => Err(SessionError::NotBound(OTHER_DEVICE)),
            Some(bound) => Ok(bound),
            None => Err(SessionError::Gone),
        }
    }

    /// Since when the session is bound to a device; `None` if it is not.
    pub fn bound_at(&self) -> Option<Timestamp> {
        self.state().record()?.bound_at()
    }
}

/// Withdraws a binding whose save failed, so that the commit does not try it again.
struct Withdraw<'s>(&'s Session, DeviceKey);

impl Drop for Withdraw<'_> {
    fn drop(&mut self) {
        self.0.state().withdraw_binding(&self.1);
    }
}

/// A session that is bound to a device, for the transport that talks to the device.
///
/// [`Session::bind_device_now`] returns it, and
/// [`SessionManager::bound_session`](crate::SessionManager::bound_session), which has an example.
pub struct BoundSession {
    manager: SessionManager,
    record: Arc<Record>,
    device: Device,
}

impl BoundSession {
    /// `None` if the session is not bound.
    pub(crate) fn new(manager: SessionManager, record: Arc<Record>) -> Option<Self> {
        let device = **record.device.as_ref()?;
        manager.device_proofs()?;
        Some(Self {
            manager,
            record,
            device,
        })
    }

    /// The session's id.
    pub fn id(&self) -> SessionId {
        self.record.id
    }

    /// The key of the device.
    pub fn key(&self) -> DeviceKey {
        self.device.key
    }

    /// A name for this binding, which is no secret. A renewed session that is bound again has
    /// another one.
    pub fn name(&self) -> String {
        format!("{}-{}", self.record.id.short(), self.record.epoch)
    }

    /// A challenge for the device to sign.
    ///
    /// # Errors
    ///
    /// [`SessionError::Random`] if the operating system's random source failed.
    pub fn challenge(&self) -> Result<String, SessionError> {
        let now = self.manager.now();
        match self.manager.device_proofs() {
            Some(proofs) => proofs.challenge(&self.record, now),
            None => Err(SessionError::NotBound(OFF)),
        }
    }

    /// Whether this is a challenge of the session, and not too old.
    #[must_use = "a device that has signed another challenge has proved nothing"]
    pub fn accepts_challenge(&self, challenge: &str) -> bool {
        let now = self.manager.now();
        let accepts = |by: &DeviceProofs| by.is_challenge(challenge, &self.record, now);
        self.manager.device_proofs().is_some_and(accepts)
    }

    /// A proof of the device, for the client to present beside its token.
    ///
    /// Hand it out only to a client whose device has signed a challenge.
    pub fn proof(&self) -> String {
        let now = self.manager.now();
        let prove = |by: &DeviceProofs| by.prove(&self.record, &self.device.key, now);
        self.manager.device_proofs().map(prove).unwrap_or_default()
    }
}

impl fmt::Debug for BoundSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundSession")
            .field("record", &self.record)
            .finish_non_exhaustive()
    }
}

//! Tokens against cross-site request forgery, bound to the session.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::crypto::{DerivedKey, decode_exact, random_bytes};
use crate::error::SessionError;
use crate::session::Session;
use crate::state::Phase;

impl Session {
    /// Returns a token to put into a form or a header.
    ///
    /// The token shows that no other site made the browser send the request (OWASP, synchronizer
    /// token pattern). It has 43 characters of base64url, and each call returns another one. All
    /// CSRF tokens of a session stay valid until the session's own token is renewed; a rotation
    /// does not affect them.
    ///
    /// If the session is not stored yet, the commit stores it, because a token that nobody
    /// remembers would prove nothing. So each visitor who is shown a form gets a session, crawlers
    /// included. If that commit does not happen, as with a 5xx, the token in the response is
    /// invalid.
    ///
    /// A request is anonymous and stores nothing if its session was renewed or ended while the
    /// request was under way, or within the minute before. Its CSRF token is bound to the token
    /// that the client presented, which is no longer valid but which the client still holds. So a
    /// sign-in form works at once for a person who was signed out elsewhere. This CSRF token is
    /// valid until the client gets another session.
    ///
    /// Call this after a [`sign_in`](Self::sign_in) or [`renew`](Self::renew) of the same request:
    /// then the token is for the renewed session. A token from an earlier call becomes invalid with
    /// the renewal.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{Directive, MemoryStore, Outcome, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// let session = manager.begin(&[]).await?;
    /// let field = session.csrf_token()?; // into a hidden field
    /// let directive = session.finish(Outcome::Success).await?;
    /// let Directive::Hold(token) = directive else { unreachable!() };
    ///
    /// let session = manager.begin(&[token.as_str()]).await?; // the form comes back
    /// assert!(session.verify_csrf(&field));
    /// assert!(!session.verify_csrf("guessed"));
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionError::Detached`] if there is no session yet and the response has left.
    /// [`SessionError::Gone`] if a [`save`](Self::save) in this request has found that the session
    /// was ended. Answer with an error or a redirect then, and the next request gets a token.
    /// [`SessionError::Random`] if the operating system's random source failed.
    pub fn csrf_token(&self) -> Result<String, SessionError> {
        let seed = self.csrf_seed()?;
        let token = proof(self.csrf_keys().next().flatten(), &seed);
        let mask: [u8; 16] = random_bytes()?;
        let mut masked = [0; 32];
        for (at, byte) in mask.iter().enumerate() {
            masked[at] = *byte;
            masked[at + 16] = byte ^ token[at];
        }
        Ok(URL_SAFE_NO_PAD.encode(masked))
    }

    /// Returns whether `token` is a [`csrf_token`](Self::csrf_token) of this session, as it was
    /// loaded.
    ///
    /// If it is not, answer with 403, and let the person load the page again. Two other kinds of
    /// request get `false` as well:
    ///
    /// - A request without a session, if its client presents no token, or a token other than the
    ///   one to which the form was bound.
    /// - A request whose token a sign-in has just replaced, such as the second of a double click.
    /// - A request with a proof of its device ([`DeviceBinding`](crate::DeviceBinding)), if the
    ///   form was made for one that had none.
    #[must_use = "a request whose token is wrong has to be refused"]
    pub fn verify_csrf(&self, token: &str) -> bool {
        let Some(masked) = decode_exact::<32>(token.as_bytes()) else {
            return false;
        };
        let seed = {
            let state = self.state();
            let stored = state.record().map(|record| record.csrf_seed);
            stored.or(state.form_seed)
        };
        let Some(seed) = seed else {
            return false;
        };
        let given: [u8; 16] = std::array::from_fn(|at| masked[at] ^ masked[at + 16]);
        let good = |key| bool::from(proof(key, &seed).ct_eq(&given));
        // Each key, so that one that has been replaced does not void the forms that are out.
        self.csrf_keys().any(good)
    }

    /// The seed of the session as the client will hold it.
    fn csrf_seed(&self) -> Result<[u8; 16], SessionError> {
        let mut state = self.state();
        let renews = state.metadata.renews();
        match state.record().filter(|_| !renews) {
            Some(record) => Ok(record.csrf_seed),
            None if state.phase != Phase::Open => Err(SessionError::Detached),
            None if state.is_barred() && !renews => state.form_seed.ok_or(SessionError::Gone),
            None => state.metadata.draw_seed(),
        }
    }

    /// Each key, or nothing once.
    fn csrf_keys(&self) -> impl Iterator<Item = Option<&DerivedKey>> {
        let keys = &self.inner.manager.shared.csrf_keys;
        keys.iter().map(Some).chain(keys.is_empty().then_some(None))
    }
}

/// What CSRF tokens are derived from in a request whose tokens open no session: they themselves, in
/// any order. Nobody else knows them, and from the hashes that a store keeps it cannot be made.
pub(crate) fn seed_of(tokens: &[&str]) -> [u8; 16] {
    let mut seed = [0; 16];
    for token in tokens {
        let mut hash = Sha256::new();
        hash.update(b"session-core csrf of a request without a session");
        hash.update(token);
        for (all, byte) in seed.iter_mut().zip(hash.finalize()) {
            *all ^= byte;
        }
    }
    seed
}

/// What proves that one knows a session's CSRF token: derived from its seed, and so that who can
/// read a store but not the keys cannot make it.
fn proof(key: Option<&DerivedKey>, seed: &[u8; 16]) -> [u8; 16] {
    let key: &[u8] = key.map_or(&[], |key| key.bytes());
    let mut proof = [0; 16];
    // An HMAC takes keys of any length.
    if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) {
        mac.update(b"csrf");
        mac.update(seed);
        proof.copy_from_slice(&mac.finalize().into_bytes()[..16]);
    }
    proof
}

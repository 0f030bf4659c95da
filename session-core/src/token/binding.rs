//! Whether sessions are bound to devices, and how long proofs of a device last.

use std::time::Duration;

use crate::config_error::ConfigError;

/// How long the state before a change is still accepted after it.
///
/// A page that follows a sign-in can be requested before the browser has the first proof, and two
/// requests of one browser can overtake each other at a refresh.
const OVERLAP: Duration = Duration::from_secs(60);

const SHORTEST: Duration = Duration::from_secs(1);
/// Browsers keep no cookie longer (RFC 6265bis, 5.5).
const LONGEST: Duration = Duration::from_secs(400 * 24 * 3600);

/// Whether sessions are bound to the device on which somebody signed in, and what happens to a
/// request without proof of that device. Default: [`off`](Self::off).
///
/// A bound session has the public key of a key pair that does not leave the device. The client
/// signs a challenge with it from time to time, and gets a short-lived *proof* for that, which it
/// presents with each request beside its token. If proofs are [required](Self::require), a copy of
/// the token alone is worth nothing.
/// `session-http` does this with browsers that know Device Bound Session Credentials (W3C draft).
/// The session of any other client stays unbound, and works as before.
///
/// These times are fixed:
///
/// - For 60 s after a session was bound, and for as much longer as clocks of servers differ, its
///   requests need no proof, because some of them were sent before the client had one.
/// - A proof is accepted for 60 s longer than the client keeps it
///   ([`with_proof_age`](Self::with_proof_age)), and so is a challenge. Both are accepted for all
///   of this time, even if the client has got another one since: nothing is stored about them, so
///   that a refresh writes nothing. In particular, a challenge can be answered more than once.
///
/// ```
/// use session_core::{DeviceBinding, KeyRing, MemoryStore, SessionManager};
///
/// let builder = || SessionManager::builder(MemoryStore::new()).bound(DeviceBinding::require());
/// assert!(builder().keys(KeyRing::generate().unwrap()).build().is_ok());
/// assert!(builder().build().is_err()); // proofs are made with the keys
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceBinding {
    policy: Policy,
    proof_age: Duration,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Policy {
    #[default]
    Off,
    Observe,
    Require,
}

impl Default for DeviceBinding {
    fn default() -> Self {
        Self::off()
    }
}

impl DeviceBinding {
    /// No session is bound, and no proof is asked for, not even of a session that was bound before
    /// this setting was changed.
    pub const fn off() -> Self {
        Self::with_policy(Policy::Off)
    }

    /// Sessions are bound. A request without proof of the device is served as if it had one, and
    /// leaves an event ([`EventKind::Unproven`](crate::EventKind::Unproven)).
    ///
    /// Begin with this, and look at the events before you require proofs.
    pub const fn observe() -> Self {
        Self::with_policy(Policy::Observe)
    }

    /// Sessions are bound. A request without proof of the device is answered as anonymous, and
    /// leaves an event.
    ///
    /// Such a request stores nothing, does not end the session, and its response sends no token. A
    /// [`sign_in`](crate::Session::sign_in) in it begins a new session. The bound session stays as
    /// it is, unless it is its own principal who signs in: then the new session takes its place.
    pub const fn require() -> Self {
        Self::with_policy(Policy::Require)
    }

    const fn with_policy(policy: Policy) -> Self {
        Self {
            policy,
            proof_age: Duration::from_secs(600),
        }
    }

    /// Sets how long a client keeps a proof. Default: 10 minutes. Then it has to sign another
    /// challenge.
    ///
    /// For this long, and 60 s more, a thief can use a token that was stolen together with a proof.
    /// Chromium refreshes a cookie that lasts less than 2 minutes beside nearly every request.
    /// `build` refuses less than a second, and more than 400 days.
    ///
    /// ```
    /// use session_core::DeviceBinding;
    /// use std::time::Duration;
    ///
    /// let quarter = Duration::from_secs(15 * 60);
    /// assert_eq!(DeviceBinding::require().with_proof_age(quarter).proof_age(), quarter);
    /// assert_eq!(DeviceBinding::require().proof_age(), Duration::from_secs(600));
    /// ```
    #[must_use]
    pub const fn with_proof_age(mut self, age: Duration) -> Self {
        self.proof_age = age;
        self
    }

    /// How long a client keeps a proof.
    pub const fn proof_age(&self) -> Duration {
        self.proof_age
    }

    /// Whether sessions are bound.
    pub const fn is_on(&self) -> bool {
        !matches!(self.policy, Policy::Off)
    }

    /// Whether a request needs a proof.
    pub(crate) const fn requires(self) -> bool {
        matches!(self.policy, Policy::Require)
    }

    /// How long after it was bound the requests of a session need no proof.
    pub(crate) const fn grace() -> Duration {
        OVERLAP
    }

    /// How long a proof and a challenge are accepted.
    pub(crate) const fn accepted_for(&self) -> Duration {
        self.proof_age.saturating_add(OVERLAP)
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        match self.is_on() && !(SHORTEST..=LONGEST).contains(&self.proof_age) {
            false => Ok(()),
            true => Err(ConfigError::new(
                "proofs of a device last less than a second or more than 400 days; take minutes",
            )),
        }
    }
}

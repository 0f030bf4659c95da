//! From settings to a manager, or to what contradicts each other in them.

use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;

use crate::config_error::ConfigError;
use crate::crypto::Purpose;
use crate::event::Events;
#[cfg(feature = "sealed-values")]
use crate::manager::Sealing;
use crate::manager::{SessionManager, SessionManagerBuilder, Shared, StoreCalls};
use crate::settings::{OnReuse, Settings};
use crate::store::{Durability, RecordLocation};
use crate::token::{DeviceProofs, Tokens};

/// The scope where none is given: the name of the default cookie, which is a literal in
/// session-http too.
const SCOPE: &str = "__Host-id";

impl SessionManagerBuilder {
    /// Builds the manager.
    ///
    /// ```
    /// use session_core::{MemoryStore, SessionManager};
    ///
    /// let refused = SessionManager::builder(MemoryStore::new()).scope("").build().unwrap_err();
    /// assert_eq!(refused.to_string(), "the scope is empty; give the sessions a name");
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if settings contradict each other.
    pub fn build(self) -> Result<SessionManager, ConfigError> {
        let scope = self.scope.as_deref().unwrap_or(SCOPE);
        if scope.is_empty() {
            return Err(ConfigError::new(
                "the scope is empty; give the sessions a name",
            ));
        }
        if scope.len() > self.limits.key_bytes {
            return Err(ConfigError::new(
                "the scope is longer than a key may be; use a shorter name",
            ));
        }
        let sealed = matches!(self.store.location(), RecordLocation::Client { .. });
        if self.keys.is_some() && sealed {
            return Err(ConfigError::new(
                "a sealed store has keys of its own; give the keys to the store only",
            ));
        }
        self.rotation.check()?;
        if self.on_reuse.revokes() && !self.rotation.is_on() {
            return Err(ConfigError::new(
                "`OnReuse::Revoke` without a rotation would never act; set `rotation` too",
            ));
        }
        if self.on_reuse == OnReuse::Revoke && self.store.durability() != Durability::Durable {
            return Err(ConfigError::new(
                "`OnReuse::Revoke` over a store that can lose acknowledged writes signs people \
                 out as thieves after a fail-over; take `OnReuse::Report`, or accept that with \
                 `OnReuse::RevokeDespiteLostWrites` (a store of your own that loses none says so \
                 in `SessionStore::durability`)",
            ));
        }
        if sealed && self.rotation.is_on() {
            return Err(ConfigError::new(
                "a sealed store cannot rotate tokens: what a client holds stays good until it \
                 expires; use a store on the server",
            ));
        }
        if sealed && self.session_limit.is_some() {
            return Err(ConfigError::new(
                "a sealed store cannot count the sessions of a principal; use a store on the \
                 server",
            ));
        }
        self.device_binding.check()?;
        if self.device_binding.is_on() && sealed {
            return Err(ConfigError::new(
                "a sealed store cannot bind sessions to devices: what a client held before stays \
                 valid, unbound, until it expires; use a store on the server",
            ));
        }
        if self.device_binding.is_on() && self.keys.is_none() {
            return Err(ConfigError::new(
                "proofs of a device are made with the keys; set `keys` too",
            ));
        }
        if self.session_limit.is_some() && self.store.principals().is_none() {
            return Err(ConfigError::new(
                "`max_sessions` over a store that cannot list the sessions of a principal; take \
                 another store, or implement `PrincipalIndex` for yours and return it from \
                 `SessionStore::principals`",
            ));
        }
        if self
            .session_limit
            .is_some_and(|session_limit| session_limit.most == 0)
        {
            return Err(ConfigError::new(
                "a principal may have 0 sessions, so nobody could sign in; allow at least one",
            ));
        }
        if self.timeouts.call.is_zero() || self.timeouts.commit.is_zero() {
            return Err(ConfigError::new(
                "a timeout is zero; nothing could ever succeed",
            ));
        }
        // Clocks count milliseconds, so that less is nothing to some of them.
        if self.watch_interval < Duration::from_millis(1) {
            return Err(ConfigError::new(
                "the watch interval is less than a millisecond, so the store would be asked all \
                 the time; use some seconds",
            ));
        }
        #[cfg(feature = "sealed-values")]
        if sealed && self.sealing.is_some() {
            return Err(ConfigError::new(
                "a sealed store seals whole sessions already; leave out `seal_values`",
            ));
        }
        if self.codec.is_sealed() {
            return Err(ConfigError::new(
                "`Codec::Sealed` marks what `seal_values` has sealed; choose `Codec::Json` or \
                 `Codec::Postcard`, and set `seal_values` to have values sealed",
            ));
        }
        Ok(self.make())
    }

    pub(crate) fn make(self) -> SessionManager {
        let location = self.store.location();
        let scope = self.scope.unwrap_or_else(|| ByteString::from_static(SCOPE));
        let pieces = match location {
            RecordLocation::Client { pieces, .. } => pieces,
            RecordLocation::Server => 1,
        };
        let csrf_keys = self
            .keys
            .as_ref()
            .map(|ring| ring.derive(Purpose::Csrf, &scope));
        let tokens = Tokens::new(self.keys.as_ref(), &scope);
        let binding = self.device_binding;
        let keys = self.keys.as_ref().filter(|_| binding.is_on());
        let device_proofs = keys.map(|keys| DeviceProofs::new(keys, &scope, &binding));
        let events = Events::new(self.observers);
        let calls = StoreCalls::new(self.store, self.clock, &self.timeouts, events);
        #[cfg(feature = "sealed-values")]
        let calls = calls.with_sealing(Sealing::new(self.sealing.as_ref(), &scope));
        SessionManager {
            shared: Arc::new(Shared {
                calls,
                settings: Settings {
                    fresh_metadata: Settings::fresh_metadata(&scope),
                    scope,
                    lifetime: self.lifetime,
                    codec: self.codec,
                    limits: self.limits,
                    rotation: self.rotation,
                    session_limit: self.session_limit,
                    timeouts: self.timeouts,
                    on_corrupt: self.on_corrupt,
                    on_reuse: self.on_reuse,
                    device_binding: binding,
                    watch_interval: self.watch_interval,
                    location,
                    max_token: self.max_token.unwrap_or(4096 * pieces),
                },
                tokens,
                device_proofs,
                queues: Arc::default(),
                csrf_keys: csrf_keys.unwrap_or_default(),
            }),
        }
    }
}

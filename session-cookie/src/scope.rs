//! The keys of each scope, derived once.
//!
//! The key of a sealed session names its scope, so one store serves several layers, and each layer
//! has keys of its own.

use std::sync::{Arc, PoisonError, RwLock};

use bytestring::ByteString;
use session_core::{KeyRing, Timestamp};

use crate::seal::{NONCE, Opened, Sealing, Suite, hint};

/// Scopes come from the application, which has one or a few. The bound is for an application that
/// invents new ones all the time.
const MOST_SCOPES: usize = 64;

/// The keys of the scopes that were used last.
pub(crate) struct Scopes {
    keys: KeyRing,
    /// What may be opened; the first one seals.
    allowed: Vec<Sealing>,
    /// Longest known first.
    known: RwLock<Vec<Arc<Scope>>>,
}

impl Scopes {
    pub(crate) fn new(keys: KeyRing, allowed: Vec<Sealing>) -> Self {
        Self {
            keys,
            allowed,
            known: RwLock::default(),
        }
    }

    /// The same with another algorithm that may be opened.
    pub(crate) fn also(self, sealing: Sealing) -> Self {
        let mut allowed = self.allowed;
        if !allowed.contains(&sealing) {
            allowed.push(sealing);
        }
        Self::new(self.keys, allowed)
    }

    pub(crate) fn opens(&self) -> &[Sealing] {
        &self.allowed
    }

    /// How many keys there are.
    pub(crate) fn keys(&self) -> usize {
        self.keys.len()
    }

    /// The keys of this scope. No code panics while it holds the lock, so poison means nothing.
    pub(crate) fn get(&self, name: &str) -> Arc<Scope> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(scope) = find(&known, name) {
            return scope;
        }
        drop(known);
        let new = Arc::new(Scope::new(&self.keys, &self.allowed, name));
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(scope) = find(&known, name) {
            return scope;
        }
        if known.len() >= MOST_SCOPES {
            known.remove(0);
        }
        known.push(Arc::clone(&new));
        new
    }
}

fn find(known: &[Arc<Scope>], name: &str) -> Option<Arc<Scope>> {
    known.iter().find(|scope| scope.name == name).cloned()
}

/// The keys of one scope, by algorithm. An algorithm that may not be opened has none here.
pub(crate) struct Scope {
    name: ByteString,
    suites: Vec<Suite>,
}

impl Scope {
    fn new(keys: &KeyRing, allowed: &[Sealing], name: &str) -> Self {
        Self {
            name: name.into(),
            suites: allowed
                .iter()
                .map(|sealing| Suite::new(*sealing, keys, name))
                .collect(),
        }
    }

    pub(crate) const fn name(&self) -> &ByteString {
        &self.name
    }

    /// Seals a record; `None` only if it is too long for the cipher.
    pub(crate) fn seal(
        &self,
        payload: &[u8],
        issued: Timestamp,
        expires: Timestamp,
        nonce: &[u8; NONCE],
    ) -> Option<String> {
        self.suites.first()?.seal(payload, issued, expires, nonce)
    }

    /// Opens a token that a key of this scope sealed, by an algorithm that may be opened.
    pub(crate) fn open(&self, token: &[u8]) -> Option<Opened> {
        let (sealing, id) = hint(token)?;
        let mut suites = self.suites.iter();
        suites
            .find(|suite| suite.sealing() == sealing)?
            .open(id, token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes() -> Scopes {
        Scopes::new(KeyRing::new([1; 32]).unwrap(), vec![Sealing::Signed])
    }

    #[test]
    fn keys_are_derived_once_a_scope() {
        let scopes = scopes();
        let first = scopes.get("id");
        assert!(Arc::ptr_eq(&first, &scopes.get("id")));
        assert!(!Arc::ptr_eq(&first, &scopes.get("admin")));
        assert_eq!(first.name, "id");
    }

    #[test]
    fn what_is_known_is_bounded() {
        let scopes = scopes();
        let first = scopes.get("0");
        let token = first
            .seal(
                b"x",
                Timestamp::default(),
                Timestamp::default(),
                &[0; NONCE],
            )
            .unwrap();
        for n in 0..3 * MOST_SCOPES {
            scopes.get(&n.to_string());
        }
        assert_eq!(scopes.known.read().unwrap().len(), MOST_SCOPES);
        // What was forgotten is derived again, to the same keys.
        let again = scopes.get("0");
        assert!(!Arc::ptr_eq(&first, &again));
        assert!(again.open(token.as_bytes()).is_some());
    }

    #[test]
    fn an_algorithm_that_is_not_allowed_has_no_keys() {
        assert_eq!(scopes().get("id").suites.len(), 1);
        let both = scopes().also(Sealing::Encrypted).also(Sealing::Signed);
        assert_eq!(both.opens(), [Sealing::Signed, Sealing::Encrypted]);
        assert_eq!(both.get("id").suites.len(), 2);
    }
}

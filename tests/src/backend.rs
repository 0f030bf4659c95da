//! The stores that a law is shown on.

use std::sync::Arc;

use session_cookie::CookieStore;
use session_core::store::SessionStore;
use session_core::{KeyRing, MemoryStore};

use crate::cached::{cached, near};
use crate::{FieldStore, ReplaceStore, YieldStore};

/// A store that keeps everything in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Merges changes.
    Memory,
    /// Replaces records by version.
    Replace,
    /// The same, and hands back the stored record on a conflict.
    ReplaceHandsBack,
    /// Merges changes field by field, and never hands back a record.
    Fields,
    /// `Fields` with a cache in front.
    CachedFields,
    /// `Replace` with a cache in front.
    CachedReplace,
    /// `Fields` with a near cache in front.
    NearFields,
    /// Seals records into the token, signed.
    Signed,
    /// Seals records into the token, encrypted.
    Encrypted,
}

impl Backend {
    /// Those that keep records on the server.
    pub const SERVER: [Self; 7] = [
        Self::Memory,
        Self::Replace,
        Self::ReplaceHandsBack,
        Self::Fields,
        Self::CachedFields,
        Self::CachedReplace,
        Self::NearFields,
    ];
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Memory,
        Self::Replace,
        Self::ReplaceHandsBack,
        Self::Fields,
        Self::CachedFields,
        Self::CachedReplace,
        Self::NearFields,
        Self::Signed,
        Self::Encrypted,
    ];

    /// An empty store.
    pub fn store(self) -> Arc<dyn SessionStore> {
        let keys = || KeyRing::new([42; 32]).unwrap();
        match self {
            Self::Memory => Arc::new(MemoryStore::new()),
            Self::Replace => Arc::new(ReplaceStore::new()),
            Self::ReplaceHandsBack => Arc::new(ReplaceStore::that_hands_back()),
            Self::Fields => Arc::new(FieldStore::new()),
            Self::CachedFields => cached(FieldStore::new()),
            Self::CachedReplace => cached(ReplaceStore::new()),
            Self::NearFields => near(FieldStore::new()),
            Self::Signed => Arc::new(CookieStore::signed(keys())),
            Self::Encrypted => Arc::new(CookieStore::encrypted(keys())),
        }
    }

    /// An empty store that gives way on both sides of each call, and of each call that a cache
    /// makes.
    pub fn yielding(self, seed: u64) -> Arc<dyn SessionStore> {
        let store = match self {
            Self::CachedFields => cached(YieldStore::new(FieldStore::new(), !seed)),
            Self::CachedReplace => cached(YieldStore::new(ReplaceStore::new(), !seed)),
            Self::NearFields => near(YieldStore::new(FieldStore::new(), !seed)),
            _ => self.store(),
        };
        Arc::new(YieldStore::new(store, seed))
    }

    /// Whether the client keeps the record.
    pub const fn is_sealed(self) -> bool {
        matches!(self, Self::Signed | Self::Encrypted)
    }
}

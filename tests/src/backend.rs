//! The stores that a law is shown on.

use std::sync::Arc;

use session_cookie::CookieStore;
use session_core::store::SessionStore;
use session_core::{KeyRing, MemoryStore};

use crate::{FieldStore, ReplaceStore};

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
    /// Seals records into the token, signed.
    Signed,
    /// Seals records into the token, encrypted.
    Encrypted,
}

impl Backend {
    /// Those that keep records on the server.
    pub const SERVER: [Self; 4] = [
        Self::Memory,
        Self::Replace,
        Self::ReplaceHandsBack,
        Self::Fields,
    ];
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Memory,
        Self::Replace,
        Self::ReplaceHandsBack,
        Self::Fields,
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
            Self::Signed => Arc::new(CookieStore::signed(keys())),
            Self::Encrypted => Arc::new(CookieStore::encrypted(keys())),
        }
    }

    /// Whether the client keeps the record.
    pub const fn is_sealed(self) -> bool {
        matches!(self, Self::Signed | Self::Encrypted)
    }
}

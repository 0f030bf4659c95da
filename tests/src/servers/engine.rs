//! Which server, and where its binary lies.

use std::fmt;
use std::path::PathBuf;

use super::binary::{find, in_path, in_tools};

/// A server that speaks Redis' protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engine {
    /// Redis 7, of the system. The only one of these that is built with TLS.
    Redis7,
    /// Valkey 9.
    Valkey9,
    /// Redis 8.
    Redis8,
}

impl Engine {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Redis7, Self::Valkey9, Self::Redis8];

    /// Its binary: the one the environment names, else the one that `tests/run` has fetched or
    /// installed.
    pub fn binary(self) -> PathBuf {
        match self {
            Self::Redis7 => find("REDIS_SERVER", in_path("redis-server")),
            Self::Valkey9 => find("VALKEY_SERVER", in_tools("valkey-server")),
            Self::Redis8 => find("REDIS8_SERVER", in_tools("redis8-server")),
        }
    }

    /// As people call it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Redis7 => "Redis 7",
            Self::Valkey9 => "Valkey 9",
            Self::Redis8 => "Redis 8",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `redis-cli`.
pub(super) fn redis_cli() -> PathBuf {
    find("REDIS_CLI", in_path("redis-cli"))
}

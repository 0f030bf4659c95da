//! The scripts that run on the server, and how they are called.

use std::sync::LazyLock;

use redis::{Arg, Cmd, Value};
use tokio::time::Instant;

use crate::connection::{Fault, Idempotency, Link};
use crate::layout::KeyName;

/// A script of these files, joined.
macro_rules! script {
    ($idempotency:ident, $($name:literal),+) => {
        LazyLock::new(|| {
            let code = concat!($(include_str!(concat!("../lua/", $name, ".lua"))),+);
            Script::new(code, Idempotency::$idempotency)
        })
    };
}

pub(super) static CREATE: LazyLock<Script> = script!(AtMostOnce, "look", "create");
pub(super) static READ: LazyLock<Script> = script!(Idempotent, "look", "read");
pub(super) static REVALIDATE: LazyLock<Script> = script!(Idempotent, "revalidate");
pub(super) static REPLACE: LazyLock<Script> = script!(AtMostOnce, "same", "look", "replace");
pub(super) static DELETE: LazyLock<Script> = script!(Idempotent, "look", "delete");
pub(super) static OWNER: LazyLock<Script> = script!(Idempotent, "look", "owner");
pub(super) static SETTLE: LazyLock<Script> = script!(Idempotent, "look", "settle");
pub(super) static UPDATE: LazyLock<Script> = script!(AtMostOnce, "plain", "update");
pub(super) static STAND: LazyLock<Script> = script!(Idempotent, "look", "stand");
pub(super) static INDEX: LazyLock<Script> = script!(Idempotent, "index");
pub(super) static CONFIRM: LazyLock<Script> = script!(Idempotent, "confirm");
pub(super) static HEAL: LazyLock<Script> = script!(Idempotent, "heal");
pub(super) static ADOPT: LazyLock<Script> = script!(Idempotent, "adopt");
pub(super) static SCAN: LazyLock<Script> = script!(Idempotent, "scan");
pub(super) static EXAMINE: LazyLock<Script> = script!(Idempotent, "look", "content", "examine");
pub(super) static DELETE_EXAMINED: LazyLock<Script> =
    script!(Idempotent, "look", "content", "unchanged", "delete");

/// A script over one key, or over many of one server. It is called by its hash, and sent whole to a
/// server that does not know it.
pub(super) struct Script {
    code: &'static str,
    hash: String,
    idempotency: Idempotency,
}

impl Script {
    fn new(code: &'static str, idempotency: Idempotency) -> Self {
        let hash = redis::Script::new(code).get_hash().to_owned();
        Self {
            code,
            hash,
            idempotency,
        }
    }

    /// A call on `key` without its arguments. `arguments` is about how many they are, `size` how
    /// many bytes they take.
    pub(super) fn on(&self, key: &KeyName<'_>, arguments: usize, size: usize) -> Cmd {
        let mut call = Cmd::with_capacity(4 + arguments, 48 + self.hash.len() + key.len() + size);
        call.arg("EVALSHA").arg(&self.hash).arg(1).arg(key);
        call
    }

    /// The same without a key, on a server that has all of them.
    pub(super) fn without_key(&self, size: usize) -> Cmd {
        let mut call = Cmd::with_capacity(6, 48 + self.hash.len() + size);
        call.arg("EVALSHA").arg(&self.hash).arg(0);
        call
    }

    /// The same on many keys, which are added next.
    pub(super) fn on_many(&self, count: usize, arguments: usize, size: usize) -> Cmd {
        let words = 3 + count + arguments;
        let mut call = Cmd::with_capacity(words, 48 + self.hash.len() + size);
        call.arg("EVALSHA").arg(&self.hash).arg(count);
        call
    }

    /// Makes a call that [`on`](Self::on) began. A server that does not know the script has done
    /// nothing, so it is safe to call it again with the code.
    pub(super) async fn run(
        &self,
        link: &Link,
        call: &Cmd,
        until: Instant,
    ) -> Result<Value, Fault> {
        match link.call(call, self.idempotency, until).await {
            Err(Fault::NoScript) => link.call(&self.whole(call), self.idempotency, until).await,
            answer => answer,
        }
    }

    fn whole(&self, call: &Cmd) -> Cmd {
        let mut whole = Cmd::new();
        whole.arg("EVAL").arg(self.code);
        for argument in call.args_iter().skip(2) {
            if let Arg::Simple(bytes) = argument {
                whole.arg(bytes);
            }
        }
        whole
    }
}

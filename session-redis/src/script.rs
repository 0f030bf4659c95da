//! The scripts that run on the server, and how they are called.

use std::sync::{Arc, LazyLock};

use redis::{Arg, Cmd, Value};
use tokio::time::Instant;

use crate::fault::Fault;
use crate::layout::Name;
use crate::link::{Link, Twice};

/// A script of these files, one after the other.
macro_rules! script {
    ($($name:literal),+) => {
        LazyLock::new(|| Script::new(concat!($(include_str!(concat!("lua/", $name, ".lua"))),+)))
    };
}

pub(crate) static CREATE: LazyLock<Script> = script!("look", "create");
pub(crate) static READ: LazyLock<Script> = script!("look", "read");
pub(crate) static REPLACE: LazyLock<Script> = script!("same", "look", "replace");
pub(crate) static DELETE: LazyLock<Script> = script!("look", "delete");
pub(crate) static OWNER: LazyLock<Script> = script!("look", "owner");
pub(crate) static SETTLE: LazyLock<Script> = script!("look", "settle");
pub(crate) static UPDATE: LazyLock<Script> = script!("plain", "update");
pub(crate) static INDEX: LazyLock<Script> = script!("index");
pub(crate) static CONFIRM: LazyLock<Script> = script!("confirm");
pub(crate) static HEAL: LazyLock<Script> = script!("heal");

/// A script over one key: known to the server by its hash, sent whole where it is not.
pub(crate) struct Script {
    code: &'static str,
    hash: String,
}

impl Script {
    fn new(code: &'static str) -> Self {
        Self {
            code,
            hash: redis::Script::new(code).get_hash().to_owned(),
        }
    }

    /// A call on `key`, for arguments to be added to; `size` is about what all of it takes.
    pub(crate) fn on(&self, key: &Name<'_>, arguments: usize, size: usize) -> Cmd {
        let mut call = Cmd::with_capacity(4 + arguments, 48 + self.hash.len() + key.len() + size);
        call.arg("EVALSHA").arg(&self.hash).arg(1).arg(key);
        call
    }

    /// Makes a call that [`on`](Self::on) began. A server that does not know the script has
    /// done nothing, so the call can be made again with the code.
    pub(crate) async fn run(
        &self,
        link: &Arc<Link>,
        call: &Cmd,
        twice: Twice,
        until: Instant,
    ) -> Result<Value, Fault> {
        match link.call(call, twice, until).await {
            Err(Fault::NoScript) => link.call(&self.whole(call), twice, until).await,
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

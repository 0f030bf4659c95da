//! What a server or the driver said, as it may be logged, and what to do about it.

use std::fmt;
use std::time::Duration;

use redis::RedisError;

/// An error as it may be logged: what to do, a code, and a text of one line without any arguments
/// of a command, which may be ids and principals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    code: String,
    text: String,
    hint: &'static str,
    lasting: bool,
    silence: bool,
}

impl Said {
    pub(crate) fn of(error: &RedisError) -> Self {
        let mut code = error.code().unwrap_or_default();
        let all = error.to_string();
        let mut text = error.detail().filter(|_| !code.is_empty()).unwrap_or(&all);
        // Redis 6 wraps what a command in a script answered: `Error running script (..):
        // @user_script:7: -OOM ..`.
        if code == "ERR"
            && text.starts_with("Error running script")
            && let Some((_, inner)) = text.split_once(" -")
        {
            (code, text) = inner.split_once(' ').unwrap_or((inner, ""));
        } else if code == "ERR" && text.contains("WRONGTYPE") {
            code = "WRONGTYPE";
        }
        let text = text.split(", with args").next().unwrap_or_default();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        Self::new(code.to_owned(), text)
    }

    /// What is known without a server.
    pub(crate) fn plain(text: String) -> Self {
        Self::new(String::new(), text)
    }

    /// Nothing was said for so long.
    pub(crate) fn silence(limit: Duration) -> Self {
        Self {
            silence: true,
            ..Self::plain(format!("no answer within {limit:.1?}"))
        }
    }

    pub(crate) fn is_silence(&self) -> bool {
        self.silence
    }

    fn new(code: String, text: String) -> Self {
        let (hint, lasting) = hint(&code, &text);
        Self {
            code,
            text,
            hint,
            lasting,
            silence: false,
        }
    }

    /// `READONLY`, `OOM` and the like; empty where none came.
    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    pub(crate) fn is_about(&self, word: &str) -> bool {
        self.text.contains(word)
    }

    /// Whether it will be the same again until somebody changes a setting.
    pub(crate) fn is_lasting(&self) -> bool {
        self.lasting
    }
}

/// What to do, and whether nothing else will help.
fn hint(code: &str, text: &str) -> (&'static str, bool) {
    let says = |part: &str| text.contains(part);
    match code {
        "MOVED" | "ASK" => (
            "the server is a node of a Cluster; connect with a redis-cluster:// URL",
            false,
        ),
        "TRYAGAIN" | "CLUSTERDOWN" => (
            "the Cluster has no primary for this session at the moment",
            false,
        ),
        "READONLY" => (
            "the server is a read-only replica; connect to the primary, or by way of Sentinel",
            false,
        ),
        "LOADING" | "MASTERDOWN" | "BUSY" => ("the server is not ready; wait for it", false),
        "OOM" => ("the server is out of memory; raise its maxmemory", false),
        "NOPERM" => (
            "the user lacks a permission; session-redis documents the commands it needs",
            true,
        ),
        "NOAUTH" | "WRONGPASS" => (
            "the server wants a username and password, or other ones",
            true,
        ),
        _ if says("The user executing the script") || says("no permissions") => (
            "the user lacks a permission; session-redis documents the commands it needs",
            true,
        ),
        _ if says("WRONGPASS")
            || says("NOAUTH")
            || says("invalid username-password")
            || says("authentication failed") =>
        {
            (
                "the server, or the sentinels, want a username and password, or other ones",
                true,
            )
        }
        _ if says("max number of clients") => (
            "the server has as many clients as it may; raise its maxclients, or close other connections",
            false,
        ),
        _ if says("unknown command 'SENTINEL'") => (
            "this is a server and no Sentinel; connect with redis://",
            true,
        ),
        _ if says("unknown command") => ("is the command renamed or disabled on the server?", true),
        _ if says("cluster support disabled") => {
            ("the server is no Cluster; connect with redis://", true)
        }
        _ if says("switch database") || says("DB index") => {
            ("the server has no database of this number", true)
        }
        _ if says("invalid peer certificate") => (
            "nobody here vouches for the server's certificate; give root_certificates, or the name that it is for",
            true,
        ),
        _ if says("TLS parameters") || says("KeyMismatch") => ("look at client_certificate", true),
        _ if says("Parse error") || says("Incompatible type") => {
            ("is this a Redis server, and a port without TLS?", false)
        }
        _ if says("reset by peer")
            || says("no answer")
            || says("timed out")
            || says("unexpected end of file")
            || says("roken pipe") =>
        {
            (
                "is the server up, and is it a port for TLS, or without? may it have one more client (maxclients)?",
                false,
            )
        }
        _ if says("Connection refused") || says("No such file") => {
            ("is the server up, and this its address?", false)
        }
        _ => ("", false),
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code.is_empty(), self.text.is_empty()) {
            (true, _) => f.write_str(&self.text)?,
            (false, true) => f.write_str(&self.code)?,
            (false, false) => write!(f, "{} {}", self.code, self.text)?,
        }
        if !self.hint.is_empty() {
            write!(f, " ({})", self.hint)?;
        }
        Ok(())
    }
}

impl std::error::Error for Said {}

#[cfg(test)]
mod tests {
    use redis::RedisError;

    use super::Said;

    fn said(reply: &str) -> Said {
        let reply = redis::parse_redis_value(format!("-{reply}\r\n").as_bytes());
        let error: RedisError = match reply.and_then(redis::Value::extract_error) {
            Err(error) => error,
            Ok(_) => return Said::default(),
        };
        Said::of(&error)
    }

    #[test]
    fn arguments_of_commands_are_left_out() {
        let said = said(
            "ERR unknown command 'ZRANGE', with args beginning with: 'session:principal:ann' '0' ",
        );
        assert_eq!(
            said.to_string(),
            "ERR unknown command 'ZRANGE' (is the command renamed or disabled on the server?)"
        );
    }

    #[test]
    fn what_a_script_met_is_found_in_its_wrapping() {
        for (reply, code) in [
            (
                "READONLY You can't write against a read only replica.",
                "READONLY",
            ),
            (
                "ERR Error running script (call to f_01): @user_script:25: @user_script: 25: -OOM command not allowed",
                "OOM",
            ),
            (
                "ERR Error running script (call to f_01): @user_script:7: -READONLY You can't write",
                "READONLY",
            ),
            (
                "ERR Error running script (call to f_01): @user_script: 7: WRONGTYPE Operation against a key",
                "WRONGTYPE",
            ),
            (
                "WRONGTYPE Operation against a key script: 01, on @user_script:7.",
                "WRONGTYPE",
            ),
            ("ERR something else", "ERR"),
        ] {
            assert_eq!(said(reply).code(), code, "{reply}");
        }
    }

    #[test]
    fn a_text_is_one_line_and_says_what_to_do() {
        let said = said("NOAUTH HELLO must be called with the client already authenticated");
        assert!(
            said.to_string()
                .ends_with("(the server wants a username and password, or other ones)")
        );
        assert!(said.is_lasting());
        assert!(!Said::plain("Connection refused (os error 111)".into()).is_lasting());
        assert_eq!(Said::plain("a b".into()).to_string(), "a b");
    }
}

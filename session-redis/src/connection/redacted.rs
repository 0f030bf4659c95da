//! What a server or the driver said, as it may be logged, and what to do about it.

use std::fmt;
use std::time::Duration;

use redis::RedisError;

/// An error without the arguments of a command, which may be ids and principals: a code, a text of
/// one line, and advice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RedactedError {
    code: String,
    text: String,
    advice: Advice,
    silence: bool,
}

/// What to do about an error. Empty if there is nothing to advise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Advice {
    text: &'static str,
    cure: Cure,
}

/// What makes an error go away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Cure {
    /// It may go away by itself.
    #[default]
    Time,
    /// Somebody has to change a setting. Until then it will be the same again.
    Setting,
}

impl RedactedError {
    pub(crate) fn of(error: &RedisError) -> Self {
        let mut code = error.code().unwrap_or_default();
        let all = error.to_string();
        let mut text = error.detail().filter(|_| !code.is_empty()).unwrap_or(&all);
        // Redis 6 wraps the error of a command in a script: `Error running script (..):
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

    /// Nothing was said for this long.
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
        let advice = advice(&code, &text);
        Self {
            code,
            text,
            advice,
            silence: false,
        }
    }

    /// `READONLY`, `OOM` and the like. Empty if the error has none.
    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    pub(crate) fn mentions(&self, word: &str) -> bool {
        self.text.contains(word)
    }

    /// Whether it will be the same again until somebody changes a setting.
    pub(crate) fn is_lasting(&self) -> bool {
        self.advice.cure == Cure::Setting
    }
}

fn advice(code: &str, text: &str) -> Advice {
    let wait = |text| Advice {
        text,
        cure: Cure::Time,
    };
    let change = |text| Advice {
        text,
        cure: Cure::Setting,
    };
    let says = |part: &str| text.contains(part);
    match code {
        "MOVED" | "ASK" => {
            wait("the server is a node of a Cluster; connect with a redis-cluster:// URL")
        }
        "TRYAGAIN" | "CLUSTERDOWN" => {
            wait("the Cluster has no primary for this session at the moment")
        }
        "READONLY" => {
            wait("the server is a read-only replica; connect to the primary, or by way of Sentinel")
        }
        "LOADING" | "MASTERDOWN" | "BUSY" => wait("the server is not ready; wait for it"),
        "OOM" => wait("the server is out of memory; raise its maxmemory"),
        "NOAUTH" | "WRONGPASS" => change("the server wants a username and password, or other ones"),
        _ if code == "NOPERM"
            || says("The user executing the script")
            || says("no permissions") =>
        {
            change("the user lacks a permission; session-redis documents the commands it needs")
        }
        _ if says("WRONGPASS")
            || says("NOAUTH")
            || says("invalid username-password")
            || says("authentication failed") =>
        {
            change("the server, or the sentinels, want a username and password, or other ones")
        }
        _ if says("max number of clients") => wait(
            "the server has as many clients as it may; raise its maxclients, or close other \
             connections",
        ),
        _ if says("unknown command 'SENTINEL'") => {
            change("this is a server and no Sentinel; connect with redis://")
        }
        _ if says("unknown command") => change("is the command renamed or disabled on the server?"),
        _ if says("cluster support disabled") => {
            change("the server is no Cluster; connect with redis://")
        }
        _ if says("switch database") || says("DB index") => {
            change("the server has no database of this number")
        }
        _ if says("invalid peer certificate") => change(
            "nobody here vouches for the server's certificate; give root_certificates, or the \
             name that it is for",
        ),
        _ if says("TLS parameters") || says("KeyMismatch") => change("look at client_certificate"),
        _ if says("Parse error") || says("Incompatible type") => {
            wait("is this a Redis server, and a port without TLS?")
        }
        _ if says("reset by peer")
            || says("no answer")
            || says("timed out")
            || says("unexpected end of file")
            || says("roken pipe") =>
        {
            wait(
                "is the server up, and is it a port for TLS, or without? may it have one more \
                 client (maxclients)?",
            )
        }
        _ if says("Connection refused") || says("No such file") => {
            wait("is the server up, and this its address?")
        }
        _ => Advice::default(),
    }
}

impl fmt::Display for RedactedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code.is_empty(), self.text.is_empty()) {
            (true, _) => f.write_str(&self.text)?,
            (false, true) => f.write_str(&self.code)?,
            (false, false) => write!(f, "{} {}", self.code, self.text)?,
        }
        if !self.advice.text.is_empty() {
            write!(f, " ({})", self.advice.text)?;
        }
        Ok(())
    }
}

impl std::error::Error for RedactedError {}

#[cfg(test)]
mod tests {
    use redis::RedisError;

    use super::RedactedError;

    fn said(reply: &str) -> RedactedError {
        let reply = redis::parse_redis_value(format!("-{reply}\r\n").as_bytes());
        let error: RedisError = match reply.and_then(redis::Value::extract_error) {
            Err(error) => error,
            Ok(_) => return RedactedError::default(),
        };
        RedactedError::of(&error)
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
                "ERR Error running script (call to f_01): @user_script:25: @user_script: 25: -OOM \
                 command not allowed",
                "OOM",
            ),
            (
                "ERR Error running script (call to f_01): @user_script:7: -READONLY You can't \
                 write",
                "READONLY",
            ),
            (
                "ERR Error running script (call to f_01): @user_script: 7: WRONGTYPE Operation \
                 against a key",
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
        assert!(!RedactedError::plain("Connection refused (os error 111)".into()).is_lasting());
        assert_eq!(RedactedError::plain("a b".into()).to_string(), "a b");
    }
}

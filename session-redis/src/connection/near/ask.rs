//! Asking a server whether it is there, for as long as its connection is in use.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, RedisError, RedisResult, Value};
use tokio::time::{Instant, sleep_until, timeout};

use super::told::Near;

/// What a server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::connection) enum Question {
    /// Whether it is there.
    Ping,
    /// Whether it is a primary still.
    Role,
}

/// What came of a question.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// All changes up to now were told.
    Renews,
    /// The server is not ready to say. It may be at the next time.
    Nothing,
    Replica,
}

impl Question {
    fn command(self) -> Cmd {
        redis::cmd(match self {
            Self::Ping => "PING",
            Self::Role => "ROLE",
        })
    }

    fn read(self, answer: &Value) -> Answer {
        match (self, answer) {
            (_, Value::ServerError(_)) => Answer::Nothing,
            (Self::Ping, _) => Answer::Renews,
            (Self::Role, Value::Array(parts)) => match parts.first() {
                Some(Value::BulkString(role)) if role == b"master" => Answer::Renews,
                Some(Value::SimpleString(role)) if role == "master" => Answer::Renews,
                _ => Answer::Replica,
            },
            (Self::Role, _) => Answer::Replica,
        }
    }

    /// Has the server tell of what is read on a connection, and asks once, so that a permission
    /// that is missing is found before anything relies on it.
    pub(in crate::connection) async fn begin(
        self,
        connection: &MultiplexedConnection,
    ) -> RedisResult<()> {
        let mut track = redis::cmd("CLIENT");
        track.arg("TRACKING").arg("ON");
        send(connection, &track).await?;
        send(connection, &self.command()).await
    }
}

async fn send(connection: &MultiplexedConnection, command: &Cmd) -> Result<(), RedisError> {
    let answer = connection.clone().send_packed_command(command).await?;
    answer.extract_error().map(drop)
}

/// Asks three times in each lease, and renews the leases of the connection with this place and
/// number. `report` is called with what is wrong with the connection, and then this ends.
pub(in crate::connection) async fn keep_asking(
    connection: MultiplexedConnection,
    question: Question,
    near: Arc<Near>,
    (place, number): (usize, u64),
    silence: Duration,
    report: impl Fn(&str),
) {
    let command = question.command();
    loop {
        let (began, asked) = (Instant::now(), near.now());
        let mut connection = connection.clone();
        match timeout(silence, connection.send_packed_command(&command)).await {
            Err(_) => return report("it does not answer"),
            // The driver says that it was closed.
            Ok(Err(_)) => return,
            Ok(Ok(answer)) => match question.read(&answer) {
                Answer::Renews => near.answered(place, number, asked),
                Answer::Nothing => {}
                Answer::Replica => return report("it leads to a replica"),
            },
        }
        sleep_until(began + near.lease() / 3).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_no_primary_renews_nothing() {
        let role =
            |role: &[u8]| Value::Array(vec![Value::BulkString(role.to_vec()), Value::Int(1)]);
        assert_eq!(Question::Role.read(&role(b"master")), Answer::Renews);
        assert_eq!(Question::Role.read(&role(b"slave")), Answer::Replica);
        assert_eq!(Question::Role.read(&Value::Nil), Answer::Replica);
        let pong = Value::SimpleString("PONG".to_owned());
        assert_eq!(Question::Ping.read(&pong), Answer::Renews);
        assert_eq!(Question::Role.read(&pong), Answer::Replica);
        let busy = redis::parse_redis_value(b"-BUSY Redis is busy\r\n");
        for question in [Question::Ping, Question::Role] {
            assert_eq!(question.read(busy.as_ref().unwrap()), Answer::Nothing);
        }
    }
}

//! What an error of the driver says about a write.

use std::sync::Arc;
use std::time::Duration;

use mongodb::error::{
    Error, ErrorKind, NO_WRITES_PERFORMED, SYSTEM_OVERLOADED_ERROR, WriteFailure,
};
use session_core::StoreError;

/// What lies beneath: the cause of the [`StoreError`]. The driver's own texts may quote documents,
/// so only its kind, codes and names are kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Reason {
    #[error("no answer within {0:.1?}")]
    Late(Duration),
    #[error("{hint}: {what} (code {code})")]
    Refused {
        hint: &'static str,
        what: String,
        code: i32,
    },
    #[error("no server could be used: {0}")]
    NoServer(&'static str),
    #[error("the connection failed: {0}")]
    Broken(String),
    #[error("the driver failed: {0}")]
    Driver(&'static str),
    #[error("it was called outside of a tokio runtime")]
    NoRuntime,
}

/// A key that must be unique is there already.
pub(crate) fn is_duplicate(error: &Error) -> bool {
    matches!(&*error.kind, ErrorKind::Write(WriteFailure::WriteError(write)) if write.code == 11000)
        || matches!(&*error.kind, ErrorKind::Command(command) if command.code == 11000)
}

/// A validator refuses the document.
pub(crate) fn is_invalid(error: &Error) -> bool {
    matches!(&*error.kind, ErrorKind::Write(WriteFailure::WriteError(write)) if write.code == INVALID)
        || matches!(&*error.kind, ErrorKind::Command(command) if command.code == INVALID)
}

/// The server says so where a validator refuses a document.
pub(crate) const INVALID: i32 = 121;

/// A read that failed.
pub(crate) fn of_read(error: &Error) -> StoreError {
    StoreError::Unavailable(Arc::new(reason(error)))
}

/// A write that failed: was it surely not applied?
pub(crate) fn of_write(error: &Error) -> StoreError {
    let reason = Arc::new(reason(error));
    match surely_nothing(error) {
        true => StoreError::Unavailable(reason),
        false => StoreError::OutcomeUnknown(reason),
    }
}

/// What the server says of an update when a field of the document is of a type that it cannot
/// change so.
const OTHER_TYPES: [i32; 2] = [14, 28];

/// An update that failed.
pub(crate) fn of_update(error: &Error) -> StoreError {
    let code = match &*error.kind {
        ErrorKind::Command(command) => command.code,
        ErrorKind::Write(WriteFailure::WriteError(write)) => write.code,
        _ => 0,
    };
    match OTHER_TYPES.contains(&code) {
        true => StoreError::Corrupt(Arc::new(reason(error))),
        false => of_write(error),
    }
}

/// What a node answers that was not, or is no more, the one to write to.
const NOT_PRIMARY: [i32; 3] = [10107, 13435, 10058];
/// What a node answers that stops in the middle: some of it may have been done.
const INTERRUPTED: [i32; 6] = [11600, 11602, 11601, 91, 189, 50];

/// What would have refused an earlier attempt just as well: values and commands that the server
/// does not know, and a user that may not.
const ALWAYS: [i32; 5] = [2, 9, 13, 59, 72];

/// What a server answers to a write concern that it cannot meet: it is alone, has no such mode, or
/// no such number of nodes, or they do not answer.
const OF_CONCERN: [i32; 5] = [2, 9, 64, 79, 100];

pub(crate) fn is_of_concern(code: i32) -> bool {
    OF_CONCERN.contains(&code)
}

fn surely_nothing(error: &Error) -> bool {
    match &*error.kind {
        ErrorKind::ServerSelection { .. }
        | ErrorKind::Authentication { .. }
        | ErrorKind::InvalidArgument { .. }
        | ErrorKind::DnsResolve { .. }
        | ErrorKind::InvalidTlsConfig { .. }
        | ErrorKind::Bson(_)
        | ErrorKind::IncompatibleServer { .. }
        | ErrorKind::Shutdown => true,
        ErrorKind::Command(command) if ALWAYS.contains(&command.code) => true,
        ErrorKind::Command(command) if !may_be_second(error) => {
            !INTERRUPTED.contains(&command.code)
        }
        ErrorKind::Write(WriteFailure::WriteError(_)) => true,
        // The driver says so of a connection that it could not make, and of no other.
        ErrorKind::Io(_) if error.contains_label(SYSTEM_OVERLOADED_ERROR) => true,
        // Closed while it was waited for; one that was closed while it was used has another text.
        ErrorKind::ConnectionPoolCleared { message, .. }
            if message.starts_with("Connection pool for") =>
        {
            true
        }
        _ => error.contains_label(NO_WRITES_PERFORMED),
    }
}

/// Whether the server may have been asked twice: the driver sends a write again whose answer was
/// lost, and when the second answer is a refusal it tells of that alone. It does so where the
/// server has a history, of which its answers tell the time.
fn may_be_second(error: &Error) -> bool {
    let answer = error.server_response();
    answer.is_none_or(|answer| !matches!(answer.get("operationTime"), Ok(None)))
}

fn reason(error: &Error) -> Reason {
    match &*error.kind {
        ErrorKind::ServerSelection { .. } => Reason::NoServer(
            "none was found in time that is up and of the wanted role; are address, replicaSet and tls of the URI right, and does the runtime still run in which the client was made?",
        ),
        ErrorKind::DnsResolve { .. } => Reason::NoServer("its name does not resolve"),
        ErrorKind::ConnectionPoolCleared { .. } => {
            Reason::NoServer("its connections were closed after a failure")
        }
        ErrorKind::Authentication { .. } => Reason::NoServer(
            "it refused the username or password; is authSource right, the database that the user is kept in?",
        ),
        ErrorKind::InvalidTlsConfig { .. } => Reason::NoServer("the settings for TLS are wrong"),
        ErrorKind::Shutdown => Reason::NoServer("the application has shut its client down"),
        ErrorKind::Io(io) => Reason::Broken(io.kind().to_string()),
        ErrorKind::Command(command) => Reason::Refused {
            hint: match command.code {
                13 => {
                    "the user lacks a permission, or none is named; session-mongo documents what it needs, and `without_indexes` spares createIndex"
                }
                18 => "the server refused the username or password",
                code if NOT_PRIMARY.contains(&code) => "the server is not the primary (any more)",
                code if INTERRUPTED.contains(&code) => "the server stopped in the middle",
                _ => "the server refused an operation",
            },
            what: command.code_name.clone(),
            code: command.code,
        },
        ErrorKind::Write(WriteFailure::WriteError(write)) => Reason::Refused {
            hint: "the server refused a write",
            what: write.code_name.clone().unwrap_or_default(),
            code: write.code,
        },
        ErrorKind::Write(WriteFailure::WriteConcernError(concern)) => Reason::Refused {
            hint: match concern.code {
                79 => "the replica set has no mode of that name for `w`",
                100 => "the replica set has fewer nodes than `w` asks for",
                _ => "a write was not confirmed by as many nodes as it should be",
            },
            what: concern.code_name.clone(),
            code: concern.code,
        },
        ErrorKind::Bson(_) => Reason::Driver("a document is not of the expected form"),
        ErrorKind::InvalidResponse { .. } => {
            Reason::Driver("an answer is not of the expected form")
        }
        ErrorKind::InvalidArgument { .. } => Reason::Driver("an argument is not what it wants"),
        _ => Reason::Driver("for a reason of its own"),
    }
}

//! What an error of the driver says about an operation: above all, whether a write was surely not
//! applied.

use std::sync::Arc;
use std::time::Duration;

use mongodb::error::{
    Error, ErrorKind, NO_WRITES_PERFORMED, SYSTEM_OVERLOADED_ERROR, WriteFailure,
};
use session_core::store::StoreError;

/// The cause of a [`StoreError`]. The driver's own texts may quote documents, so only its kind,
/// codes and names are kept.
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

// Codes of errors, as the server has them.

/// The user lacks a permission.
pub(crate) const UNAUTHORIZED: i32 = 13;
/// A key that must be unique is there already.
const DUPLICATE: i32 = 11000;
/// A validator refuses the document.
pub(crate) const INVALID: i32 = 121;
/// A field of the document is of a type that the update cannot change.
const WRONG_TYPE: [i32; 2] = [14, 28];
/// The node was not, or is no longer, the primary.
const NOT_PRIMARY: [i32; 3] = [10107, 13435, 10058];
/// The node stopped in the middle: some of the operation may have been done.
const INTERRUPTED: [i32; 6] = [11600, 11602, 11601, 91, 189, 50];
/// The server does not know the values or the command, or the user may not. An earlier attempt
/// would have been refused just as well.
const ALWAYS_REFUSED: [i32; 5] = [2, 9, UNAUTHORIZED, 59, 72];
/// The server cannot meet the write concern: it is alone, has no such mode, or no such number of
/// nodes, or they do not answer.
const WRITE_CONCERN: [i32; 5] = [2, 9, 64, 79, 100];

/// The code of a command or a write that the server refused.
pub(crate) fn code(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(command) => Some(command.code),
        ErrorKind::Write(WriteFailure::WriteError(write)) => Some(write.code),
        _ => None,
    }
}

/// The same of an error that was made here.
pub(crate) fn code_of(error: &StoreError) -> Option<i32> {
    let (StoreError::Unavailable(cause)
    | StoreError::OutcomeUnknown(cause)
    | StoreError::Corrupt(cause)) = error
    else {
        return None;
    };
    match (**cause).downcast_ref()? {
        Reason::Refused { code, .. } => Some(*code),
        _ => None,
    }
}

pub(crate) fn is_duplicate(error: &Error) -> bool {
    code(error) == Some(DUPLICATE)
}

pub(crate) fn is_invalid(error: &Error) -> bool {
    code(error) == Some(INVALID)
}

pub(crate) fn is_of_write_concern(code: i32) -> bool {
    WRITE_CONCERN.contains(&code)
}

/// A read that failed.
pub(crate) fn of_read(error: Error) -> StoreError {
    StoreError::Unavailable(Arc::new(reason(error)))
}

/// A write that failed.
pub(crate) fn of_write(error: Error) -> StoreError {
    let not_applied = not_applied(&error);
    let reason = Arc::new(reason(error));
    match not_applied {
        true => StoreError::Unavailable(reason),
        false => StoreError::OutcomeUnknown(reason),
    }
}

/// An update that failed.
pub(crate) fn of_update(error: Error) -> StoreError {
    match code(&error) {
        Some(code) if WRONG_TYPE.contains(&code) => StoreError::Corrupt(Arc::new(reason(error))),
        _ => of_write(error),
    }
}

/// Whether the pool was closed while the operation waited for a connection. One that was closed
/// while it was used has another text.
fn found_no_connection(error: &Error) -> bool {
    matches!(
        &*error.kind,
        ErrorKind::ConnectionPoolCleared { message, .. }
            if message.starts_with("Connection pool for")
    )
}

/// Whether the write was surely not applied.
fn not_applied(error: &Error) -> bool {
    match &*error.kind {
        ErrorKind::ServerSelection { .. }
        | ErrorKind::Authentication { .. }
        | ErrorKind::InvalidArgument { .. }
        | ErrorKind::DnsResolve { .. }
        | ErrorKind::InvalidTlsConfig { .. }
        | ErrorKind::Bson(_)
        | ErrorKind::IncompatibleServer { .. }
        | ErrorKind::Shutdown
        | ErrorKind::Write(WriteFailure::WriteError(_)) => true,
        ErrorKind::Command(command) if ALWAYS_REFUSED.contains(&command.code) => true,
        ErrorKind::Command(command) if !may_be_second_attempt(error) => {
            !INTERRUPTED.contains(&command.code)
        }
        // The driver gives this label to a connection that it could not make, and to no other.
        ErrorKind::Io(_) if error.contains_label(SYSTEM_OVERLOADED_ERROR) => true,
        _ if found_no_connection(error) => true,
        _ => error.contains_label(NO_WRITES_PERFORMED),
    }
}

/// Whether a command that was sent once was refused before anything of it was carried out, or was
/// not sent because another one has failed on the connections.
pub(crate) fn was_not_executed(error: &Error) -> bool {
    if found_no_connection(error) {
        return true;
    }
    code(error).is_some_and(|code| NOT_PRIMARY.contains(&code) || ALWAYS_REFUSED.contains(&code))
}

/// Whether the server may have been asked twice. The driver sends a write again whose answer was
/// lost; when the second answer is a refusal, the driver reports that alone. It does so where the
/// server has a history, of which its answers tell the time.
fn may_be_second_attempt(error: &Error) -> bool {
    let answer = error.server_response();
    answer.is_none_or(|answer| !matches!(answer.get("operationTime"), Ok(None)))
}

fn reason(error: Error) -> Reason {
    match *error.kind {
        ErrorKind::ServerSelection { .. } => Reason::NoServer(
            "none was found in time that is up and of the wanted role; are address, replicaSet and \
             tls of the URI right, and does the runtime still run in which the client was made?",
        ),
        ErrorKind::DnsResolve { .. } => Reason::NoServer("its name does not resolve"),
        ErrorKind::ConnectionPoolCleared { .. } => {
            Reason::NoServer("its connections were closed after a failure")
        }
        ErrorKind::Authentication { .. } => Reason::NoServer(
            "it refused the username or password; is authSource right, the database that the user \
             is kept in?",
        ),
        ErrorKind::InvalidTlsConfig { .. } => Reason::NoServer("the settings for TLS are wrong"),
        ErrorKind::Shutdown => Reason::NoServer("the application has shut its client down"),
        ErrorKind::Io(io) => Reason::Broken(io.kind().to_string()),
        ErrorKind::Command(command) => Reason::Refused {
            hint: match command.code {
                UNAUTHORIZED => {
                    "the user lacks a permission, or none is named; session-mongo documents what \
                     it needs, and `indexes(false)` spares createIndex"
                }
                18 => "the server refused the username or password",
                code if NOT_PRIMARY.contains(&code) => "the server is not the primary (any more)",
                code if INTERRUPTED.contains(&code) => "the server stopped in the middle",
                _ => "the server refused an operation",
            },
            what: command.code_name,
            code: command.code,
        },
        ErrorKind::Write(WriteFailure::WriteError(write)) => Reason::Refused {
            hint: "the server refused a write",
            what: write.code_name.unwrap_or_default(),
            code: write.code,
        },
        ErrorKind::Write(WriteFailure::WriteConcernError(concern)) => Reason::Refused {
            hint: match concern.code {
                79 => "the replica set has no mode of that name for `w`",
                100 => "the replica set has fewer nodes than `w` asks for",
                _ => "a write was not confirmed by as many nodes as it should be",
            },
            what: concern.code_name,
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

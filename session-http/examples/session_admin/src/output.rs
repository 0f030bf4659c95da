//! What is printed, for people or for scripts, and what the exit code is.

use std::error::Error;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use serde_json::Value;
use session_core::store::StoreError;

/// Where results and messages go.
pub(crate) struct Output {
    form: Form,
    progress: bool,
}

#[derive(Clone, Copy)]
enum Form {
    Text,
    Json,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self {
            form: match json {
                true => Form::Json,
                false => Form::Text,
            },
            progress: std::io::stderr().is_terminal(),
        }
    }

    /// Prints a result. A reader that has gone, such as `head`, is no failure.
    pub(crate) fn result(&self, text: &str, json: &Value) {
        let mut out = std::io::stdout().lock();
        let _ = match self.form {
            Form::Text => writeln!(out, "{text}"),
            Form::Json => writeln!(out, "{json}"),
        };
    }

    /// Tells the operator something on stderr.
    pub(crate) fn message(&self, text: &str) {
        self.clear();
        let _ = writeln!(std::io::stderr().lock(), "session-admin: {text}");
    }

    /// Shows how far long work is, if stderr is a terminal.
    pub(crate) fn progress(&self, what: &str, count: u64) {
        if self.progress {
            let mut out = std::io::stderr().lock();
            let _ = write!(out, "\r\x1b[K{count} {what}");
            let _ = out.flush();
        }
    }

    /// Removes the line of the progress.
    pub(crate) fn clear(&self) {
        if self.progress {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
    }
}

/// Why it is not done.
pub(crate) enum Failure {
    Failed(String),
    Usage(String),
    /// Damage that is still there.
    Damage(String),
}

impl Failure {
    pub(crate) fn failed(text: impl Into<String>) -> Self {
        Self::Failed(text.into())
    }

    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::Usage(text.into())
    }

    pub(crate) fn text(&self) -> String {
        let (Self::Failed(text) | Self::Usage(text) | Self::Damage(text)) = self;
        text.clone()
    }

    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Damage(_) => 3,
        })
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Failed(with_causes(&error))
    }
}

/// An error with all its causes.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

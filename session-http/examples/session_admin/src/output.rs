//! What is printed, for people or for scripts, and what the exit code is.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{ErrorKind, IsTerminal, Write};
use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::sync::OnceLock;

use serde_json::Value;
use session_core::store::StoreError;

/// Where results and messages go.
pub(crate) struct Output {
    form: Form,
    progress: bool,
    /// Why results could not be written.
    lost: OnceLock<std::io::Error>,
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
            lost: OnceLock::new(),
        }
    }

    /// Prints a result. A reader that has gone, such as `head`, is no failure.
    pub(crate) fn result(&self, text: &str, json: &Value) {
        let line = match self.form {
            Form::Text => printable(text, Control::OfText),
            Form::Json => printable(&json.to_string(), Control::OfJson),
        };
        let mut out = std::io::stdout().lock();
        let written = writeln!(out, "{line}").and_then(|()| out.flush());
        if let Err(error) = written
            && error.kind() != ErrorKind::BrokenPipe
        {
            self.lost.get_or_init(|| error);
        }
    }

    /// Whether all results were written, or had no reader.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match self.lost.get() {
            None => Ok(()),
            Some(error) => Err(Failure::failed(format!(
                "not all results could be written ({error}); what it was told to do, it has done"
            ))),
        }
    }

    /// Tells the operator something on stderr.
    pub(crate) fn message(&self, text: &str) {
        self.clear();
        let text = printable(text, Control::OfText);
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

/// How a control character is written.
#[derive(Clone, Copy)]
enum Control {
    OfText,
    OfJson,
}

/// A text that a terminal shows and does not obey: names and errors may have been chosen by others.
/// Line ends stay. In JSON all control characters are inside of texts, which may escape them.
fn printable(text: &str, control: Control) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        let _ = match control {
            _ if character == '\n' || !is_obeyed(character) => shown.write_char(character),
            Control::OfText => write!(shown, "\\u{{{:x}}}", character as u32),
            Control::OfJson => write!(shown, "\\u{:04x}", character as u32),
        };
    }
    shown
}

/// Control characters, and those that turn the direction of a text.
fn is_obeyed(character: char) -> bool {
    const TURNS: [RangeInclusive<char>; 3] = [
        '\u{200e}'..='\u{200f}',
        '\u{202a}'..='\u{202e}',
        '\u{2066}'..='\u{2069}',
    ];
    character.is_control() || TURNS.iter().any(|range| range.contains(&character))
}

/// Why it is not done.
#[derive(Debug)]
pub(crate) enum Failure {
    Failed(String),
    Usage(String),
    /// Damage that is still there.
    Damage(String),
    /// The target of a copy has something else.
    Different(String),
    /// The target of a copy has sessions already.
    Used(String),
    /// Somebody has pressed Ctrl-C.
    Interrupted,
}

impl Failure {
    /// As a shell has it.
    pub(crate) const INTERRUPTED: u8 = 130;

    pub(crate) fn failed(text: impl Into<String>) -> Self {
        Self::Failed(text.into())
    }

    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::Usage(text.into())
    }

    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Failed(text)
            | Self::Usage(text)
            | Self::Damage(text)
            | Self::Different(text)
            | Self::Used(text) => text,
            Self::Interrupted => {
                "stopped; run it again (`copy` with --continue), it goes on with what is missing"
            }
        }
    }

    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Damage(_) => 3,
            Self::Different(_) => 4,
            Self::Used(_) => 5,
            Self::Interrupted => Self::INTERRUPTED,
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "these are tests")]

    use serde_json::json;

    use super::*;

    const NASTY: &str = "a\"b\\\n\u{1b}[2J\u{9b}31m\u{7f}\u{202e}\r\0é";

    #[test]
    fn a_terminal_obeys_nobody() {
        let shown = printable(NASTY, Control::OfText);
        assert_eq!(
            shown,
            "a\"b\\\n\\u{1b}[2J\\u{9b}31m\\u{7f}\\u{202e}\\u{d}\\u{0}é"
        );
    }

    #[test]
    fn json_stays_what_it_is() {
        let json = json!({ NASTY: NASTY });
        let shown = printable(&json.to_string(), Control::OfJson);
        assert!(!shown.chars().any(is_obeyed), "{shown:?}");
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), json);
    }
}

//! Asking before sessions are ended.

use std::io::{BufRead, IsTerminal, Write};

use crate::output::Failure;

/// Whether the operator has agreed already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consent {
    Given,
    Asked,
}

impl Consent {
    /// Returns if sessions may be ended.
    pub(crate) fn to(self, what: &str) -> Result<(), Failure> {
        if self == Self::Given {
            return Ok(());
        }
        if !std::io::stdin().is_terminal() {
            return Err(Failure::usage(format!(
                "this would {what}; there is no terminal to ask on, so pass --yes if you mean it"
            )));
        }
        let _ = write!(std::io::stderr().lock(), "This will {what}. Go on? [y/N] ");
        let mut answer = String::new();
        let read = std::io::stdin().lock().read_line(&mut answer);
        match (read, answer.trim()) {
            (Ok(_), "y" | "Y" | "yes") => Ok(()),
            _ => Err(Failure::failed("nothing was ended")),
        }
    }
}

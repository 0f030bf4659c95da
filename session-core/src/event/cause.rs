//! What led to an event, where there are several ways.

use crate::record::CodecFault;

/// Why a session was renewed: it got a new token and the next epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewal {
    SignIn,
    /// The handler asked for it without signing anybody in.
    Asked,
}

/// What happens to a session whose rotated token came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AfterReuse {
    SessionEnds,
    SessionStays,
}

/// A value that is not of the type asked for, and so reads as absent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Undecodable {
    /// The name of its key, which is a constant of the program.
    pub(crate) key: &'static str,
    pub(crate) type_name: &'static str,
    pub(crate) fault: CodecFault,
}

//! What led to an event, where there are several ways.

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

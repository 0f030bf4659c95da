//! Requests that are anonymous and mute.

use crate::state::Stored;

/// A request is anonymous and mute: it stores nothing and its response sends no token, unless
/// somebody signs in. Either its session was renewed or ended meanwhile, or its tokens open several
/// sessions.
#[derive(Default)]
pub(crate) struct Barred {
    /// The sessions, where there are several. They end if somebody signs in or out.
    pub(crate) rivals: Vec<Stored>,
}

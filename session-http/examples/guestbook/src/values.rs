//! What a session keeps about its visitor.
//!
//! A session outlives a deployment. If a value is not of the type that this version asks for, each
//! read is an error. If a page passes the error on, the session's owner cannot see the page until
//! the session expires. All values here can be lost without harm, so such a value is discarded. For
//! a value that must not be lost, such as an order, keep the error: the guide's page on types has
//! the steps.

use session_core::{SessionError, TypedKey};
use session_http::Session;
use tracing::warn;

/// How often somebody looked at the guestbook.
pub(crate) const VISITS: TypedKey<u64> = TypedKey::new("visits").or_discard();
/// What they wrote, the oldest first.
pub(crate) const ENTRIES: TypedKey<Vec<String>> = TypedKey::new("entries").or_discard();

/// The notice that a page shows once.
pub(crate) fn notice(session: &Session) -> Result<Option<String>, SessionError> {
    match session.flashed("notice") {
        Err(error @ SessionError::Decode { .. }) => {
            // The error names the key and the type, and holds nothing of the value.
            warn!(%error, "a notice of another version is not shown");
            Ok(None)
        }
        notice => notice,
    }
}

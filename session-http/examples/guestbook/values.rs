//! What a session keeps of its visitor.
//!
//! A session outlives a deployment. If a value is not of the type that this version asks for, it is
//! an error each time, and a page that passes it on is closed to the session's owner until the
//! session expires. All of these can do without their past, so such a value is discarded. Where a
//! value cannot, as an order, keep the error: the guide's page on types has the steps.

use session_core::{SessionError, TypedKey};
use session_http::Session;
use tracing::warn;

/// How often somebody looked at the guestbook.
pub(crate) const VISITS: TypedKey<u64> = TypedKey::new("visits").or_discard();
/// What they wrote, the oldest first.
pub(crate) const ENTRIES: TypedKey<Vec<String>> = TypedKey::new("entries").or_discard();

/// A text for the next page that shows one.
pub(crate) fn notice(session: &Session) -> Result<Option<String>, SessionError> {
    match session.flashed("notice") {
        Err(error @ SessionError::Decode { .. }) => {
            // The text names the key and the type, and holds nothing of the value.
            warn!(%error, "a notice of another version is not shown");
            Ok(None)
        }
        notice => notice,
    }
}

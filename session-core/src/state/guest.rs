//! A request as it was before it signed somebody in.

use bytestring::ByteString;

use crate::state::{Edits, Flashes};

/// What a request had changed before it signed somebody in. Whoever signs in next in the same
/// request gets this, and nothing that was set for the one before.
#[derive(Clone)]
pub(crate) struct Guest {
    pub(super) edits: Edits,
    pub(super) flashes: Option<Flashes>,
    /// To be written, and asked for.
    pub(super) labels: [Option<ByteString>; 2],
}

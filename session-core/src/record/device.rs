//! The device that a session is bound to.

use std::fmt;

use crate::time::Timestamp;

/// The public key of a device, as a record keeps it: both coordinates of a point of P-256, 32 bytes
/// each, the one of x first.
///
/// This crate compares it and derives proofs from it. It does not check signatures: the transport
/// does that before it binds a session ([`Session::bind_device`](crate::Session::bind_device_now)).
///
/// ```
/// use session_core::DeviceKey;
///
/// let key = DeviceKey::from_bytes([7; 64]);
/// assert_eq!(key.as_bytes(), &[7; 64]);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeviceKey([u8; 64]);

impl DeviceKey {
    /// The key with these coordinates.
    pub const fn from_bytes(coordinates: [u8; 64]) -> Self {
        Self(coordinates)
    }

    /// Its coordinates.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceKey").finish_non_exhaustive()
    }
}

/// A device, and since when the session is bound to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Device {
    pub(crate) key: DeviceKey,
    pub(crate) since: Timestamp,
}

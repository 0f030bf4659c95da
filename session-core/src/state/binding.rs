//! The device that a save binds the session to.

use std::sync::Arc;

use crate::error::SessionError;
use crate::record::{Device, DeviceKey, Record};
use crate::state::State;
use crate::time::Timestamp;

pub(crate) const OTHER_DEVICE: &str = "another device is bound to it";

impl State {
    /// Binds the session to this device with the next save.
    pub(crate) fn bind(&mut self, key: DeviceKey) {
        self.device = Some(Box::new(key));
        self.metadata.binds = true;
    }

    /// Withdraws a binding whose save failed. A clone may have asked for another device since.
    pub(crate) fn withdraw_binding(&mut self, key: &DeviceKey) {
        if self.device.as_deref() == Some(key) {
            self.device = None;
            self.metadata.binds = false;
        }
    }

    /// Binds `record`. Of two devices at once, the one that is stored stays.
    pub(super) fn bind_record(
        &self,
        record: &mut Record,
        now: Timestamp,
    ) -> Result<(), SessionError> {
        let Some(key) = self.device.as_deref() else {
            return Ok(());
        };
        match &record.device {
            Some(device) if device.key != *key => Err(SessionError::NotBound(OTHER_DEVICE)),
            Some(_) => Ok(()),
            None => {
                let (key, since) = (*key, now);
                record.device = Some(Arc::new(Device { key, since }));
                Ok(())
            }
        }
    }
}

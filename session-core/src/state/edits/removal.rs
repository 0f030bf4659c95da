//! The removal of a value that one request gets.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::SessionError;
use crate::record::Value;

/// The removal of a value that one request gets.
pub(crate) struct Removal {
    /// What the key held when it was last applied.
    value: Mutex<Option<Value>>,
    /// Refuses a value that the handler could not be given.
    check: fn(&str, &Value) -> Result<(), SessionError>,
    /// A save has carried it out.
    saved: AtomicBool,
}

impl Removal {
    pub(crate) fn of(value: Value, check: fn(&str, &Value) -> Result<(), SessionError>) -> Self {
        Self {
            value: Mutex::new(Some(value)),
            check,
            saved: AtomicBool::new(false),
        }
    }

    /// What it removes.
    pub(crate) fn value(&self) -> Option<Value> {
        self.value
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn apply(&self, key: &str, value: Option<Value>) -> Result<(), SessionError> {
        if let Some(value) = &value {
            (self.check)(key, value)?;
        }
        *self.value.lock().unwrap_or_else(PoisonError::into_inner) = value;
        Ok(())
    }

    pub(super) fn acknowledge(&self) {
        self.saved.store(true, Ordering::Release);
    }

    pub(crate) fn is_saved(&self) -> bool {
        self.saved.load(Ordering::Acquire)
    }
}

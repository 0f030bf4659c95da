//! A lock that cannot be poisoned in a bad state.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// No code panics while it holds one of these locks, so a poisoned one is sound.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

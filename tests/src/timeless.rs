//! A store in which nothing expires.

use session_core::Timestamp;

use crate::{Around, Hook};

/// Tells the store in it that it is 1970: nothing ever expires there, as in a store that leaves all
/// timeouts to others.
pub type TimelessStore<S> = Around<S, Timeless>;

/// It is always 1970.
#[derive(Debug)]
pub struct Timeless;

impl<S> TimelessStore<S> {
    /// Around this store.
    pub const fn new(inner: S) -> Self {
        let hook = Timeless;
        Self { inner, hook }
    }
}

impl Hook for Timeless {
    fn now(&self, _: Timestamp) -> Timestamp {
        Timestamp::from_millis(0)
    }
}

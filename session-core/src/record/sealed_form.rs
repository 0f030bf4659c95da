//! What the store has of a record whose values the manager has opened.
//!
//! An update leaves most values as they are. What the store has of those is kept here, so that a
//! write seals only what it changes, and a note of activity seals nothing. Only a record that was
//! never stored has no such form. Without the feature `sealed-values` there is nothing in it.

#[cfg(feature = "sealed-values")]
use std::sync::{Arc, OnceLock};

#[cfg(not(feature = "sealed-values"))]
use std::marker::PhantomData;

/// What the store has of an opened record, as a record `R` with sealed values.
#[cfg(feature = "sealed-values")]
#[derive(Clone)]
pub(crate) struct SealedForm<R> {
    /// Of this record itself, once it is written. Whoever wrote a record keeps it only if the
    /// store has saved it, so what is here is not read before.
    own: OnceLock<Arc<R>>,
    /// Of the record that changes were applied to.
    base: Option<Arc<R>>,
}

#[cfg(feature = "sealed-values")]
impl<R> SealedForm<R> {
    pub(crate) const fn unknown() -> Self {
        Self {
            own: OnceLock::new(),
            base: None,
        }
    }

    pub(crate) fn loaded(record: Arc<R>) -> Self {
        Self {
            own: OnceLock::from(record),
            base: None,
        }
    }

    /// That of the record after changes.
    pub(crate) fn after_changes(&self) -> Self {
        Self {
            own: OnceLock::new(),
            base: self.own.get().cloned(),
        }
    }

    /// Takes note of what is written in the place of this record.
    pub(crate) fn set_own(&self, record: &Arc<R>) {
        self.own.get_or_init(|| Arc::clone(record));
    }

    pub(crate) fn base(&self) -> Option<&R> {
        self.base.as_deref()
    }
}

/// Nothing is kept.
#[cfg(not(feature = "sealed-values"))]
#[derive(Clone)]
pub(crate) struct SealedForm<R>(PhantomData<fn() -> R>);

#[cfg(not(feature = "sealed-values"))]
impl<R> SealedForm<R> {
    pub(crate) const fn unknown() -> Self {
        Self(PhantomData)
    }

    pub(crate) const fn after_changes(&self) -> Self {
        Self::unknown()
    }
}

//! What a store answers to a cache.

use std::sync::Arc;

use crate::record::Record;

/// The answer to "is this record still what is stored?"
///
/// ```
/// use session_core::store::Revalidated;
///
/// assert!(matches!(Revalidated::from(None), Revalidated::Gone));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Revalidated {
    /// The known record is exactly what is stored.
    Unchanged,
    /// This record is stored now.
    Changed(Arc<Record>),
    /// No record is stored any more.
    Gone,
}

impl From<Option<Arc<Record>>> for Revalidated {
    /// What a plain load has found.
    fn from(loaded: Option<Arc<Record>>) -> Self {
        loaded.map_or(Self::Gone, Self::Changed)
    }
}

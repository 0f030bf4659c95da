//! What a manager has opened of sealed values.
//!
//! A cache in the process answers many requests with one record. So its values are opened once, and
//! what was opened is kept with them. It stands in the values and not in the record: a record is
//! copied with other values in several places, and those begin without it. Without the feature
//! `sealed-values` there is nothing in it.

#[cfg(feature = "sealed-values")]
use std::sync::{Arc, OnceLock};

#[cfg(not(feature = "sealed-values"))]
use std::marker::PhantomData;

#[cfg(feature = "sealed-values")]
use crate::record::SessionId;

/// Which keys and settings have opened values. Each manager has its own, so that none takes what
/// another one was less strict about.
#[cfg(feature = "sealed-values")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SealerId(pub(crate) u64);

/// The opened form `V` of sealed values.
#[cfg(feature = "sealed-values")]
#[derive(Clone)]
pub(crate) struct OpenedForm<V>(OnceLock<Arc<Opened<V>>>);

#[cfg(feature = "sealed-values")]
struct Opened<V> {
    by: SealerId,
    /// The session whose values they are: others could have the same ones by mistake.
    id: SessionId,
    values: V,
}

#[cfg(feature = "sealed-values")]
impl<V: Clone> OpenedForm<V> {
    pub(crate) fn get(&self, by: SealerId, id: SessionId) -> Option<V> {
        let opened = self.0.get()?;
        (opened.by == by && opened.id == id).then(|| opened.values.clone())
    }

    /// Keeps what was opened, unless somebody else has done so.
    pub(crate) fn keep(&self, by: SealerId, id: SessionId, values: V) {
        self.0.get_or_init(|| Arc::new(Opened { by, id, values }));
    }
}

#[cfg(feature = "sealed-values")]
impl<V> Default for OpenedForm<V> {
    fn default() -> Self {
        Self(OnceLock::new())
    }
}

/// Nothing is kept.
#[cfg(not(feature = "sealed-values"))]
#[derive(Clone)]
pub(crate) struct OpenedForm<V>(PhantomData<fn() -> V>);

#[cfg(not(feature = "sealed-values"))]
impl<V> Default for OpenedForm<V> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

//! What a load must not miss where there is a near cache: what was reported, and what this process
//! has written. [`near`](crate::near) says why.

use std::sync::atomic::{AtomicU64, Ordering};

use mongodb::bson::Timestamp;
use mongodb::{ClientSession, Collection};
use session_core::store::StoreError;

use crate::fault;

/// The latest time, by the servers' own count, of which this process knows.
#[derive(Default)]
pub(crate) struct KnownTime(AtomicU64);

impl KnownTime {
    /// Something of this time was reported, or is going to be, or this process has written it.
    pub(crate) fn note(&self, time: Timestamp) {
        let time = u64::from(time.time) << 32 | u64::from(time.increment);
        self.0.fetch_max(time, Ordering::SeqCst);
    }

    /// For a load that finds no state before that time (`afterClusterTime`), or for a write.
    pub(crate) async fn session<T: Send + Sync>(
        &self,
        collection: &Collection<T>,
    ) -> Result<ClientSession, StoreError> {
        let session = collection.client().start_session();
        let session = session.causal_consistency(true).await;
        let mut session = session.map_err(fault::of_read)?;
        let [a, b, c, d, e, f, g, h] = self.0.load(Ordering::SeqCst).to_be_bytes();
        let time = Timestamp {
            time: u32::from_be_bytes([a, b, c, d]),
            increment: u32::from_be_bytes([e, f, g, h]),
        };
        if time.time > 0 {
            session.advance_operation_time(time);
        }
        Ok(session)
    }
}

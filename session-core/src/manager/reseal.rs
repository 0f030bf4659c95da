//! Sealing stored values again with the newest key.

use std::sync::Arc;

use crate::error::{SessionError, StoreError};
use crate::manager::SessionManager;
use crate::record::{Record, SealFault};
use crate::store::{RecordKey, Updated};

/// How often the requests of the session may be faster.
const ROUNDS: usize = 16;

/// What [`SessionManager::reseal`] has done.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Resealed {
    /// Its values are sealed with the newest key now.
    Done,
    /// They were before.
    Current,
    /// A value does not open with any of the keys, for this reason. Nothing was written.
    Unopened(StoreError),
    /// The session belongs to another scope, so this manager has not the keys for it.
    OtherScope,
    /// The session has ended or expired, also in the store.
    Gone,
}

impl SessionManager {
    /// Seals the values of a stored session again, as far as they are not sealed with the newest
    /// key of [`seal_values`](crate::SessionManagerBuilder::seal_values).
    ///
    /// Use it on every record of a [scan](crate::store::RecordScan), to remove an old key before
    /// the longest absolute timeout has passed. All processes must know the newest key before. It
    /// is safe while requests run, and safe to repeat: if a request writes at the same moment, its
    /// write stays, and what it has left is sealed again. Only values change, and the version of
    /// the record. The lifetime, the last activity and the tokens of the session stay as they are,
    /// and no event reports a use of the session.
    ///
    /// Values that are not sealed are sealed too: that trusts what is stored. If somebody else can
    /// write to the database, a plain value that they have added becomes a sealed one, and nothing
    /// tells it from your own any more. A manager with
    /// [`sealed_only`](crate::ValueSealing::sealed_only) refuses such a session as
    /// [`Unopened`](Resealed::Unopened): use one, unless the site has stored plain values itself.
    /// With [`writing_plain`](crate::ValueSealing::writing_plain), sealed values become plain ones.
    ///
    /// Remove the old key once no record of a scan is unreadable or `Unopened`: it may be the key
    /// that they need.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use session_core::store::{SessionStore, scan_of};
    /// use session_core::{KeyRing, MemoryStore, Resealed, SessionManager};
    /// # use session_core::Outcome;
    /// use std::sync::Arc;
    ///
    /// let store = Arc::new(MemoryStore::new());
    /// # let old = SessionManager::builder(Arc::clone(&store)).seal_values(KeyRing::new([1; 32])?);
    /// # let session = old.build()?.begin(&[]).await?;
    /// # session.insert("color", "blue")?;
    /// # session.finish(Outcome::Success).await?;
    /// let keys = KeyRing::from_keys([[2; 32], [1; 32]])?; // newest first
    /// let manager = SessionManager::builder(Arc::clone(&store)).seal_values(keys).build()?;
    ///
    /// let (mut resealed, mut from) = (0, None);
    /// loop {
    ///     let page = scan_of(&store)?.scan_records(from.as_ref(), 100).await?;
    ///     for record in page.sessions.iter().filter_map(|listed| listed.record()) {
    ///         match manager.reseal(record).await? {
    ///             Resealed::Done => resealed += 1,
    ///             Resealed::Unopened(error) => eprintln!("{}: {error}", record.id().short()),
    ///             _ => {}
    ///         }
    ///     }
    ///     let Some(next) = page.next else { break };
    ///     from = Some(next);
    /// }
    /// assert_eq!(resealed, 1);
    /// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionError::Store`] if the store failed, and [`SessionError::Contended`] if requests
    /// wrote to the session each time. Then call it again.
    pub async fn reseal(&self, record: &Arc<Record>) -> Result<Resealed, SessionError> {
        let (calls, key) = (self.calls(), RecordKey::Id(record.id()));
        let mut stored = Arc::clone(record);
        // It may be from a page that was read some time ago: it was used since, or is gone.
        if !self.may_be_resealed(&stored) {
            let Some(current) = calls.look(&key, self.now()).await? else {
                return Ok(Resealed::Gone);
            };
            stored = current;
        }
        for _ in 0..ROUNDS {
            if !self.may_be_resealed(&stored) {
                return Ok(Resealed::Gone);
            }
            if stored.scope() != self.scope() {
                return Ok(Resealed::OtherScope);
            }
            let update = match calls.resealing(&stored) {
                Ok(None) => return Ok(Resealed::Current),
                Ok(Some(update)) => update,
                Err(fault @ SealFault::NotSealed) => {
                    return Err(StoreError::unavailable(fault).into());
                }
                Err(fault) => return Ok(Resealed::Unopened(StoreError::corrupt(fault))),
            };
            let current = match calls.rewrite(&key, &update, self.now()).await? {
                Updated::Saved { .. } => return Ok(Resealed::Done),
                Updated::Conflict { current, .. } => current,
                // It has ended, or was renewed.
                Updated::Gone => None,
            };
            let current = match current {
                Some(current) => Some(current),
                None => calls.look(&key, self.now()).await?,
            };
            let Some(current) = current else {
                return Ok(Resealed::Gone);
            };
            stored = current;
        }
        Err(SessionError::Contended)
    }

    /// Whether there is still a session, as far as this record says.
    fn may_be_resealed(&self, record: &Record) -> bool {
        record.is_live(self.now()) && record.ended().is_none()
    }
}

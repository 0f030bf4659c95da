//! A store whose records the client holds, right until it is given a fault.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use session_core::store::{
    Changes, Metadata, Record, RecordKey, RecordLocation, SessionStore, StoreError, Update, Updated,
};
use session_core::{Ended, Limit, LimitExceeded, Timestamp};
use sha2::{Digest, Sha256};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SealFault {
    OpensAnything,
    OpensAnyScope,
    RevivesExpired,
    HandsBackTheOldKey,
}

#[derive(Debug, Default)]
pub(crate) struct SealedStore {
    fault: Option<SealFault>,
}

const LIMIT: usize = 4_096;

impl SealedStore {
    pub(crate) fn broken(fault: SealFault) -> Self {
        Self { fault: Some(fault) }
    }

    fn has(&self, fault: SealFault) -> bool {
        self.fault == Some(fault)
    }

    /// Good enough for a test: no key is kept from anybody here.
    fn mac(&self, scope: &str, record: &[u8]) -> [u8; 32] {
        let scope = if self.has(SealFault::OpensAnyScope) {
            ""
        } else {
            scope
        };
        Sha256::new()
            .chain_update("key")
            .chain_update(scope)
            .chain_update([0])
            .chain_update(record)
            .finalize()
            .into()
    }

    fn seal(&self, record: &Record) -> Result<RecordKey, StoreError> {
        let mut bytes = record.encode();
        let mac = self.mac(record.scope(), &bytes);
        bytes.extend(mac);
        let token = URL_SAFE_NO_PAD.encode(bytes);
        if token.len() > LIMIT {
            return Err(LimitExceeded::new(Limit::TokenBytes, token.len(), LIMIT).into());
        }
        Ok(RecordKey::sealed(record.scope(), token))
    }

    fn open(&self, key: &RecordKey) -> Option<Record> {
        let RecordKey::Sealed { scope, token, .. } = key else {
            return None;
        };
        let bytes = URL_SAFE_NO_PAD.decode(token.as_bytes()).ok()?;
        let (record, mac) = bytes.split_at_checked(bytes.len().checked_sub(32)?)?;
        let genuine = self.mac(scope, record) == *mac || self.has(SealFault::OpensAnything);
        Record::decode(record.to_vec()).ok().filter(|_| genuine)
    }
}

#[async_trait]
impl SessionStore for SealedStore {
    fn location(&self) -> RecordLocation {
        RecordLocation::client(32, 1)
    }

    async fn load(
        &self,
        key: &RecordKey,
        now: Timestamp,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        // An expired one too, so that its expiry can be told.
        let record = self.open(key).map(|record| {
            if record.is_live(now) || !self.has(SealFault::RevivesExpired) {
                return record;
            }
            let seen = Changes::new().with_metadata(Metadata::Touched(now));
            seen.apply(&record).with_version(record.version())
        });
        Ok(record.map(Arc::new))
    }

    async fn create(&self, record: &Arc<Record>, _: Timestamp) -> Result<RecordKey, StoreError> {
        self.seal(record)
    }

    async fn update(
        &self,
        key: &RecordKey,
        update: &Update,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        let Some(current) = self.open(key) else {
            return Ok(Updated::Gone);
        };
        let mut after = Arc::new(current);
        match update.replace_in(&mut after, now)? {
            Updated::Saved { version, .. } => {
                let new = self.seal(&after)?;
                let key = match self.has(SealFault::HandsBackTheOldKey) {
                    true => key.clone(),
                    false => new,
                };
                Ok(Updated::saved(key, version))
            }
            refused => Ok(refused),
        }
    }

    async fn delete(&self, _: &RecordKey, _: Ended) -> Result<(), StoreError> {
        Ok(())
    }
}
